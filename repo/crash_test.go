package repo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// An operation is one command that writes, from the state that prepare leaves
// to the one that run leads to.
type operation struct {
	name    string
	prepare func(w *world)
	run     func(w *world) error
}

var allOperations = []operation{
	{"init", func(*world) {}, publishing()},
	{"init with targets", func(*world) {}, publishing(add("a", "1"), add("dir/b", "2"))},
	{"first publish", func(w *world) { w.mustPublish() }, publishing(add("a", "1"), add("dir/b", "2"))},
	{"second publish", func(w *world) {
		w.mustPublish(add("a", "1"), add("b", "2"), add("c", "3"))
	}, publishing(add("a", "one"), remove("b"), add("d", "4"))},
	{"publish to two roles", func(w *world) {
		w.mustPublish(add("a", "1"))
		w.delegate("targets", "ci", "ci/*")
		w.mustPublish(in("ci", add("ci/x", "1")))
	}, publishing(add("a", "one"), in("ci", add("ci/x", "one")), in("ci", add("ci/y", "2")))},
	{"publish of what is in the store", func(w *world) {
		w.mustPublish(add("a", "1"))
		if _, err := w.store.Put(w.t.Context(), repo.TargetKey(collection, "b", sum("2")), strings.NewReader("2"), storage.Absent); err != nil {
			w.t.Fatal(err)
		}
	}, publishing(stored(add("b", "2")))},
	{"refresh of what is due", func(w *world) {
		w.mustPublish(add("a", "1"))
		w.now = w.now.Add(8 * 24 * time.Hour)
	}, refreshing(false)},
	{"refresh of what has expired", func(w *world) {
		w.mustPublish(add("a", "1"))
		w.now = w.now.Add(40 * 24 * time.Hour)
	}, refreshing(false)},
	{"forced refresh", func(w *world) {
		w.mustPublish(add("a", "1"))
		w.now = w.now.Add(time.Minute)
	}, refreshing(true)},
}

// operations is all of them, or in a short run every third.
func operations() []operation {
	if !testing.Short() {
		return allOperations
	}
	var some []operation
	for i := 0; i < len(allOperations); i += 3 {
		some = append(some, allOperations[i])
	}
	return some
}

// stored is an addition whose bytes are in the store already.
func stored(c repo.Change) repo.Change {
	c.Source = ""
	return c
}

func publishing(changes ...repo.Change) func(*world) error {
	return func(w *world) error {
		_, err := w.publish(changes...)
		return err
	}
}

func refreshing(force bool) func(*world) error {
	return func(w *world) error {
		_, err := w.refresh(force)
		return err
	}
}

// A scene is a collection before an operation, and what the operation leads to.
type scene struct {
	*world
	operation
	client   *stockClient // that pulled before
	reached  int64        // the newest root then
	old, new *seen        // old is nil if nothing was published
}

// newScene prepares an operation and runs it once, without faults, on a copy.
func newScene(t *testing.T, op operation) *scene {
	t.Helper()
	s := &scene{world: newWorld(t), operation: op}
	op.prepare(s.world)
	s.client = newStockClient(t, s.world.root)
	done := s.process(t, func(s storage.Store) storage.Store { return s })
	if err := op.run(done); err != nil {
		t.Fatal(err)
	}
	list, err := done.view().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, target := range list {
		all = append(all, target.Name)
	}
	if s.new, err = (&stockClient{root: s.root}).pull(t.Context(), done.store, s.now, all); err != nil {
		t.Fatal(err)
	}
	if s.old, err = s.client.pull(t.Context(), s.store, s.before(), everyName); err != nil && len(objects(t, s.store)) > 0 {
		t.Fatal(err)
	}
	if s.old != nil {
		then := *s.world
		then.now = s.before()
		s.reached = then.view().Root().Signed.Version
	}
	return s
}

// everyName is every target that an operation knows.
var everyName = []string{"a", "b", "c", "d", "dir/b", "ci/x", "ci/y", "no such target"}

// before is a time at which what an operation starts from has not expired.
func (s *scene) before() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// process is another process at work on a copy of the collection, by a store
// that breaks.
func (s *scene) process(t *testing.T, breaking func(storage.Store) storage.Store) *world {
	t.Helper()
	w := s.with(t, nil, s.cache.clone())
	w.store = breaking(storagetest.Immutable(t, copyStore(t, s.store, func() time.Time { return s.now })))
	return w
}

