package repo_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// copyAndPrune brings a mirror up to date, and removes what was garbage before.
func (w *world) copyAndPrune(to storage.Store) (int, error) {
	m := &repo.Mirror{
		Source: w.store, Store: to,
		Loader: &repo.Loader{Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now},
	}
	v, _, err := m.Load(w.t.Context())
	if err != nil {
		return 0, err
	}
	p := &repo.Pruner{Store: to, Collection: collection, Now: w.now, Keep: repo.DefaultKeep}
	garbage, err := p.Find(w.t.Context(), v)
	if err != nil {
		return 0, err
	}
	if _, err := m.Copy(w.t.Context(), v); err != nil {
		return 0, err
	}
	return p.Remove(w.t.Context(), v, garbage)
}

func (w *world) mustPrune(to storage.Store) int {
	w.t.Helper()
	n, err := w.copyAndPrune(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestPrune: what was in force in the mirror within thirty days stays there, and
// what the source publishes; the rest goes. The timestamp is the source's.
func TestPrune(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("old", "old"), add("kept", "kept"), add("back", "back"))
	to := w.newMemory()
	if n := w.mustPrune(to); n != 0 {
		t.Errorf("%d objects gone of a mirror that was empty", n)
	}
	w.days(90)
	w.mustPublish(remove("old"), remove("back"))
	if n := w.mustPrune(to); n != 0 {
		t.Errorf("%d objects gone that were in force until now", n)
	}
	old, back := repo.TargetKey(collection, "old", sum("old")), repo.TargetKey(collection, "back", sum("back"))
	w.days(29)
	if n := w.mustPrune(to); n != 0 || objects(t, to)[old] == "" {
		t.Errorf("%d objects gone that were in force 29 days ago", n)
	}
	w.days(31)
	w.mustPublish(add("back", "back")) // the plan of before the copy has it, the copy needs it
	w.put(to, repo.MetadataDir(collection)+"/notes.txt", "of somebody's")
	if n := w.mustPrune(to); n == 0 {
		t.Error("nothing goes that was replaced 60 days ago")
	}
	left := objects(t, to)
	for key, want := range map[string]bool{
		old: false, back: true, repo.SlotKey(collection, tuf.RoleTargets, 1): false, repo.SlotKey(collection, tuf.RoleRoot, 1): true,
		repo.MetadataDir(collection) + "/notes.txt": true, repo.TargetKey(collection, "kept", sum("kept")): true,
	} {
		if _, found := left[key]; found != want {
			t.Errorf("%s is there: %v", key, found)
		}
	}
	if left[repo.TimestampKey(collection)] != objects(t, w.store)[repo.TimestampKey(collection)] {
		t.Error("the timestamp is not the source's")
	}
	w.with(t, to, w.newCache()).mustBeClean()
	if n := w.mustPrune(to); n != 0 {
		t.Errorf("another run removes %d objects", n)
	}
}

// TestPruneStranger: also where snapshots do not name the one before, and a
// mirror has but some of them.
func TestPruneStranger(t *testing.T) {
	s := newStranger(t)
	to := s.newMemory()
	s.put(to, repo.TargetKey(collection, "stray", sum("stray")), "stray")
	s.put(to, repo.SlotKey(collection, "child", 7), "stray")
	s.mustMirror(to)
	s.now = s.now.Add(60 * 24 * time.Hour)
	if n := s.mustPrune(to); n != 2 {
		t.Errorf("%d objects gone, of 2 that nobody finds", n)
	}
	s.with(t, to, s.newCache()).mustBeClean()
}

// TestPruneInterrupted breaks the removal at every request; what is published
// stays whole, and another run removes the rest.
func TestPruneInterrupted(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"), add("b", "two"))
	before := w.newMemory()
	w.mustMirror(before)
	w.days(1)
	w.mustPublish(add("a", "three"), remove("b"))
	w.mustMirror(before)
	w.days(60)
	w.mustMirror(before)
	whole := w.newMemory()
	w.mustMirror(whole)
	for _, fault := range []storagetest.Fault{storagetest.Lost, storagetest.AppliedFailed, storagetest.Killed} {
		reached := true
		for n := 1; reached; n++ {
			reached = false
			to := copyStore(t, before, func() time.Time { return w.now })
			broken := w.with(t, to, w.newCache()).onRequest(n, func() storagetest.Fault { reached = true; return fault })
			_, _ = w.copyAndPrune(broken.Store()) // it may have been the last request
			w.with(t, to, w.newCache()).mustBeClean()
			w.mustPrune(to)
			there := w.with(t, to, w.newCache())
			there.mustBeClean()
			if key := repo.TargetKey(collection, "b", sum("two")); objects(t, to)[key] != "" {
				t.Fatalf("%v at request %d: %s is still there", fault, n, key)
			}
		}
	}
}

// TestPruneRefuses: what would be guesswork.
func TestPruneRefuses(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	v := w.view()
	if _, err := v.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	to := w.newMemory()
	w.mustMirror(to)
	find := func(keep time.Duration, s storage.Store) error {
		_, err := (&repo.Pruner{Store: s, Collection: collection, Now: w.now, Keep: keep}).Find(t.Context(), v)
		return err
	}
	if err := find(time.Hour, to); err == nil {
		t.Error("it keeps nothing for longer than an hour")
	}
	to.Date = func() time.Time { return w.now.Add(-time.Hour) }
	if err := find(repo.DefaultKeep, to); err == nil {
		t.Error("the clocks differ, and it finds garbage")
	}
	to.Date = nil
	spoiled := w.newMemory()
	w.put(spoiled, repo.TimestampKey(collection), "{}")
	damaged := new(*repo.DamagedError)
	if err := find(repo.DefaultKeep, spoiled); !errors.As(err, damaged) {
		t.Errorf("a timestamp that is none: %v", err)
	}
	ageless := w.newMemory()
	ageless.Now = func() time.Time { return time.Time{} }
	w.mustMirror(ageless)
	if err := find(repo.DefaultKeep, ageless); err == nil {
		t.Error("nobody knows how old anything is, and it finds garbage")
	}
	if keys := slices.Sorted(maps.Keys(objects(t, to))); len(keys) != 5 {
		t.Errorf("left are %q", keys)
	}
}

// pruner is of a mirror that has garbage, and the garbage.
func (w *world) pruner(to storage.Store) (*repo.Pruner, *repo.View, repo.Garbage) {
	w.t.Helper()
	v := w.view()
	if _, err := v.List(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	p := &repo.Pruner{Store: to, Collection: collection, Now: w.now, Keep: repo.DefaultKeep}
	garbage, err := p.Find(w.t.Context(), v)
	if err != nil {
		w.t.Fatal(err)
	}
	return p, v, garbage
}

// newPruneWorld has a mirror whose only garbage is the target old.
func newPruneWorld(t *testing.T) (w *world, to *storage.Memory, old string) {
	w = newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	to = w.newMemory()
	old = repo.TargetKey(collection, "old", sum("old"))
	w.put(to, old, "old")
	w.days(60)
	w.mustMirror(to)
	return w, to, old
}

// TestPruneMeanwhile: what was found is looked at again before it goes.
func TestPruneMeanwhile(t *testing.T) {
	for name, row := range map[string]struct {
		meanwhile func(w *world, to storage.Store, old string)
		stays     bool
	}{
		"nothing":                      {func(*world, storage.Store, string) {}, false},
		"another copy needs it":        {func(w *world, to storage.Store, _ string) { w.mustPublish(add("old", "old")); w.mustMirror(to) }, true},
		"it was written anew":          {func(w *world, to storage.Store, old string) { w.lose(to, old); w.put(to, old, "old") }, true},
		"somebody else has removed it": {func(w *world, to storage.Store, old string) { w.lose(to, old) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, to, old := newPruneWorld(t)
			p, v, garbage := w.pruner(to)
			if len(garbage) != 1 || garbage[0].Key != old {
				t.Fatalf("the garbage is %v", garbage)
			}
			row.meanwhile(w, to, old)
			n, err := p.Remove(t.Context(), v, garbage)
			want := 0
			if name == "nothing" {
				want = 1
			}
			if err != nil || n != want {
				t.Errorf("%d gone, %v", n, err)
			}
			if _, found := objects(t, to)[old]; found != row.stays {
				t.Errorf("it is there: %v", found)
			}
			w.with(t, to, w.newCache()).mustBeClean()
		})
	}
}

// TestPruneFails: what cannot be listed or removed is an error, and what is not
// there any more is none.
func TestPruneFails(t *testing.T) {
	w, to, _ := newPruneWorld(t)
	p, v, garbage := w.pruner(to)
	for n := 1; n <= 3; n++ {
		p.Store = failing(to, "LIST", n, storagetest.Lost)
		if _, err := p.Find(t.Context(), v); !errors.Is(err, storagetest.ErrInjected) {
			t.Errorf("listing %d lost: %v", n, err)
		}
	}
	p.Store = failing(to, "DELETE", 1, storagetest.Lost)
	if n, err := p.Remove(t.Context(), v, garbage); n != 0 || !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("a request to remove was lost: %d gone, %v", n, err)
	}
	p.Store = failing(to, "DELETE", 1, storagetest.AppliedAgain)
	if n, err := p.Remove(t.Context(), v, garbage); n != 0 || err != nil {
		t.Errorf("it has changed: %d gone, %v", n, err)
	}
	p.Store = to
	w.put(to, repo.SlotKey(collection, tuf.RoleSnapshot, 1000), "{}")
	if _, err := p.Find(t.Context(), v); !errors.As(err, new(*repo.DamagedError)) {
		t.Errorf("a snapshot that is none: %v", err)
	}
}

// failing is a store whose n-th request of a method fails.
func failing(s storage.Store, method string, n int, fault storagetest.Fault) storage.Store {
	return storagetest.NewFaults(s, func(r storagetest.Request) storagetest.Fault {
		if r.Method == method && r.Nth == n {
			return fault
		}
		return storagetest.None
	}).Store()
}
