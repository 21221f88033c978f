package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/lambda"
	"publisher/storage"
)

const invokePath = "/2015-03-31/functions/signer/invocations"

// post invokes a daemon and returns the status and what it answered.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+invokePath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// TestBusyDaemon: one invocation more than there may be is told to come again,
// and the command line does.
func TestBusyDaemon(t *testing.T) {
	d := testDaemon(t)
	d.slots = make(chan struct{}, 1)
	slow := &stuck{storage.NewMemory(), make(chan struct{}, 10), make(chan struct{})}
	d.signer.Public = slow
	refused := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answer{ResponseWriter: w}
		d.handler().ServeHTTP(answer, r)
		if answer.status == http.StatusTooManyRequests {
			refused <- struct{}{}
		}
	}))
	defer server.Close()
	keys := func(name string) <-chan error {
		done := make(chan error, 1)
		go func() {
			signer, err := (&app{}).signer(t.Context(), "lambda:signer?endpoint="+server.URL)
			if err == nil {
				err = signer.ask(t.Context(), lambda.Request{Action: lambda.ActionKeys, Collection: name}, &lambda.KeysAnswer{})
			}
			done <- err
		}()
		return done
	}
	first := keys("example.com/a")
	<-slow.begun
	second := keys("example.com/b")
	<-refused
	if status, answer := post(t, server.URL, scheduledEvent); status != http.StatusTooManyRequests || !strings.Contains(answer, "under way") {
		t.Errorf("%d %s", status, answer)
	}
	if !strings.Contains(string(d.gauges.text()), "\npublisher_throttled_total 2\n") {
		t.Errorf("metrics: %s", d.gauges.text())
	}
	close(slow.goOn)
	for _, done := range []<-chan error{first, second} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// hanging is a store whose listings end with their context.
type hanging struct {
	storage.Store
	begun chan struct{}
}

func (h *hanging) List(ctx context.Context, _ string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		h.begun <- struct{}{}
		<-ctx.Done()
		yield(storage.Entry{}, ctx.Err())
	}
}

// TestStopSchedule: a run of the schedule that hangs is given its grace, and
// ending is no error.
func TestStopSchedule(t *testing.T) {
	d := testDaemon(t)
	private := &hanging{storage.NewMemory(), make(chan struct{}, 1)}
	d.signer.Private, d.grace = private, time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx, listener) }()
	<-private.begun
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStopBetweenSteps: what is told to end has a deadline from then on, and so
// begins nothing new.
func TestStopBetweenSteps(t *testing.T) {
	e := newEnding()
	far, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for name, ctx := range map[string]context.Context{"without a deadline": t.Context(), "with one": far} {
		before, had := ctx.Deadline()
		if got, ok := (endingContext{ctx, e}).Deadline(); ok != had || !got.Equal(before) {
			t.Errorf("%s, before the end: %v %v", name, got, ok)
		}
	}
	e.begin(time.Minute)
	for name, ctx := range map[string]context.Context{"without a deadline": t.Context(), "with one": far} {
		if got, ok := (endingContext{ctx, e}).Deadline(); !ok || time.Until(got) > time.Minute {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
	near, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	want, _ := near.Deadline()
	if got, _ := (endingContext{near, e}).Deadline(); !got.Equal(want) {
		t.Errorf("its own deadline, which is nearer: %v", got)
	}
}

// minioEvent is what MinIO sends to a webhook, as of its release of 2025.
const minioEvent = `{"EventName":"s3:ObjectCreated:Put","Key":"%[1]s/%[2]s","Records":[{"eventVersion":"2.0",
"eventSource":"minio:s3","awsRegion":"","eventTime":"2026-01-02T03:04:05.678Z","eventName":"s3:ObjectCreated:Put",
"userIdentity":{"principalId":"minioadmin"},"requestParameters":{"principalId":"minioadmin","region":"","sourceIPAddress":"127.0.0.1"},
"responseElements":{"x-amz-id-2":"dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8","x-amz-request-id":"17B4"},
"s3":{"s3SchemaVersion":"1.0","configurationId":"Config","bucket":{"name":"%[1]s","ownerIdentity":{"principalId":"minioadmin"},"arn":"arn:aws:s3:::%[1]s"},
"object":{"key":"%[2]s","size":2,"eTag":"99914b932bd37a50b983c5e7c90ae93b","contentType":"application/octet-stream","sequencer":"17B4"}},
"source":{"host":"127.0.0.1","port":"","userAgent":"MinIO"}}]}`

// TestWebhook: a notification of MinIO has the inbox swept that it speaks of,
// and no other.
func TestWebhook(t *testing.T) {
	d := testDaemon(t)
	d.signer.Bucket, d.signer.Prefix = "private", "box"
	server := httptest.NewServer(d.handler())
	defer server.Close()
	const key = "example.com/a/submissions/01JGFJJZ000000000000000000.json"
	if _, err := d.signer.Private.Put(t.Context(), key, strings.NewReader("{}"), storage.Absent); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ bucket, key, want string }{
		{"other", "box%2F" + strings.ReplaceAll(key, "/", "%2F"), `"ignored":1`},
		{"private", "elsewhere%2F" + strings.ReplaceAll(key, "/", "%2F"), `"ignored":1`},
		{"private", "box%2F" + strings.ReplaceAll(key, "/", "%2F"), `"refused":1`},
	} {
		status, answer := post(t, server.URL, fmt.Sprintf(minioEvent, row.bucket, row.key))
		if status != http.StatusOK || !strings.Contains(answer, row.want) {
			t.Errorf("%s/%s: %d %s", row.bucket, row.key, status, answer)
		}
	}
}

func TestBucketOf(t *testing.T) {
	for raw, want := range map[string][2]string{
		"s3://bucket":                     {"bucket", ""},
		"s3://bucket/a/b/?region=x":       {"bucket", "a/b"},
		"minio://host:9000/bucket":        {"bucket", ""},
		"minio://host:9000/bucket/a/b/":   {"bucket", "a/b"},
		"minio://key:secret@host/bucket/": {"bucket", ""},
		"file:///srv/inbox":               {"", ""},
	} {
		bucket, prefix, err := bucketOf(raw)
		if err != nil || want != [2]string{bucket, prefix} {
			t.Errorf("%s: %q, %q, %v", raw, bucket, prefix, err)
		}
	}
}

// TestGauges: the metrics that come from one signer, as Prometheus reads them.
func TestGauges(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	g := newGauges(func() time.Time { return now })
	for _, m := range []lambda.Metric{
		{Name: lambda.MetricCommits, Collection: "b", Value: 1},
		{Name: lambda.MetricCommits, Collection: "a", Value: 1},
		{Name: lambda.MetricCommits, Collection: "b", Value: 1},
		{Name: lambda.MetricConflicts, Collection: "a", Value: 1},
		{Name: lambda.MetricDuration, Collection: "a", Value: 1500},
		{Name: lambda.MetricDuration, Collection: "a", Value: 250},
		{Name: lambda.MetricExpiry, Collection: "a", Role: "root", Value: 100},
		{Name: lambda.MetricExpiry, Collection: "a", Role: "timestamp", Value: 20},
		{Name: lambda.MetricExpiry, Collection: "a", Role: "timestamp", Value: 50},
	} {
		g.watch(m)
	}
	now = now.Add(time.Minute)
	want := []string{
		`publisher_commits_total{collection="a"} 1`,
		`publisher_commits_total{collection="b"} 2`,
		`publisher_conflicts_total{collection="a"} 1`,
		`publisher_duration_seconds_sum{collection="a"} 1.75`,
		`publisher_duration_seconds_count{collection="a"} 2`,
		`publisher_seconds_to_expiry{collection="a",role="root"} 40`,
		`publisher_seconds_to_expiry{collection="a",role="timestamp"} -10`,
		`publisher_throttled_total 0`,
	}
	var got []string
	typed := map[string]bool{}
	for line := range strings.Lines(string(g.text())) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if typed[name] {
				t.Errorf("%s has two types", name)
			}
			typed[name] = true
		}
		if !strings.HasPrefix(line, "#") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := label("a\"b\\c\nd"); got != `"a\"b\\c\nd"` {
		t.Errorf("label %s", got)
	}
}

