package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/lambda"
	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// die has an instance die as soon as it writes to the public store.
func (w *world) die(submission string) {
	w.t.Helper()
	dead := false
	hook := func(r storagetest.Request) storagetest.Fault {
		dead = dead || r.Method == "PUT" && !strings.HasPrefix(r.Key, repo.SignerDir)
		if dead {
			return storagetest.Lost
		}
		return storagetest.None
	}
	w.restartWith(storagetest.NewFaults(w.public, hook).Store(), storagetest.NewFaults(w.private, hook).Store())
	if answer, err := w.handle(commitEvent(submission)); !errors.Is(err, storagetest.ErrInjected) {
		w.t.Fatalf("%s %v", answer, err)
	}
	w.restart()
}

// TestAttempts: a submission that instances die of is put aside after three, and
// one more later, but not as long as one of them may be at work.
func TestAttempts(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	before := contents(t, w.public)
	for range 3 {
		w.die(submission)
	}
	if answer, err := w.handle(commitEvent(submission)); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("%s %v", answer, err)
	}
	w.wantWaiting(1)
	w.now = w.now.Add(21 * time.Minute)
	w.die(submission)
	if answer, err := w.handle(commitEvent(submission)); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("%s %v", answer, err)
	}
	w.now = w.now.Add(21 * time.Minute)
	if c := w.counts(schedule); c.Refused != 1 || c.Failed != 0 {
		t.Errorf("%+v", c)
	}
	if r := w.receipt(id); r.Refused == nil || !strings.Contains(r.Refused.Error, "put it aside") || !strings.Contains(r.Refused.Hint, submission) {
		t.Errorf("%+v", r)
	}
	w.wantWaiting(0)
	w.wantNoAttempts()
	w.wantLogged("never came back")
	after := contents(t, w.public)
	for key, data := range before {
		if after[key] != data {
			t.Errorf("%s changed", key)
		}
	}
	w.publish("c", "3")
	w.wantSound()
}

func (w *world) wantNoAttempts() {
	w.t.Helper()
	for key := range contents(w.t, w.private) {
		if strings.HasPrefix(key, repo.AttemptsDir) {
			w.t.Errorf("%s is still there", key)
		}
	}
}

// TestAttemptsForgotten: two deaths do not keep a submission from being
// committed, and nothing is left of them.
func TestAttemptsForgotten(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	w.die(submission)
	w.die(submission)
	w.counts(schedule)
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
	w.wantNoAttempts()
	w.wantSound()
}

// TestFailuresAreNoAttempts: what comes back with an error may come back so for
// ever.
func TestFailuresAreNoAttempts(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	w.restart()
	w.service.err = errors.New("ThrottlingException")
	for range 5 {
		if answer, err := w.handle(commitEvent(submission)); err == nil || !strings.Contains(err.Error(), "Throttling") {
			t.Errorf("%s %v", answer, err)
		}
		w.wantNoAttempts()
		w.now = w.now.Add(time.Hour)
	}
	w.service.err = nil
	w.counts(schedule)
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
}

// TestHung: a store or a service that does not answer costs a submission
// nothing, however often: the attempt ends before the function does, and takes
// itself back.
func TestHung(t *testing.T) {
	for _, tt := range []struct {
		name string
		hang func(w *world)
	}{
		{"the public store, reading", func(w *world) { w.restartWith(hung{w.public, "GET"}, w.private) }},
		{"the public store, writing", func(w *world) { w.restartWith(hung{w.public, "PUT"}, w.private) }},
		{"the service", func(w *world) { w.restart(); w.signer.Keys = hungKeys{w.signer.Keys} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := published(t)
				submission, id := w.leave("b", "2")
				for range 5 {
					tt.hang(w)
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					answer, err := w.signer.Handle(ctx, []byte(commitEvent(submission)))
					if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
						t.Fatalf("%s %v, the function: %v", answer, err, ctx.Err())
					}
					cancel()
					w.wantNoAttempts()
					w.now = w.now.Add(time.Hour)
				}
				w.restart()
				w.counts(schedule)
				if r := w.receipt(id); r.Refused != nil {
					t.Errorf("%+v", r.Refused)
				}
			})
		})
	}
}

// TestOutOfTime: an attempt takes itself back also when it is slow to the end
// of its run.
func TestOutOfTime(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	for range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		w.restartWith(endless{w.public, cancel}, w.private)
		if answer, err := w.signer.Handle(ctx, []byte(commitEvent(submission))); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s %v", answer, err)
		}
		w.wantNoAttempts()
	}
	w.restart()
	w.now = w.now.Add(time.Hour)
	w.counts(schedule)
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
}

// hung is a store that does not answer requests of one method.
type hung struct {
	storage.Store
	method string
}

func (h hung) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if h.method == "PUT" {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return h.Store.Put(ctx, key, body, prev)
}

func (h hung) Get(ctx context.Context, key string) (storage.Object, error) {
	if h.method == "GET" {
		<-ctx.Done()
		return storage.Object{}, ctx.Err()
	}
	return h.Store.Get(ctx, key)
}

// hungKeys is a service that does not open keys.
type hungKeys struct{ lambda.Keys }

