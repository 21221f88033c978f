package lambda_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

const (
	ulidA = "01KAMZZZZZZZZZZZZZZZZZZZZA"
	ulidB = "01KAMZZZZZZZZZZZZZZZZZZZZB"
)

// s3Record is one of an event of S3.
func s3Record(bucket, key, name string) string {
	return fmt.Sprintf(`{"eventVersion":"2.1","eventSource":"aws:s3","eventName":%q,"s3":{"bucket":{"name":%q},"object":{"key":%q,"size":3}}}`,
		name, bucket, url.QueryEscape(key))
}

func records(all ...string) string { return `{"Records":[` + strings.Join(all, ",") + `]}` }

// bridged is an event of S3 as EventBridge hands it on.
func bridged(bucket, key, kind string) string {
	return fmt.Sprintf(`{"version":"0","source":"aws.s3","detail-type":%q,"detail":{"bucket":{"name":%q},"object":{"key":%q}}}`, kind, bucket, key)
}

// queued is a message of SQS.
func queued(id, body string, received int) string {
	text, _ := json.Marshal(body)
	return fmt.Sprintf(`{"messageId":%q,"eventSource":"aws:sqs","body":%s,"attributes":{"ApproximateReceiveCount":"%d"}}`, id, text, received)
}

func submissionKey(name string) string { return scripts + "/submissions/" + name + ".json" }

const (
	created    = "ObjectCreated:Put"
	schedule   = `{"version":"0","source":"aws.scheduler","detail-type":"Scheduled Event","detail":"{}"}`
	ruleEvent  = `{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}`
	refreshAll = `{"action":"refresh"}`
)

// TestHints: every kind of event that can speak of a submission has it
// committed, twice the same does no harm.
func TestHints(t *testing.T) {
	for name, event := range map[string]func(key string) string{
		"s3":                  func(key string) string { return records(s3Record("inbox", key, created)) },
		"s3 twice":            func(key string) string { r := s3Record("inbox", key, created); return records(r, r) },
		"eventbridge":         func(key string) string { return bridged("inbox", key, "Object Created") },
		"sqs":                 func(key string) string { return records(queued("1", records(s3Record("inbox", key, created)), 1)) },
		"eventbridge in sqs":  func(key string) string { return records(queued("1", bridged("inbox", key, "Object Created"), 1)) },
		"scheduler":           func(string) string { return schedule },
		"rule":                func(string) string { return ruleEvent },
		"another's, the same": func(string) string { return records(s3Record("inbox", submissionKey(ulidA), created)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := published(t)
			submission, id := w.leave("b", "2")
			for range 2 {
				if _, err := w.handle(event(submissionKey(submission))); err != nil {
					t.Fatal(err)
				}
			}
			if r := w.receipt(id); r.Refused != nil || r.Versions[tuf.RoleTargets] != 2 {
				t.Errorf("receipt %+v", r)
			}
			if n := strings.Count(w.metrics.String(), `"Commits":1`); n != 2 {
				t.Errorf("%d commits counted, want 2: one before\n%s", n, w.metrics)
			}
			w.wantWaiting(0)
			w.wantSound()
		})
	}
}

// TestPrefix: the inbox is a part of a bucket.
func TestPrefix(t *testing.T) {
	w := published(t)
	w.signer.Prefix = "some/inbox+1/"
	_, id := w.leave("b", "2")
	if c := w.counts(records(s3Record("inbox", submissionKey(ulidA), created))); c.Ignored != 1 || c.Committed != 0 {
		t.Errorf("outside of the prefix: %+v", c)
	}
	if c := w.counts(records(s3Record("inbox", "some/inbox+1/"+submissionKey(ulidA), created))); c.Committed != 1 {
		t.Errorf("inside of the prefix: %+v", c)
	}
	w.receipt(id)
}

