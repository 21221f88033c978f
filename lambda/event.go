package lambda

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"publisher/repo"
	"publisher/repo/strict"
)

const (
	// maxEvent is as much as a function is ever sent.
	maxEvent = 6 << 20

	// maxReceives is how often a message is taken from a queue again after its
	// collection failed; the schedule sweeps it then.
	maxReceives = 5
)

// envelope is what tells the kinds of events apart.
type envelope struct {
	Action     string           `json:"action"`
	Records    []jsontext.Value `json:"Records"`
	Source     string           `json:"source"`
	DetailType string           `json:"detail-type"`
	Detail     jsontext.Value   `json:"detail"`
	Event      string           `json:"Event"`
}

var envelopeShape = strict.Object(strict.Fields{
	"action": strict.String, "Records": strict.Array(strict.Map(strict.Any)), "source": strict.String,
	"detail-type": strict.String, "Event": strict.String,
})

const eventHint = "send a request with an action, a scheduled event, or events of the inbox's bucket"

func open(event []byte) (*envelope, error) {
	if len(event) == 0 {
		return nil, refused(eventHint, "the event is empty")
	}
	e := &envelope{}
	if err := strict.Check(event, maxEvent, envelopeShape); err != nil {
		return nil, refused(eventHint, "the event is malformed: %v", err)
	}
	if err := json.Unmarshal(event, e); err != nil {
		return nil, refused(eventHint, "the event is malformed: %v", err)
	}
	return e, nil
}

func (s *Signer) dispatch(ctx context.Context, event []byte) (any, error) {
	e, err := open(event)
	switch {
	case err != nil:
		return nil, err
	case e.Action != "":
		return s.request(ctx, event)
	case e.isSchedule():
		return s.scheduled(ctx)
	}
	h := &hints{signer: s, ignored: map[string]int{}, messages: map[string][]message{}}
	if !h.take(e, nil) {
		return nil, refused(eventHint, "an event of an unknown kind (source %.80q, %.80q)", e.Source, e.DetailType)
	}
	return s.follow(ctx, h)
}

// isSchedule: a rule of EventBridge, or its Scheduler.
func (e *envelope) isSchedule() bool {
	return (e.Source == "aws.events" || e.Source == "aws.scheduler") && e.DetailType == "Scheduled Event"
}

// hints is which collections events speak of. What they say of them is not
// relied on.
type hints struct {
	signer      *Signer
	collections []string
	queued      bool                 // some came from a queue
	messages    map[string][]message // those that spoke of a collection
	ignored     map[string]int       // by reason
}

// message is one of a queue.
type message struct {
	id       string
	received int // how often
}

// take reads an event that came by itself or in a message. It returns false for
// one that it does not know.
func (h *hints) take(e *envelope, from *message) bool {
	switch {
	case len(e.Records) > 0:
		for _, r := range e.Records {
			h.record(r, from)
		}
	case e.Source == "aws.s3":
		h.bridged(e, from)
	case e.Event == "s3:TestEvent":
		h.ignore("a test event")
	default:
		return false
	}
	return true
}

func (h *hints) ignore(reason string) { h.ignored[reason]++ }

// s3Object is where an object is, in both forms of its events.
type s3Object struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key string `json:"key"`
	} `json:"object"`
}

var s3ObjectShape = strict.Object(strict.Fields{
	"bucket": strict.Object(strict.Fields{"name": strict.String}, "name"),
	"object": strict.Object(strict.Fields{"key": strict.String}, "key"),
}, "bucket", "object")

// record is one of S3 or of SQS.
type record struct {
	Source    string   `json:"eventSource"`
	Name      string   `json:"eventName"`
	S3        s3Object `json:"s3"`
	MessageID string   `json:"messageId"`
	Body      string   `json:"body"`
	Attribute struct {
		Received string `json:"ApproximateReceiveCount"`
	} `json:"attributes"`
}

var recordShape = strict.Object(strict.Fields{
	"eventSource": strict.String, "eventName": strict.String, "s3": s3ObjectShape,
	"messageId": strict.String, "body": strict.String,
	"attributes": strict.Object(strict.Fields{"ApproximateReceiveCount": strict.String}),
})