// requests counts those of one method that the operation makes.
func (s *scene) requests(t *testing.T, method string) int {
	t.Helper()
	var f *storagetest.Faults
	w := s.process(t, func(inner storage.Store) storage.Store {
		f = storagetest.NewFaults(inner, func(storagetest.Request) storagetest.Fault { return storagetest.None })
		return f.Store()
	})
	if err := s.run(w); err != nil {
		t.Fatal(err)
	}
	return f.Requests(method)
}

// checkCrash runs the operation on a breaking store and proves what a crash
// must leave.
func (s *scene) checkCrash(t *testing.T, breaking func(storage.Store) storage.Store) error {
	t.Helper()
	var inner storage.Store
	w := s.process(t, func(st storage.Store) storage.Store {
		inner = st
		return breaking(st)
	})
	err := s.run(w)
	after := s.with(t, inner, w.cache)
	s.checkClients(t, after, err == nil)
	s.checkInvariants(t, after)
	s.checkConverges(t, after)
	return err
}

// checkClients asks a client that knows the old state and one that knows none,
// one that knows an older one still, and one that looked for a newer root before
// there was any.
func (s *scene) checkClients(t *testing.T, after *world, done bool) {
	t.Helper()
	clients := map[string]*stockClient{"old": s.client.clone(t), "fresh": {root: s.root}, "slow": {root: s.root}}
	if s.early != nil {
		clients["early"] = s.early.clone(t)
	}
	for name, client := range clients {
		var from storage.Getter = after.store
		if name == "slow" && !s.window {
			from = upTo{from, max(1, s.reached)}
		}
		// What has expired may be seen only by those who do not mind.
		got, err := client.pull(t.Context(), from, s.now, everyName)
		if err != nil && !done {
			got, err = client.pull(t.Context(), from, s.before(), everyName)
		}
		if err != nil && !done && s.window {
			continue
		}
		if err != nil && s.old != nil {
			t.Errorf("the %s client: %v", name, err)
		}
		if err != nil && done {
			t.Errorf("the %s client after a success: %v", name, err)
		}
		isOld, isNew := cmp.Equal(got, s.old), cmp.Equal(got, s.new)
		if !isNew && (done || !isOld) {
			t.Errorf("the %s client (success: %v) sees neither state:\n%s", name, done, cmp.Diff(s.new, got))
		}
	}
}

// checkInvariants runs a Checker, which may miss what was never published.
func (s *scene) checkInvariants(t *testing.T, after *world) {
	t.Helper()
	for _, problem := range after.check() {
		unborn := s.old == nil && strings.HasSuffix(problem, ".json: it is missing")
		waiting := s.window && strings.Contains(problem, "0 of 1 required signatures")
		if expired := strings.Contains(problem, "it expired at"); !unborn && !expired && !waiting {
			t.Errorf("check: %s", problem)
		}
	}
}

// checkConverges runs the operation again, in a fresh process, at once or
// later, and with or without what the crash left in the cache.
func (s *scene) checkConverges(t *testing.T, after *world) {
	t.Helper()
	for _, again := range []struct {
		wait  time.Duration
		cache memoryCache
	}{
		{0, after.cache.clone()},
		{0, s.newCache()},
		{time.Minute, after.cache.clone()},
		{25 * time.Hour, s.newCache()}, // what the crash left is burned
	} {
		w := after.with(t, nil, again.cache)
		w.now = s.now.Add(again.wait)
		w.store = storagetest.Immutable(t, copyStore(t, after.store, func() time.Time { return w.now }))
		if err := s.run(w); err != nil {
			t.Errorf("again after %v: %v", again.wait, err)
			continue
		}
		w.mustBeClean()
		got, err := s.client.clone(t).pull(t.Context(), w.store, w.now, everyName)
		if err != nil {
			t.Errorf("a client after the second run: %v", err)
			continue
		}
		if diff := cmp.Diff(s.new.Targets, got.Targets); diff != "" {
			t.Errorf("after the second run, %v later: %s", again.wait, diff)
		}
		if got.Timestamp.Before(s.new.Timestamp) || got.Snapshot.Before(s.new.Snapshot) {
			t.Errorf("after the second run timestamp and snapshot last until %v and %v, not %v and %v",
				got.Timestamp, got.Snapshot, s.new.Timestamp, s.new.Snapshot)
		}
	}
}