// TestIgnored: what is none of ours is left alone, said in the log, and no
// reason to send it again.
func TestIgnored(t *testing.T) {
	w := published(t)
	w.leave("b", "2")
	before, inbox := contents(t, w.public), contents(t, w.private)
	own := scripts + "/receipts/" + strings.Repeat("0", 64) + ".json"
	for _, tt := range []struct{ name, event, reason string }{
		{"another bucket", records(s3Record("other", submissionKey(ulidA), created)), "another bucket"},
		{"another bucket, bridged", bridged("other", submissionKey(ulidA), "Object Created"), "another bucket"},
		{"a delete", records(s3Record("inbox", submissionKey(ulidA), "ObjectRemoved:Delete")), "not the creation"},
		{"a delete, bridged", bridged("inbox", submissionKey(ulidA), "Object Deleted"), "not the creation"},
		{"own receipt", records(s3Record("inbox", own, created)), "not a submission"},
		{"own key", records(s3Record("inbox", scripts+"/keys/snapshot/00.json", created)), "not a submission"},
		{"a part", records(s3Record("inbox", scripts+"/parts/00", created)), "not a submission"},
		{"a part with the name of a submission", records(s3Record("inbox", scripts+"/parts/"+ulidA+".json", created)), "not a submission"},
		{"quarantined", records(s3Record("inbox", scripts+"/submissions/quarantine/"+ulidA+".json", created)), "not a submission"},
		{"no ULID", records(s3Record("inbox", submissionKey("x"), created)), "not a submission"},
		{"no collection", records(s3Record("inbox", "../submissions/"+ulidA+".json", created)), "not a submission"},
		{"test event", `{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"inbox"}`, "a test event"},
		{"test event in sqs", records(queued("1", `{"Event":"s3:TestEvent"}`, 1)), "a test event"},
		{"unknown record", records(`{"eventSource":"aws:ses"}`), "unknown source"},
		{"record of nulls", records(`{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":null}`), "malformed"},
		{"record without s3", records(`{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}`), "another bucket"},
		{"bad encoding", records(strings.Replace(s3Record("inbox", "KEY", created), "KEY", "%zz", 1)), "malformed"},
		{"bridged without an object", `{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"inbox"}}}`, "malformed"},
		{"bridged without detail", `{"source":"aws.s3","detail-type":"Object Created"}`, "malformed"},
		{"not JSON in sqs", records(queued("1", "hello", 1)), "a message of an unknown kind"},
		{"a request in sqs", records(queued("1", commitEvent(ulidA), 1)), "a message of an unknown kind"},
		{"sqs in sqs", records(queued("1", records(queued("2", "x", 1)), 1)), "unknown source"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			w.restart()
			answer, err := w.handle(tt.event)
			if err != nil {
				t.Fatal(err)
			}
			if queue := strings.Contains(tt.event, "aws:sqs"); queue && answer != `{"batchItemFailures":[]}` || !queue && !strings.Contains(answer, `"ignored":1`) {
				t.Errorf("answer %s", answer)
			}
			w.wantLogged(tt.reason)
		})
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Errorf("the public store changed:\n%s", diff)
	}
	if diff := cmp.Diff(inbox, contents(t, w.private)); diff != "" {
		t.Errorf("the inbox changed:\n%s", diff)
	}
}