// TestMetricsKnown: each metric of a signer has a name at /metrics.
func TestMetricsKnown(t *testing.T) {
	server := httptest.NewServer(testDaemon(t).handler())
	defer server.Close()
	resp, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %s", got)
	}
	source, err := os.ReadFile("../../lambda/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\t[mM]etric\w+ += "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 8 {
		t.Errorf("found %d metrics: they are named in another way now", len(found))
	}
	for _, m := range found {
		name := counters[m[1]].name
		switch m[1] {
		case lambda.MetricDuration:
			name = summaryDuration
		case lambda.MetricExpiry:
			name = gaugeExpiry
		}
		if name == "" || !strings.Contains("\n"+string(body), "\n# TYPE "+name+" ") {
			t.Errorf("%s is not there", m[1])
		}
	}
}

// TestSignerFlags: what the flags say gets to the signer.
func TestSignerFlags(t *testing.T) {
	d, sum := testDaemon(t), strings.Repeat("1", 64)
	o := signerOptions{
		create: []string{"example.com"}, genesis: []string{"example.com/a=" + sum}, windows: "02:00-05:00,sat 00:00-24:00",
		refreshEvery: time.Hour, concurrency: 3, stopWithin: time.Minute,
	}
	if err := o.apply(d, "minio://host/bucket/a/b"); err != nil {
		t.Fatal(err)
	}
	got, ok := d.signer.Genesis("example.com/a")
	if len(d.signer.Windows) != 2 || !ok || got != sum || d.signer.Create("example.com/b") != nil || d.signer.Create("other.com/b") == nil {
		t.Errorf("%+v", d.signer)
	}
	if d.every != time.Hour || cap(d.slots) != 3 || d.grace != time.Minute || d.signer.Bucket != "bucket" || d.signer.Prefix != "a/b" {
		t.Errorf("%+v", d)
	}
}

// TestIdleConnections: connections that send nothing keep nobody from being
// answered, however many.
func TestIdleConnections(t *testing.T) {
	d := testDaemon(t)
	d.slots = make(chan struct{}, 1)
	server := httptest.NewServer(d.handler())
	defer server.Close()
	for range 40 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST "+invokePath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	for len(d.readers) < 40 {
		time.Sleep(time.Millisecond)
	}
	if status, answer := post(t, server.URL, scheduledEvent); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
	server.CloseClientConnections()
}

// TestLongRequests: as many long ones as there may be do not keep short ones
// from being read.
func TestLongRequests(t *testing.T) {
	d := testDaemon(t)
	d.long = make(chan struct{}, 1)
	server := httptest.NewServer(d.handler())
	defer server.Close()
	long := scheduledEvent + strings.Repeat(" ", usualPayload)
	if status, answer := post(t, server.URL, long); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
	d.long <- struct{}{}
	if status, answer := post(t, server.URL, long); status != http.StatusTooManyRequests {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := post(t, server.URL, scheduledEvent); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
}
