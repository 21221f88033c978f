package repo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// TestCollectNobodySigns: where a new timestamp cannot be signed, no mark stays
// for publishers to wait for.
func TestCollectNobodySigns(t *testing.T) {
	away := errors.New("the key is not here")
	refuse := func(context.Context) error { return away }
	for name, plant := range map[string]func(*repo.Collector){
		"told before": func(c *repo.Collector) { c.Ready = refuse },
		"found out":   func(c *repo.Collector) { c.Renew = refuse },
		"interrupted": func(c *repo.Collector) {
			c.Renew = func(context.Context) error { return context.Canceled }
		},
	} {
		w := newGarbageWorld(t)
		w.mustPublish(add("a", "one"))
		w.mustPublish(remove("a"), add("b", "two"))
		w.days(40)
		c := w.collector()
		found, err := c.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plant(c)
		ctx, cancel := context.WithCancel(t.Context())
		if renew := c.Renew; name == "interrupted" {
			c.Renew = func(ctx context.Context) error { cancel(); return renew(ctx) }
		}
		if n, err := c.Remove(ctx, found); n != 0 || !errors.Is(err, away) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %d removed, %v", name, n, err)
		}
		cancel()
		w.wantNoMark()
		w.mustPublish(add("a", "one"))
		w.mustBeClean()
	}
}

func (w *world) wantNoMark() {
	w.t.Helper()
	if _, err := storage.Stat(w.t.Context(), w.store, repo.GarbageKey(collection)); !errors.Is(err, fs.ErrNotExist) {
		w.t.Errorf("the mark: %v", err)
	}
}

// TestCollectMayDeleteNothing: with credentials that may not even remove the mark,
// nobody has to wait for it.
func TestCollectMayDeleteNothing(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(40)
	store := w.store
	w.store = undeletable{store.(*storage.Memory), ""}
	if n, err := w.collect(); n != 0 || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%d removed, %v", n, err)
	}
	w.store = store
	if marked, err := w.collector().Marked(t.Context()); marked || err != nil {
		t.Errorf("marked: %v, %v", marked, err)
	}
	w.mustPublish(add("a", "one"))
	if n := w.mustCollect(); n == 0 {
		t.Error("nothing was removed by who may")
	}
	w.wantNoMark()
	w.mustBeClean()
}

// TestCollectMarkGone: what protects publishers from a run is its mark. A run whose
// mark somebody removes removes nothing more.
func TestCollectMarkGone(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(40)
	found, err := w.collector().Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := objects(t, w.store)
	c := w.collector()
	c.Renew = func(ctx context.Context) error {
		info, err := storage.Stat(ctx, w.store, repo.GarbageKey(collection))
		if err == nil {
			err = w.store.(storage.Deleter).Delete(ctx, repo.GarbageKey(collection), info.Version)
		}
		return err
	}
	if n, err := c.Remove(t.Context(), found); n != 0 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	if n := len(objects(t, w.store)); n != len(before) {
		t.Errorf("%d objects are left of %d", n, len(before))
	}
}

// TestCollectFastClock: by a clock that is fast everything is old, and a store that
// does not tell its own says by what is written now.
func TestCollectFastClock(t *testing.T) {
	for _, marked := range []bool{false, true} {
		for _, tells := range []bool{false, true} {
			w := newGarbageWorld(t)
			w.mustPublish(add("a", "one"))
			w.mustPublish(remove("a"), add("b", "two"))
			if tells {
				w.store.(*storage.Memory).Date = func() time.Time { return w.now }
			}
			before := objects(t, w.store)
			c := w.collector()
			c.Now = func() time.Time { return w.now.Add(40 * 24 * time.Hour) }
			key := repo.TargetKey(collection, "a", sum("one"))
			garbage := repo.Garbage{{Key: key, Modified: w.now}}
			if marked {
				text := fmt.Sprintf(`{"collection":%q,"keys":[%q]}`, collection, key)
				if _, err := w.store.Put(t.Context(), repo.GarbageKey(collection), strings.NewReader(text), storage.Absent); err != nil {
					t.Fatal(err)
				}
			}
			var off *repo.ClockError
			if n, err := c.Remove(t.Context(), garbage); n != 0 || !errors.As(err, &off) {
				t.Errorf("marked %v, tells %v: %d removed, %v", marked, tells, n, err)
			}
			if left := objects(t, w.store); left[key] != before[key] {
				t.Errorf("marked %v, tells %v: %s is gone", marked, tells, key)
			}
			if _, err := c.Find(t.Context()); tells != errors.As(err, &off) {
				t.Errorf("marked %v, tells %v: find: %v", marked, tells, err)
			}
			c.Told = true
			if n, err := c.Remove(t.Context(), garbage); n != 1 || err != nil {
				t.Errorf("marked %v, tells %v, told: %d removed, %v", marked, tells, n, err)
			}
			w.mustBeClean()
		}
	}
}

// TestCollectOfWhatIsLost says of a collection whose files are gone what everybody
// else says, and not that it was never published.
func TestCollectOfWhatIsLost(t *testing.T) {
	for key, says := range map[string]string{
		repo.TimestampKey(collection):                 "it is gone; version 1 was there before",
		repo.SlotKey(collection, tuf.RoleSnapshot, 1): "it is gone",
	} {
		w := newGarbageWorld(t)
		w.mustPublish(add("a", "one"))
		info, err := storage.Stat(t.Context(), w.store, key)
		if err == nil {
			err = w.store.(storage.Deleter).Delete(t.Context(), key, info.Version)
		}
		if err != nil {
			t.Fatal(err)
		}
		var bad *repo.VerifyError
		if _, err := w.collector().Find(t.Context()); !errors.As(err, &bad) || !strings.Contains(err.Error(), says) {
			t.Errorf("without %s: %v", key, err)
		}
	}
	w := newGarbageWorld(t)
	if _, err := w.collector().Find(t.Context()); !errors.Is(err, repo.ErrNotPublished) {
		t.Errorf("never published: %v", err)
	}
}

// TestCollectCut: who has collected with a shorter Keep is told which one works
// until the longer one does again.
func TestCollectCut(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(5)
	c := w.collector()
	c.Keep = repo.MinKeep
	found, err := c.Find(t.Context())
	if err == nil {
		_, err = c.Remove(t.Context(), found)
	}
	if err != nil || len(found) == 0 {
		t.Fatalf("%d objects are garbage: %v", len(found), err)
	}
	var cut *repo.CutError
	if _, err = w.collector().Find(t.Context()); !errors.As(err, &cut) || cut.Asked != repo.DefaultKeep {
		t.Fatal(err)
	}
	if c.Keep = cut.Known - time.Second; c.Keep < repo.MinKeep {
		t.Fatalf("known are %v", cut.Known)
	}
	if _, err := c.Find(t.Context()); err != nil {
		t.Errorf("with %v: %v", c.Keep, err)
	}
	c.Keep = cut.Known + time.Second
	if _, err := c.Find(t.Context()); !errors.As(err, &cut) {
		t.Errorf("with %v: %v", c.Keep, err)
	}
	w.days(27)
	if _, err := w.collector().Find(t.Context()); err != nil {
		t.Errorf("after a month: %v", err)
	}
}
