package repo_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/dir"
	"publisher/storage/storagetest"
)

// eachStore runs a test on a store in memory and on one in files.
func eachStore(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("memory", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("directory", func(t *testing.T) {
		s, err := dir.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		w.store = storagetest.Immutable(t, s)
		// The files get their time from the system.
		w.now = time.Now()
		test(t, w)
	})
}

// together runs n processes at once, each with a cache of its own, and reports
// their errors.
func (w *world) together(n int, process func(i int, w *world) error) {
	w.t.Helper()
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			if err := process(i, w.with(w.t, w.store, w.newCache())); err != nil {
				w.t.Errorf("process %d: %v", i, err)
			}
		})
	}
	close(start)
	group.Wait()
}

// rounds is how often each of racing processes writes.
func rounds() int {
	if testing.Short() {
		return 3
	}
	return 10
}

// TestRacePublish: what eight publishers add at once is all there in the end.
func TestRacePublish(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		want := map[string]string{}
		for i := range 8 {
			for n := range rounds() {
				want[fmt.Sprintf("%d/%d", i, n)] = sum(fmt.Sprint(i, n))
			}
		}
		w.together(8, func(i int, w *world) error {
			for n := range rounds() {
				if _, err := w.publish(add(fmt.Sprintf("%d/%d", i, n), fmt.Sprint(i, n))); err != nil {
					return err
				}
			}
			return nil
		})
		if diff := cmp.Diff(want, w.targets()); diff != "" {
			t.Error(diff)
		}
		w.mustBeClean()
	})
}

// TestRaceRoles: publishers of several roles meet in the snapshot only, and lose
// nothing there.
func TestRaceRoles(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	roles := []string{"targets", "a", "b", "c"}
	for _, role := range roles[1:] {
		w.delegate("targets", role, role+"/*")
	}
	want := map[string]string{}
	for _, role := range roles {
		for n := range rounds() {
			want[fmt.Sprintf("%s/%d", role, n)] = sum("x")
		}
	}
	w.together(len(roles), func(i int, w *world) error {
		for n := range rounds() {
			if _, err := w.publish(in(roles[i], add(fmt.Sprintf("%s/%d", roles[i], n), "x"))); err != nil {
				return err
			}
		}
		return nil
	})
	if diff := cmp.Diff(want, w.targets()); diff != "" {
		t.Error(diff)
	}
	w.mustBeClean()
}

// TestRaceRefresh: refreshes come between publishes, and neither undoes the
// other.
func TestRaceRefresh(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	want := map[string]string{}
	for i := range 4 {
		for n := range rounds() {
			want[fmt.Sprintf("%d/%d", i, n)] = sum("x")
		}
	}
	w.together(8, func(i int, w *world) error {
		w.now = w.now.Add(time.Duration(i) * time.Second) // or two refreshes are one
		for n := range rounds() {
			var err error
			if i < 4 {
				_, err = w.publish(add(fmt.Sprintf("%d/%d", i, n), "x"))
			} else {
				_, err = w.refresh(true)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if diff := cmp.Diff(want, w.targets()); diff != "" {
		t.Error(diff)
	}
	// Each of them was acknowledged, so each of them has its version.
	if got, want := w.view().Timestamp.Signed.Version, int64(1+8*rounds()); got != want {
		t.Errorf("timestamp has version %d, not %d", got, want)
	}
	w.mustBeClean()
}

// TestRaceRemove: everybody removes the same targets and adds one; a target that
// somebody else has removed already is no error.
func TestRaceRemove(t *testing.T) {
	w := newWorld(t)
	var changes []repo.Change
	for n := range rounds() {
		changes = append(changes, add(fmt.Sprint("old/", n), "x"))
	}
	w.mustPublish(changes...)
	want := map[string]string{}
	for i := range 8 {
		want[fmt.Sprint(i)] = sum(fmt.Sprint(rounds() - 1))
	}
	w.together(8, func(i int, w *world) error {
		for n := range rounds() {
			if _, err := w.publish(remove(fmt.Sprint("old/", n)), add(fmt.Sprint(i), fmt.Sprint(n))); err != nil {
				return err
			}
		}
		return nil
	})
	if diff := cmp.Diff(want, w.targets()); diff != "" {
		t.Error(diff)
	}
	w.mustBeClean()
}

// TestRaceSame: everybody publishes the same file. One does, the others find it
// done.
func TestRaceSame(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world) {
		w.mustPublish()
		w.together(8, func(_ int, w *world) error {
			_, err := w.publish(add("same", "content"))
			return err
		})
		if diff := cmp.Diff(map[string]string{"same": sum("content")}, w.targets()); diff != "" {
			t.Error(diff)
		}
		if got := w.view().Timestamp.Signed.Version; got != 2 {
			t.Errorf("timestamp has version %d, not 2", got)
		}
		w.mustBeClean()
	})
}

// TestRaceInit: of two roots for one collection, one is published; who has the
// other learns so.
func TestRaceInit(t *testing.T) {
	store := storage.NewMemory()
	var mu sync.Mutex
	var refused int
	var group sync.WaitGroup
	worlds := make([]*world, 8)
	for i := range worlds {
		worlds[i] = newWorld(t)
		worlds[i].store = storagetest.Immutable(t, store)
		group.Go(func() {
			_, err := worlds[i].publish(add(fmt.Sprint(i), "x"))
			var v *repo.VerifyError
			if errors.Is(err, repo.ErrPublished) || errors.As(err, &v) {
				mu.Lock()
				defer mu.Unlock()
				refused++
			} else if err != nil {
				t.Errorf("publisher %d: %v", i, err)
			}
		})
	}
	group.Wait()
	if refused != len(worlds)-1 {
		t.Errorf("%d of %d publishers were refused", refused, len(worlds))
	}
}
