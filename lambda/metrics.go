package lambda

import (
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Namespace is that of the metrics in CloudWatch.
const Namespace = "Publisher"

// metrics writes CloudWatch's embedded metric format, one line for each event,
// and tells watch of each value.
type metrics struct {
	to      io.Writer
	measure func(collection string) bool
	watch   func(Metric)
	now     func() time.Time
	mu      sync.Mutex
}

// A Metric is one value that was measured.
type Metric struct {
	Name       string
	Collection string
	Role       string // of MetricExpiry alone
	Value      int64
}

// The names of the metrics. They are by collection, MetricExpiry by role too.
const (
	MetricCommits     = "Commits"
	MetricRejections  = "Rejections"
	MetricConflicts   = "Conflicts"
	MetricQuarantined = "Quarantined"
	MetricFailures    = "Failures"
	MetricLost        = "Lost"
	MetricRefreshes   = "Refreshes"
	MetricDuration    = "Duration"        // of a commit, a refusal or a refresh, in milliseconds
	MetricExpiry      = "SecondsToExpiry" // at the time it is told
)

func (m *metrics) commit(collection string, took time.Duration) {
	m.write(collection, "", value{MetricCommits, "Count", 1}, duration(took))
}

// refusal counts those that somebody else was faster than as conflicts.
func (m *metrics) refusal(collection, kind string, took time.Duration) {
	name := MetricRejections
	if kind != kindRejected {
		name = MetricConflicts
	}
	m.write(collection, "", value{name, "Count", 1}, duration(took))
}

func (m *metrics) quarantine(collection string) {
	m.write(collection, "", value{MetricQuarantined, "Count", 1})
}

func (m *metrics) failure(collection string) {
	m.write(collection, "", value{MetricFailures, "Count", 1})
}

func (m *metrics) lost(collection string) {
	m.write(collection, "", value{MetricLost, "Count", 1})
}

func (m *metrics) refresh(collection string, took time.Duration) {
	m.write(collection, "", value{MetricRefreshes, "Count", 1}, duration(took))
}

func (m *metrics) expiry(collection, role string, left time.Duration) {
	m.write(collection, role, value{MetricExpiry, "Seconds", int64(left / time.Second)})
}

type value struct {
	name, unit string
	n          int64
}

func duration(d time.Duration) value { return value{MetricDuration, "Milliseconds", d.Milliseconds()} }

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

type definition struct{ Name, Unit string }

// write writes one line, if the collection is one of those that are measured:
// CloudWatch is paid by the metric. A failure to do so is nobody's concern.
func (m *metrics) write(collection, role string, values ...value) {
	if m.watch != nil {
		for _, v := range values {
			m.watch(Metric{Name: v.name, Collection: collection, Role: role, Value: v.n})
		}
	}
	if m.to == nil || m.measure != nil && !m.measure(collection) {
		return
	}
	d := directive{Namespace: Namespace, Dimensions: [][]string{{"Collection"}}}
	line := map[string]any{"Collection": collection}
	if role != "" {
		d.Dimensions, line["Role"] = [][]string{{"Collection", "Role"}}, role
	}
	for _, v := range values {
		d.Metrics = append(d.Metrics, definition{v.name, v.unit})
		line[v.name] = v.n
	}
	line["_aws"] = map[string]any{"Timestamp": m.now().UnixMilli(), "CloudWatchMetrics": []directive{d}}
	text, err := json.Marshal(line, json.Deterministic(true))
	if err != nil {
		panic("lambda: encode metric: " + err.Error()) // strings and numbers: cannot fail
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to.Write(append(text, '\n'))
}
