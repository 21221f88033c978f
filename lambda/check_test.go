package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/lambda"
	"publisher/repo"
	"publisher/storage"
)

// coyStore tells its clock and its sizes in some answers alone.
type coyStore struct {
	*storage.Memory
	size bool // of what is read
}

func (s coyStore) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.Memory.Get(ctx, key)
	obj.Date = time.Time{}
	if !s.size {
		obj.Size = -1
	}
	return obj, err
}

// TestClockOfStat: the clock counts in every answer that tells it.
func TestClockOfStat(t *testing.T) {
	w := published(t)
	w.leave("b", "2")
	m := w.newStore()
	for key, content := range contents(t, w.public) {
		w.put(m, key, content)
	}
	m.Date = func() time.Time { return w.now.Add(time.Hour) }
	w.restartWith(coyStore{m, true}, w.private)
	if answer, err := w.handle(schedule); err == nil || !strings.Contains(err.Error(), "the store's says") {
		t.Errorf("%s, %v, want a ClockError", answer, err)
	}
	w.wantWaiting(1)
}

// TestSizesUntold: a part whose size the store does not say is not read for the
// sake of finding out.
func TestSizesUntold(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	m := w.newStore()
	for key, content := range contents(t, w.private) {
		w.put(m, key, content)
	}
	w.restartWith(w.public, coyStore{m, false})
	answer, err := w.handle(commitEvent(submission))
	if err == nil && !strings.Contains(answer, `"refused"`) {
		t.Errorf("committed: %s", answer)
	}
}

// keysWith is a Keys of which a part fails.
type keysWith struct {
	lambda.Keys
	makeErr, openErr error
}

func (k keysWith) Make(ctx context.Context, collection, role string) (*lambda.Key, error) {
	if k.makeErr != nil {
		return nil, k.makeErr
	}
	return k.Keys.Make(ctx, collection, role)
}

func (k keysWith) Open(ctx context.Context, key *lambda.Key) (signature.Signer, error) {
	if k.openErr != nil {
		return nil, k.openErr
	}
	return k.Keys.Open(ctx, key)
}

// TestKeyUnproven: no key is told that could not be made, or not be opened again.
func TestKeyUnproven(t *testing.T) {
	failed := errors.New("no such luck")
	for _, keys := range []keysWith{{makeErr: failed}, {openErr: failed}} {
		w := newWorld(t)
		keys.Keys = w.signer.Keys
		w.signer.Keys = keys
		if answer, err := w.handle(keysEvent); !errors.Is(err, failed) {
			t.Errorf("%+v: %s, %v", keys, answer, err)
		}
	}
}

// TestTooManyKeys: a role's keys are listed, so their number is bounded.
func TestTooManyKeys(t *testing.T) {
	w := newWorld(t)
	for n := range 101 {
		w.put(w.private, repo.OnlineKeyKey(scripts, "snapshot", fmt.Sprintf("%064x", n)), "{}")
	}
	if answer, err := w.handle(keysEvent); err == nil || !strings.Contains(err.Error(), "more than 100 ") {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestNoBucket: who has not said where events come from gets none of them.
func TestNoBucket(t *testing.T) {
	w := published(t)
	w.leave("b", "2")
	w.signer.Bucket = ""
	if c := w.counts(records(s3Record("", submissionKey(ulidA), created))); c.Ignored != 1 || c.Committed != 0 {
		t.Errorf("%+v", c)
	}
}

// TestRequestForm: a request is read as a whole or not at all.
func TestRequestForm(t *testing.T) {
	w := published(t)
	for _, event := range []string{
		`{"action":"refresh","force":true}`, `{"action":"refresh","collection":null}`,
		`{"action":"cosign","collection":"` + scripts + `","root":"%"}`,
	} {
		w.wantRefused(event, "malformed")
	}
}

// only is a store that tells its clock with one kind of answer.
type only struct {
	*storage.Memory
	method string
}

func (o only) quiet(ctx context.Context, method string) context.Context {
	if o.method == method {
		return ctx
	}
	return storage.OnDate(ctx, func(time.Time) {})
}

func (o only) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := o.Memory.Get(o.quiet(ctx, "GET"), key)
	obj.Date = time.Time{}
	return obj, err
}

func (o only) Stat(ctx context.Context, key string) (storage.Info, error) {
	info, err := o.Memory.Stat(o.quiet(ctx, "STAT"), key)
	info.Date = time.Time{}
	return info, err
}

func (o only) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	return o.Memory.Put(o.quiet(ctx, "PUT"), key, body, prev)
}

func (o only) Delete(ctx context.Context, key string, prev storage.Version) error {
	return o.Memory.Delete(o.quiet(ctx, "DELETE"), key, prev)
}

func (o only) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return o.Memory.List(o.quiet(ctx, "LIST"), prefix)
}

// TestClockOfFirstAnswer: stores that have nothing yet tell the clock with what
// they answer first, and then nothing is written.
func TestClockOfFirstAnswer(t *testing.T) {
	for _, off := range []time.Duration{6 * time.Minute, -6 * time.Minute, 0} {
		for _, method := range []string{"GET", "LIST", "PUT"} {
			w := newWorld(t)
			public, private := w.newStore(), w.newStore()
			for _, m := range []*storage.Memory{public, private} {
				m.Date = func() time.Time { return w.now.Add(off) }
			}
			w.restartWith(only{public, method}, only{private, method})
			for _, event := range []string{keysEvent, refreshAll} {
				answer, err := w.handle(event)
				if said := err != nil && strings.Contains(err.Error(), "the store's says"); said != (off != 0) || off == 0 && err != nil {
					t.Errorf("%s off by %v, %s: %s %v", method, off, event, answer, err)
				}
			}
			if n := len(contents(t, private)); off != 0 && method != "PUT" && n > 0 {
				t.Errorf("%s off by %v: %d objects were written", method, off, n)
			}
		}
	}
}