// TestRefusedEvents is what is refused at once, with a reason and a hint.
func TestRefusedEvents(t *testing.T) {
	w := published(t)
	before, inbox := contents(t, w.public), contents(t, w.private)
	for _, tt := range []struct{ event, says string }{
		{"", "empty"},
		{"hello", "malformed"},
		{"null", "malformed"},
		{"[]", "malformed"},
		{"{}", "unknown kind"},
		{`{"Records":[]}`, "unknown kind"},
		{`{"Records":null}`, "malformed"},
		{`{"Records":[null]}`, "malformed"},
		{`{"records":[]}`, "only in case"},
		{`{"action":"commit","action":"keys"}`, "malformed"},
		{"{\"action\":\"\xff\"}", "UTF-8"},
		{`{"action":"refresh"} x`, "malformed"},
		{`{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "deeper"},
		{`{"x":"` + strings.Repeat("x", 6<<20) + `"}`, "at most"},
		{`{"source":"aws.ec2","detail-type":"Object Created"}`, "aws.ec2"},
		{`{"source":"aws.scheduler","detail-type":"Something Else"}`, "unknown kind"},
		{`{"action":"delete","collection":"` + scripts + `"}`, `unknown action "delete"`},
		{`{"action":7}`, "malformed"},
		{`{"action":"refresh","force":true}`, "malformed"},
		{`{"action":"keys"}`, "not a collection name"},
		{`{"action":"keys","collection":"../x"}`, "not a collection name"},
		{`{"action":"keys","collection":"example.com/metadata"}`, "reserved"},
		{`{"action":"keys","collection":"` + strings.Repeat("x", 300) + `"}`, "300 characters"},
		{`{"action":"refresh","collection":"UPPER"}`, "not a collection name"},
		{`{"action":"commit","collection":"` + scripts + `"}`, "not the name of a submission"},
		{commitEvent("../../x"), "not the name of a submission"},
		{commitEvent("quarantine/" + ulidA), "not the name of a submission"},
		{commitEvent(ulidA), "is not in the inbox"},
		{`{"action":"rotate-key","collection":"` + scripts + `"}`, "not an online role"},
		{`{"action":"rotate-key","collection":"` + scripts + `","role":"root"}`, "not an online role"},
		{`{"action":"rotate-key","collection":"example.com/none","role":"snapshot"}`, "not published"},
		{`{"action":"keys","collection":"evil.com/x"}`, "may not be created"},
		{`{"action":"cosign","collection":"example.com/none"}`, "not published"},
	} {
		w.wantRefused(tt.event, tt.says)
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Errorf("the public store changed:\n%s", diff)
	}
	if diff := cmp.Diff(inbox, contents(t, w.private)); diff != "" {
		t.Errorf("the inbox changed:\n%s", diff)
	}
}

// TestManyRecords sweeps each collection once, however often it is named.
func TestManyRecords(t *testing.T) {
	w := published(t)
	_, id := w.leave("b", "2")
	counter := storagetest.NewCounter(w.private)
	w.restartWith(w.public, counter.Store())
	var all []string
	for i := range 1000 {
		name := ulidA
		if i%2 == 1 {
			name = ulidB
		}
		all = append(all, s3Record("inbox", submissionKey(name), created))
	}
	if c := w.counts(records(all...)); c.Committed != 1 {
		t.Errorf("%+v", c)
	}
	if n := counter.Counts().Lists; n != 1 {
		t.Errorf("%d listings, want 1", n)
	}
	w.receipt(id)
}

// restartWith is a new instance that sees other stores.
func (w *world) restartWith(public, private storage.Store) {
	w.restart()
	w.signer.Public, w.signer.Private = public, private
}

// TestFailure: what failed comes again. A message of a queue does so by itself,
// but not for ever: the schedule will get to it.
func TestFailure(t *testing.T) {
	const other = "example.com/other"
	w := published(t)
	w.leave("b", "2")
	s3, s3Other := s3Record("inbox", submissionKey(ulidA), created), s3Record("inbox", other+"/submissions/"+ulidA+".json", created)
	faults := storagetest.NewFaults(w.public, func(r storagetest.Request) storagetest.Fault {
		if r.Key == repo.TimestampKey(scripts) {
			return storagetest.Lost
		}
		return storagetest.None
	})
	w.restartWith(faults.Store(), w.private)
	for _, event := range []string{schedule, records(s3), records(s3, s3Other), bridged("inbox", submissionKey(ulidA), "Object Created"), commitEvent(ulidA)} {
		if answer, err := w.handle(event); err == nil && event != commitEvent(ulidA) {
			t.Errorf("%s: %s, want an error", event, answer)
		}
	}
	answer, err := w.handle(records(queued("first", records(s3), 1), queued("fifth", records(s3), 5), queued("fine", records(s3Other), 1)))
	if want := `{"batchItemFailures":[{"itemIdentifier":"first"}]}`; err != nil || answer != want {
		t.Errorf("answer %s %v, want %s", answer, err, want)
	}
	w.wantWaiting(1)
	if !strings.Contains(w.metrics.String(), `"Failures":1`) {
		t.Errorf("no failure is counted:\n%s", w.metrics)
	}
	w.restart()
	if c := w.counts(schedule); c.Committed != 1 {
		t.Errorf("after the store works again: %+v", c)
	}
	w.wantSound()
}

// TestOnly: of two functions, each does its part.
func TestOnly(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	w.now = w.now.Add(8 * 24 * time.Hour)

	w.signer.Only = lambda.Refreshing
	w.wantRefused(commitEvent(submission), "only refreshes")
	w.wantRefused(keysEvent, "only refreshes")
	if c := w.counts(records(s3Record("inbox", submissionKey(submission), created))); c.Committed != 0 {
		t.Errorf("the refreshing function committed: %+v", c)
	}
	if c := w.counts(schedule); c.Refreshed != 1 || c.Committed != 0 {
		t.Errorf("the refreshing function: %+v", c)
	}
	w.now = w.now.Add(8 * 24 * time.Hour)

	w.restart()
	w.signer.Only = lambda.Publishing
	w.wantRefused(refreshAll, "does not refresh")
	if c := w.counts(schedule); c.Refreshed != 0 || c.Committed != 1 {
		t.Errorf("the publishing function: %+v", c)
	}
	w.receipt(id)
}
