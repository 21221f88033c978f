package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// TestAttempts: a submission that instances die of is put aside after three, but
// not as long as one of them may be at work.
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

// TestOutOfTime: an attempt that ends because time is up is one that never came
// back.
func TestOutOfTime(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		w.restartWith(endless{w.public, cancel}, w.private)
		if answer, err := w.signer.Handle(ctx, []byte(commitEvent(submission))); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s %v", answer, err)
		}
	}
	w.restart()
	w.now = w.now.Add(time.Hour)
	w.counts(schedule)
	if r := w.receipt(id); r.Refused == nil || !strings.Contains(r.Refused.Error, "put it aside") {
		t.Errorf("%+v", r)
	}
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
	w.put(w.private, repo.AttemptsKey(scripts, ulidA), `{"count":1,"last":"2026-11-22T12:00:00Z"}`)
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
	if want := fmt.Sprintf("%+v", storagetest.Counts{Reads: 3, Lists: 3}); costs[1] != want || costs[2] != want {
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
