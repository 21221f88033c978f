// Package cost is what an online signer costs on AWS: requests as tests count
// them, times list prices. The page docs/deploy-aws.md shows it.
package cost

import (
	"fmt"
	"math"
	"strings"
)

// Requests is what something asks of AWS. Objects are deleted for nothing.
type Requests struct {
	Reads  int // GET and HEAD of S3
	Writes int // PUT and LIST of S3, which cost the same
	KMS    int
	Events int // of the inbox: each invokes the function, and that of a submission sweeps
}

// What is counted. Functions start cold, as those do that run once an hour: they
// remember nothing and open their keys anew.
var (
	Publish     = Requests{Reads: 21, Writes: 9, KMS: 2, Events: 4} // of one new target, by publisher and by the function; localstack/e2e counts
	Refresh     = Requests{Reads: 8, Writes: 2, KMS: 2}             // of what is due, snapshot and timestamp; this and the rest, lambda counts
	RefreshRun  = Requests{Reads: 2, Writes: 1}                     // of the schedule, whatever there is
	RefreshLook = Requests{Reads: 1}                                // by a run, at each collection
	SweepRun    = Requests{Reads: 2, Writes: 3}
	SweepLook   = Requests{Writes: 1} // by a run, into each inbox
)

// MetricBytes is what a run logs of each collection, which CloudWatch reads its
// metric from.
const MetricBytes = 300

// invokeBytes is what Lambda itself logs of an invocation, with what CloudWatch
// adds to each line. It is assumed.
const invokeBytes = 1000

// What is not counted but assumed, or set by the Terraform module.
const (
	hours          = 730 // of a month
	publishes      = 10  // of each collection in a month
	refreshes      = hours / (7 * 24.0)
	sweeps         = 4 * hours
	sweepInboxes   = 1000 // by one run at most
	requestSeconds = 0.03 // for an answer of S3
	initSeconds    = 0.1  // for a function to start, which is billed
	refreshAtOnce  = 16
	sweepAtOnce    = 4
	refreshGB      = 0.25
	publishGB      = 1.0
)

// List prices in USD, eu-central-1, without free tiers.
const (
	priceRead    = 0.43e-6
	priceWrite   = 5.4e-6
	priceKMS     = 3e-6
	priceKey     = 1.0 // for a month
	priceInvoke  = 0.2e-6
	priceGBs     = 13.3334e-6
	priceLogGB   = 0.63
	priceBoard   = 3.0 // the dashboard
	priceAlarm   = 0.1
	alarms       = 7   // that do not depend on collections
	alarmsEach   = 4   // of a collection that is named
	priceMetric  = 0.3 // for a month, or by the hour that has data
	metrics      = 1   // that do not depend on collections: of the clock
	moreMetrics  = 5   // beside the timestamp's, in an hour with a publish or a renewal
	priceMetrics = 0.1 // beyond metricTier
	metricTier   = 10_000
)

// A Month is what a month costs in USD.
type Month struct {
	Collections, Measured, Named        int
	S3, Lambda, KMS, Logs, Metrics, Set float64
}

// Of returns the bill for a number of collections, some of which are measured,
// and some of which are named in the Terraform module, which has alarms for them.
func Of(collections, measured, named int) Month {
	n, m := float64(collections), float64(measured)
	invocations := hours + sweeps + n*publishes*float64(1+Publish.Events)
	measures := metrics + m*(1+moreMetrics*(publishes+refreshes)/hours)
	return Month{
		Collections: collections,
		Measured:    measured,
		Named:       named,
		S3:          priceRead*sum(n, func(q Requests) int { return q.Reads }) + priceWrite*sum(n, func(q Requests) int { return q.Writes }),
		Lambda:      priceInvoke*invocations + priceGBs*(refreshGB*refreshSeconds(n)+publishGB*publishSeconds(n)),
		KMS:         priceKMS * sum(n, func(q Requests) int { return q.KMS }),
		Logs:        priceLogGB * (hours*m*MetricBytes + invocations*invokeBytes) / 1e9,
		Metrics:     priceMetric*math.Min(measures, metricTier) + priceMetrics*math.Max(0, measures-metricTier),
		Set:         priceKey + priceBoard + priceAlarm*float64(alarms+alarmsEach*named),
	}
}

// sum returns the requests of one kind in a month of n collections.
func sum(n float64, kind func(Requests) int) float64 {
	q := func(q Requests) float64 { return float64(kind(q)) }
	return n*publishes*(q(Publish)+q(SweepLook)) + n*refreshes*q(Refresh) +
		hours*(q(RefreshRun)+n*q(RefreshLook)) + sweeps*(q(SweepRun)+math.Min(n, sweepInboxes)*q(SweepLook))
}

// refreshSeconds is how long the function that renews signatures runs.
func refreshSeconds(n float64) float64 {
	return hours*(initSeconds+requestSeconds*(asked(RefreshRun)+n*asked(RefreshLook)/refreshAtOnce)) + n*refreshes*requestSeconds*asked(Refresh)
}

// publishSeconds is how long the function that commits runs: on schedule, and for
// each event of the inbox as well as for the publisher who waits.
func publishSeconds(n float64) float64 {
	swept := math.Min(n, sweepInboxes)
	return sweeps*(initSeconds+requestSeconds*(asked(SweepRun)+swept*asked(SweepLook)/sweepAtOnce)) +
		n*publishes*(initSeconds*float64(1+Publish.Events)+requestSeconds*(asked(Publish)+asked(SweepLook)))
}

// asked is how many answers of S3 are waited for.
func asked(q Requests) float64 { return float64(q.Reads + q.Writes) }

// Total is the sum.
func (m Month) Total() float64 { return m.S3 + m.Lambda + m.KMS + m.Logs + m.Metrics + m.Set }

// RequestTable is what is counted, in Markdown.
func RequestTable() string {
	var b strings.Builder
	b.WriteString("| what | reads of S3 | writes and lists of S3 | KMS | events |\n| --- | --- | --- | --- | --- |\n")
	for _, row := range []struct {
		what string
		Requests
	}{
		{"a publish of one new target, by `publisher` and the function", Publish},
		{"renewing snapshot and timestamp of a collection", Refresh},
		{"a run of `refresh`", RefreshRun}, {"… for each collection", RefreshLook},
		{"a run of `publish` on schedule", SweepRun}, {"… for each collection, 1,000 at most", SweepLook},
	} {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", row.what, row.Reads, row.Writes, row.KMS, row.Events)
	}
	return b.String()
}

// MonthTable is what months cost, in Markdown.
func MonthTable(months ...Month) string {
	var b strings.Builder
	b.WriteString("| collections | measured | named | S3 | Lambda | KMS requests | logs | metrics | KMS key, dashboard, alarms | sum |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, m := range months {
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | **%.2f** |\n",
			grouped(m.Collections), grouped(m.Measured), grouped(m.Named), m.S3, m.Lambda, m.KMS, m.Logs, m.Metrics, m.Set, m.Total())
	}
	return b.String()
}

// grouped is a number with commas between thousands.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