func (h *hints) record(data jsontext.Value, from *message) {
	var r record
	if strict.Check(data, maxEvent, recordShape) != nil || json.Unmarshal(data, &r) != nil {
		h.ignore("a malformed record")
		return
	}
	switch {
	case r.Source == "aws:sqs" && from == nil:
		h.queued = true
		received, _ := strconv.Atoi(r.Attribute.Received)
		h.message(r.Body, &message{r.MessageID, received})
	case r.Source != "aws:s3" && r.Source != "minio:s3":
		h.ignore("a record of an unknown source")
	case !strings.HasPrefix(r.Name, "ObjectCreated:") && !strings.HasPrefix(r.Name, "s3:ObjectCreated:"):
		h.ignore("not the creation of an object")
	default:
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			h.ignore("a malformed record")
			return
		}
		h.object(r.S3.Bucket.Name, key, from)
	}
}

func (h *hints) message(body string, m *message) {
	e, err := open([]byte(body))
	if err != nil || !h.take(e, m) {
		h.ignore("a message of an unknown kind")
	}
}

// bridged is an event of S3 that came through EventBridge, where keys are not
// encoded.
func (h *hints) bridged(e *envelope, from *message) {
	if e.DetailType != "Object Created" {
		h.ignore("not the creation of an object")
		return
	}
	var at s3Object
	if strict.Check(e.Detail, maxEvent, s3ObjectShape) != nil || json.Unmarshal(e.Detail, &at) != nil {
		h.ignore("a malformed record")
		return
	}
	h.object(at.Bucket.Name, at.Object.Key, from)
}

// object takes note of a new object if it is a submission. The signer's own
// writes are not, nor are the parts that come before.
func (h *hints) object(bucket, key string, from *message) {
	s := h.signer
	if s.Bucket == "" || bucket != s.Bucket {
		h.ignore("another bucket")
		return
	}
	if prefix := strings.Trim(s.Prefix, "/"); prefix != "" {
		var ok bool
		if key, ok = strings.CutPrefix(key, prefix+"/"); !ok {
			h.ignore("outside the inbox")
			return
		}
	}
	p, ok := repo.ParsePrivate(key)
	if !ok || !isSubmission(p) {
		h.ignore("not a submission")
		return
	}
	if !slices.Contains(h.collections, p.Collection) {
		h.collections = append(h.collections, p.Collection)
	}
	if from != nil {
		h.messages[p.Collection] = append(h.messages[p.Collection], *from)
	}
}

// queueAnswer names the messages that are to come again.
type queueAnswer struct {
	Failures []queueFailure `json:"batchItemFailures"`
}

type queueFailure struct {
	ID string `json:"itemIdentifier"`
}

// follow sweeps each collection once, however many events spoke of it.
func (s *Signer) follow(ctx context.Context, h *hints) (any, error) {
	t := &tally{}
	for reason, n := range h.ignored {
		s.Log.Warn("events ignored", "reason", reason, "count", n)
		t.counts.Ignored += n
	}
	if s.Only == Refreshing {
		s.Log.Warn("events ignored", "reason", "this function only refreshes", "count", len(h.collections))
		h.collections = nil
	}
	left := s.sweepCollections(ctx, t, h.collections)
	counts, err := s.finish(t)
	if !h.queued {
		return counts, err
	}
	answer := &queueAnswer{Failures: []queueFailure{}}
	for _, collection := range left {
		for _, m := range h.messages[collection] {
			if m.received < maxReceives {
				answer.Failures = append(answer.Failures, queueFailure{m.id})
			}
		}
	}
	return answer, nil
}

// sweepCollections returns those that it did not finish.
func (s *Signer) sweepCollections(ctx context.Context, t *tally, collections []string) (left []string) {
	var group errgroup.Group
	var mu sync.Mutex
	group.SetLimit(sweepers)
	for _, collection := range collections {
		group.Go(func() error {
			if s.sweepCollection(ctx, t, collection) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			left = append(left, collection)
			return nil
		})
	}
	group.Wait()
	return left
}