// TestCrashPut breaks every Put of every operation in every way.
func TestCrashPut(t *testing.T) {
	t.Parallel()
	faults := []storagetest.Fault{storagetest.Lost, storagetest.AppliedFailed, storagetest.AppliedAgain, storagetest.Killed}
	for _, op := range operations() {
		s := newScene(t, op)
		puts := s.requests(t, "PUT")
		if puts < 1 {
			t.Fatalf("%s makes no Put", op.name)
		}
		for n := range puts {
			for _, fault := range faults {
				t.Run(fmt.Sprintf("%s/%d %v", op.name, n+1, fault), func(t *testing.T) {
					err := s.checkCrash(t, func(inner storage.Store) storage.Store {
						return storagetest.NewFaults(inner, storagetest.OnPut(n+1, fault)).Store()
					})
					// A driver's own retry is nobody's failure; what is lost is told, and a dead process has no success.
					if fault == storagetest.AppliedAgain && err != nil || fault == storagetest.Killed && err == nil ||
						fault == storagetest.Lost && !errors.Is(err, storagetest.ErrInjected) {
						t.Errorf("the operation ended with %v", err)
					}
				})
			}
		}
	}
}

// TestCrashTwice: a driver's retry meets its own write, and then reading back
// fails: whether the write was ours is not known, so that is the error.
func TestCrashTwice(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	for _, broken := range []string{"GET 2.targets.json", "STAT 2.targets.json", "GET 2.snapshot.json", "STAT 2.snapshot.json"} {
		method, slot, _ := strings.Cut(broken, " ")
		p := w.with(t, nil, w.cache.clone())
		p.store = storagetest.NewFaults(copyStore(t, w.store, w.committer().Now), func(r storagetest.Request) storagetest.Fault {
			switch {
			case !strings.HasSuffix(r.Key, slot):
				return storagetest.None
			case r.Method == "PUT":
				return storagetest.AppliedAgain
			case r.Method == method:
				return storagetest.Lost
			}
			return storagetest.None
		}).Store()
		if _, err := p.publish(add("a", "1")); !errors.Is(err, storagetest.ErrInjected) {
			t.Errorf("%s: %v", broken, err)
		}
	}
}

// TestCrashRead breaks every Get and Stat of every operation.
func TestCrashRead(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		s := newScene(t, op)
		for _, method := range []string{"GET", "STAT"} {
			for n := range s.requests(t, method) {
				t.Run(fmt.Sprintf("%s/%s %d", op.name, method, n+1), func(t *testing.T) {
					err := s.checkCrash(t, func(inner storage.Store) storage.Store {
						return storagetest.NewFaults(inner, onNth(method, n+1, storagetest.Lost)).Store()
					})
					if !errors.Is(err, storagetest.ErrInjected) {
						t.Errorf("the operation ended with %v", err)
					}
				})
			}
		}
	}
}

// onNth breaks the n-th request of a method.
func onNth(method string, n int, f storagetest.Fault) func(storagetest.Request) storagetest.Fault {
	return func(r storagetest.Request) storagetest.Fault {
		if r.Method == method && r.Nth == n {
			return f
		}
		return storagetest.None
	}
}

// TestCrashTruncated cuts every answer short, by a store that says how long it
// should have been and by one that does not.
func TestCrashTruncated(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		s := newScene(t, op)
		for n := range s.requests(t, "GET") {
			for _, sized := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%d sized %v", op.name, n+1, sized), func(t *testing.T) {
					var st *truncating
					err := s.checkCrash(t, func(inner storage.Store) storage.Store {
						st = &truncating{stater: inner.(stater), nth: int64(n + 1), sized: sized}
						return st
					})
					var v *repo.VerifyError
					switch {
					case !st.cut && err != nil, st.cut && sized && !errors.Is(err, io.ErrUnexpectedEOF),
						st.cut && !sized && !errors.As(err, &v):
						t.Errorf("the operation (cut: %v) ended with %v", st.cut, err)
					}
				})
			}
		}
	}
}

type stater interface {
	storage.Store
	storage.Stater
}

// truncating is a store whose nth Get ends early.
type truncating struct {
	stater
	nth   int64
	sized bool
	n     atomic.Int64
	cut   bool // there was something to cut
}

func (s *truncating) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.stater.Get(ctx, key)
	if s.n.Add(1) == s.nth && err == nil {
		s.cut = true
		obj.Body = io.NopCloser(io.LimitReader(obj.Body, obj.Size/2))
		if !s.sized {
			obj.Size = -1
		}
	}
	return obj, err
}