func (hungKeys) Open(ctx context.Context, _ *lambda.Key) (signature.Signer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// endless is a store to which a write takes all the time there is.
type endless struct {
	storage.Store
	end func()
}

func (e endless) Put(ctx context.Context, _ string, _ io.ReadSeeker, _ storage.Version) (storage.Version, error) {
	e.end()
	<-ctx.Done()
	return "", ctx.Err()
}

// TestLastAttempt: what three instances died of may be none of its doing, so it
// is tried once more after a while.
func TestLastAttempt(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	for range 3 {
		w.die(submission)
	}
	w.now = w.now.Add(21 * time.Minute)
	if c := w.counts(schedule); c.Committed != 1 {
		t.Errorf("%+v", c)
	}
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
	w.wantNoAttempts()
}

// TestAttemptsAtOnce: an attempt that ends leaves the others counted, in
// whatever order they began.
func TestAttemptsAtOnce(t *testing.T) {
	for _, firstEnds := range []bool{true, false} {
		w := published(t)
		submission, _ := w.leave("b", "2")
		var stores [2]*stopped
		var ended [2]chan error
		for n := range stores {
			stores[n], ended[n] = &stopped{w.public, make(chan struct{}), make(chan struct{})}, make(chan error, 1)
			w.restartWith(stores[n], w.private)
			signer := w.signer
			go func() {
				_, err := signer.Handle(t.Context(), []byte(commitEvent(submission)))
				ended[n] <- err
			}()
			<-stores[n].begun
		}
		n := 0
		if !firstEnds {
			n = 1
		}
		close(stores[n].goOn)
		if err := <-ended[n]; !errors.Is(err, storagetest.ErrInjected) {
			t.Error(err)
		}
		note := contents(t, w.private)[repo.AttemptsKey(scripts, submission)]
		if got := strings.Count(note, "2026-"); got != 1 {
			t.Errorf("%d attempts are noted while one is under way: %s", got, note)
		}
		close(stores[1-n].goOn)
		<-ended[1-n]
		w.wantNoAttempts()
	}
}

// stopped is a store of which the first write waits, and fails.
type stopped struct {
	storage.Store
	begun, goOn chan struct{}
}

func (s *stopped) Put(context.Context, string, io.ReadSeeker, storage.Version) (storage.Version, error) {
	close(s.begun)
	<-s.goOn
	return "", storagetest.ErrInjected
}

// forgetful panics once after timestamp.json moved.
type forgetful struct {
	storage.Store
	moved, done *atomic.Bool
}

func (f forgetful) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	v, err := f.Store.Put(ctx, key, body, prev)
	if key == repo.TimestampKey(scripts) {
		f.moved.Store(true)
	}
	return v, err
}

func (f forgetful) Get(ctx context.Context, key string) (storage.Object, error) {
	if f.moved.Load() && !f.done.Swap(true) {
		panic("after the fact")
	}
	return f.Store.Get(ctx, key)
}

// TestPanicAfterPublishing: what is published is not refused.
func TestPanicAfterPublishing(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	w.restartWith(forgetful{Store: w.public, moved: &atomic.Bool{}, done: &atomic.Bool{}}, w.private)
	answer, err := w.handle(commitEvent(submission))
	if err != nil || strings.Contains(answer, "refused") {
		t.Errorf("%s %v", answer, err)
	}
	if r := w.receipt(id); r.Refused != nil || r.Versions["targets"] != 2 {
		t.Errorf("%+v", r)
	}
	w.wantLogged("after the fact")
	w.wantWaiting(0)
	if _, ok := contents(t, w.private)[repo.QuarantineKey(scripts, submission)]; ok {
		t.Error("it is in quarantine")
	}
	w.restart()
	w.wantSound()
	w.publish("c", "3")
}

// panicWriter is where metrics go, and something is wrong with them.
type panicWriter struct{}

func (panicWriter) Write([]byte) (int, error) { panic("no metrics") }

// TestPanicOfMetrics: what is done stays done, whatever happens as it is counted.
func TestPanicOfMetrics(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	w.restart()
	w.signer.Metrics = panicWriter{}
	answer, err := w.handle(commitEvent(submission))
	if r := w.receipt(id); err != nil || strings.Contains(answer, "refused") || r.Refused != nil {
		t.Errorf("%s %v, receipt %+v", answer, err, r)
	}
	w.wantLogged("not counted")
	w.wantWaiting(0)
}

// TestTidy: notes on submissions that are gone go with the next sweep.
func TestTidy(t *testing.T) {
	w := published(t)
	waiting, _ := w.leave("b", "2")
	w.put(w.private, repo.AttemptsKey(scripts, ulidA), `{"begun":{"another":"2026-11-22T12:00:00Z"}}`)
	w.put(w.private, repo.AttemptsKey(scripts, waiting), `not a note`)
	if c := w.counts(schedule); c.Committed != 1 {
		t.Errorf("%+v", c)
	}
	w.wantNoAttempts()
}

// TestOversized: a manifest that is not even read is put aside by its name, and
// costs nothing from then on.
func TestOversized(t *testing.T) {
	e := newEstate(storage.NewMemory(), storage.NewMemory())
	if err := e.add(t.Context(), scripts, nil); err != nil {
		t.Fatal(err)
	}
	put(t, e.private.Store(), submissionKey(ulidA), strings.Repeat("x", 65<<10))
	box := repo.Inbox{Store: e.private.Store(), Collection: scripts}
	var costs []string
	for range 3 {
		_, cost, err := e.sweep(t.Context(), schedule)
		if err != nil {
			t.Fatal(err)
		}
		costs = append(costs, fmt.Sprintf("%+v", cost.Private))
	}
	if want := fmt.Sprintf("%+v", storagetest.Counts{Reads: 3, Lists: 4}); costs[1] != want || costs[2] != want {
		t.Errorf("the sweeps cost %v, want %s in the end", costs, want)
	}
	var aside []string
	for name, err := range box.Quarantined(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		aside = append(aside, name)
	}
	if len(aside) != 1 || aside[0] != ulidA {
		t.Errorf("quarantined: %v", aside)
	}
}
