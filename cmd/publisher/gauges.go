package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"publisher/lambda"
)

// gauges is the metrics of a signer since it was started, in the text format of
// Prometheus. Those of collections appear when something is known of one.
type gauges struct {
	now       func() time.Time
	throttled atomic.Int64 // invocations refused

	mu      sync.Mutex
	counts  map[series]int64
	took    map[string]duration // by collection
	expires map[series]time.Time
}

// A series is one line of a metric.
type series struct{ name, collection, role string }

type duration struct {
	sum   time.Duration
	count int64
}

func newGauges(now func() time.Time) *gauges {
	return &gauges{now: now, counts: map[series]int64{}, took: map[string]duration{}, expires: map[series]time.Time{}}
}

// counters is how metrics are named that only grow.
var counters = map[string]struct{ name, help string }{
	lambda.MetricCommits:     {"publisher_commits_total", "Submissions that were published."},
	lambda.MetricRejections:  {"publisher_rejections_total", "Submissions that never will be."},
	lambda.MetricConflicts:   {"publisher_conflicts_total", "Submissions that another was faster than."},
	lambda.MetricQuarantined: {"publisher_quarantined_total", "Submissions that the signer failed on."},
	lambda.MetricFailures:    {"publisher_failures_total", "Commits and refreshes that are left for another run."},
	lambda.MetricLost:        {"publisher_lost_total", "Times that what was published was found to be gone."},
	lambda.MetricRefreshes:   {"publisher_refreshes_total", "Times that snapshot or timestamp was signed again."},
}

const (
	gaugeExpiry      = "publisher_seconds_to_expiry"
	summaryDuration  = "publisher_duration_seconds"
	counterThrottled = "publisher_throttled_total"
)

// watch is a lambda.Signer's Watch.
func (g *gauges) watch(m lambda.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m.Name {
	case lambda.MetricExpiry:
		// It goes on while nobody looks.
		g.expires[series{gaugeExpiry, m.Collection, m.Role}] = g.now().Add(time.Duration(m.Value) * time.Second)
	case lambda.MetricDuration:
		d := g.took[m.Collection]
		d.sum += time.Duration(m.Value) * time.Millisecond
		d.count++
		g.took[m.Collection] = d
	default:
		g.counts[series{name: m.Name, collection: m.Collection}] += m.Value
	}
}

func (g *gauges) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(g.text())
}

func (g *gauges) text() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	var b bytes.Buffer
	for _, metric := range slices.Sorted(maps.Keys(counters)) {
		head(&b, counters[metric].name, "counter", counters[metric].help)
		for _, s := range sortedSeries(g.counts) {
			if s.name == metric {
				fmt.Fprintf(&b, "%s{collection=%s} %d\n", counters[metric].name, label(s.collection), g.counts[s])
			}
		}
	}
	head(&b, summaryDuration, "summary", "How long commits, refusals and refreshes took.")
	for _, collection := range slices.Sorted(maps.Keys(g.took)) {
		d := g.took[collection]
		fmt.Fprintf(&b, "%s_sum{collection=%s} %g\n", summaryDuration, label(collection), d.sum.Seconds())
		fmt.Fprintf(&b, "%s_count{collection=%s} %d\n", summaryDuration, label(collection), d.count)
	}
	head(&b, gaugeExpiry, "gauge", "How long the signatures of a role last, negative after that.")
	for _, s := range sortedSeries(g.expires) {
		left := g.expires[s].Sub(g.now()) / time.Second
		fmt.Fprintf(&b, "%s{collection=%s,role=%s} %d\n", gaugeExpiry, label(s.collection), label(s.role), left)
	}
	head(&b, counterThrottled, "counter", "Invocations that were refused because too many were under way.")
	fmt.Fprintf(&b, "%s %d\n", counterThrottled, g.throttled.Load())
	return b.Bytes()
}

func head(b *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func sortedSeries[V any](m map[series]V) []series {
	return slices.SortedFunc(maps.Keys(m), func(a, b series) int {
		return cmp.Or(cmp.Compare(a.collection, b.collection), cmp.Compare(a.role, b.role))
	})
}

var labels = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// label is a label's value as the format quotes it.
func label(value string) string { return `"` + labels.Replace(value) + `"` }
