package repo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// newGarbageWorld is one in which slots may be deleted.
func newGarbageWorld(t *testing.T) *world {
	w := newWorld(t)
	w.store = w.newMemory()
	return w
}

// onRequest is the world's store with something done before its n-th request,
// counted from 1.
func (w *world) onRequest(n int, do func() storagetest.Fault) *storagetest.Faults {
	return storagetest.NewFaults(w.store, func(r storagetest.Request) storagetest.Fault {
		if r.N == n {
			return do()
		}
		return storagetest.None
	})
}

func (w *world) collector() *repo.Collector {
	return &repo.Collector{
		Store: w.store, Collection: collection, Cache: w.cache, Keep: repo.DefaultKeep,
		Now:   func() time.Time { return w.now },
		Renew: func(context.Context) error { _, err := w.refresh(true); return err },
	}
}

func (w *world) garbage() []string {
	w.t.Helper()
	found, err := w.collector().Find(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	keys := []string{}
	for _, e := range found {
		keys = append(keys, strings.TrimPrefix(e.Key, collection+"/"))
	}
	return keys
}

func (w *world) collect() (int, error) {
	c := w.collector()
	found, err := c.Find(w.t.Context())
	if err != nil {
		return 0, err
	}
	return c.Remove(w.t.Context(), found)
}

func (w *world) mustCollect() int {
	w.t.Helper()
	n, err := w.collect()
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// days lets time pass; what is due is renewed, as a schedule would.
func (w *world) days(n int) {
	w.t.Helper()
	for range n {
		w.now = w.now.Add(24 * time.Hour)
		if _, err := w.refresh(false); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestCollectKeepsThirtyDays: what a timestamp of the last thirty days leads to
// stays, what none leads to goes.
func TestCollectKeepsThirtyDays(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("old", "one"))
	w.mustPublish(remove("old"), add("new", "two"))
	if g := w.garbage(); len(g) != 0 {
		t.Errorf("on the day itself, garbage is %q", g)
	}
	w.days(29)
	if g := w.garbage(); len(g) != 0 {
		t.Errorf("after 29 days garbage is %q", g)
	}
	w.days(3)
	g := w.garbage()
	for _, key := range []string{"metadata/1.targets.json", "metadata/1.snapshot.json", "targets/" + sum("one") + ".old"} {
		if !slices.Contains(g, key) {
			t.Errorf("%s is not garbage, but %q is", key, g)
		}
	}
	if n := w.mustCollect(); n != len(g) {
		t.Errorf("%d objects were removed of %d", n, len(g))
	}
	w.mustBeClean()
	if g := w.garbage(); len(g) != 0 {
		t.Errorf("afterwards garbage is %q", g)
	}
	if n := len(objects(t, w.store)); n == 0 {
		t.Error("nothing is left")
	}
}

// TestCollectOfInterruptedPublishes removes all that thirty publishes have left
// which were killed, each after another number of writes.
func TestCollectOfInterruptedPublishes(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("kept", "kept"))
	before := objects(t, w.store)
	store := w.store
	for i := range 30 {
		w.store = w.onRequest(6+i%8, func() storagetest.Fault { return storagetest.Killed }).Store()
		if _, err := w.publish(add(fmt.Sprintf("lost-%d", i), fmt.Sprint("lost ", i)), add(fmt.Sprintf("also-%d", i), fmt.Sprint("also ", i))); err == nil {
			w.store = store
			w.mustPublish(remove(fmt.Sprintf("lost-%d", i)), remove(fmt.Sprintf("also-%d", i)))
		}
	}
	w.store = store
	if len(objects(t, w.store)) == len(before) {
		t.Fatal("the publishes have left nothing")
	}
	w.mustPublish(add("last", "last"))
	w.days(33)
	w.mustCollect()
	w.mustBeClean()
	left := objects(t, w.store)
	for key := range left {
		if strings.Contains(key, "lost-") || strings.Contains(key, "also-") {
			t.Errorf("%s is still there", key)
		}
	}
	if g := w.garbage(); len(g) != 0 {
		t.Errorf("garbage is %q", g)
	}
}

// TestCollectBesidePublish has a publisher find old garbage in the store, and a
// collector remove it at every moment of that.
func TestCollectBesidePublish(t *testing.T) {
	for at := 0; ; at++ {
		w := newGarbageWorld(t)
		w.mustPublish(add("first", "first"))
		w.mustPublish(add("again", "again"))
		w.mustPublish(remove("again"))
		w.days(33)
		collected := false
		store, other := w.store, w.with(t, w.store, w.newCache())
		w.store = w.onRequest(at+1, func() storagetest.Fault {
			collected = true
			if _, err := other.collect(); err != nil {
				t.Errorf("collect at request %d: %v", at, err)
			}
			return storagetest.None
		}).Store()
		_, err := w.publish(add("again", "again"))
		w.store = store
		var going *repo.CollectedError
		if err != nil && !errors.As(err, &going) && !errors.As(err, new(*repo.Rejection)) {
			t.Errorf("publish beside a collection at request %d: %v", at, err)
		}
		w.mustBeClean()
		if err != nil {
			w.mustPublish(add("again", "again"))
			w.mustBeClean()
		}
		if w.targets()["again"] == "" {
			t.Errorf("collection at request %d: the target is lost", at)
		}
		if !collected {
			if at < 6 {
				t.Fatalf("a publish makes %d requests", at)
			}
			return
		}
	}
}

// TestCollectInterrupted kills a collection at every request. The next one
// finishes it, and publishes go on.
func TestCollectInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long under the race detector")
	}
	for at := 0; ; at++ {
		w := newGarbageWorld(t)
		w.mustPublish(add("first", "first"))
		w.mustPublish(add("again", "again"))
		w.mustPublish(remove("again"))
		w.days(33)
		store := w.store
		w.store = w.onRequest(at+1, func() storagetest.Fault { return storagetest.Killed }).Store()
		_, err := w.collect()
		w.store = store
		w.mustBeClean()
		w.mustCollect()
		w.mustBeClean()
		if g := w.garbage(); len(g) != 0 {
			t.Errorf("killed at write %d: garbage is %q", at, g)
		}
		if _, _, there := storage.Read(t.Context(), w.store, repo.GarbageKey(collection), 1<<20); there == nil {
			t.Errorf("killed at write %d: the mark is still there", at)
		}
		w.mustPublish(add("again", "again"))
		w.mustBeClean()
		if err == nil {
			return
		}
	}
}

// TestCollectPausedClient: a client that has read a timestamp a while ago finds
// all that it leads to.
func TestCollectPausedClient(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	paused := w.view()
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(28)
	w.mustCollect()
	target, err := paused.Lookup(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	key, err := paused.Key(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := storage.Read(t.Context(), w.store, key, 100); err != nil {
		t.Error(err)
	}
}

// TestCollectMarkIsHostile: what a mark names is removed only if it is garbage.
func TestCollectMarkIsHostile(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.days(40)
	keys := slices.Sorted(func(yield func(string) bool) {
		for key := range objects(t, w.store) {
			if !yield(fmt.Sprintf("%q", key)) {
				return
			}
		}
	})
	// One collection's name makes its slots look like those of a role.
	others := []string{"elsewhere/targets/x", "1.elsewhere/metadata/1.snapshot.json"}
	text := fmt.Sprintf(`{"collection":%q,"keys":[%s,"elsewhere/targets/x","1.elsewhere/metadata/1.snapshot.json","../x"]}`, collection, strings.Join(keys, ","))
	if _, err := w.store.Put(t.Context(), repo.GarbageKey(collection), strings.NewReader(text), storage.Absent); err != nil {
		t.Fatal(err)
	}
	putAll(t, w.store, others...)
	w.now = w.now.Add(40 * 24 * time.Hour)
	if _, err := w.collect(); err != nil {
		t.Fatal(err)
	}
	w.mustBeClean()
	for _, key := range others {
		if objects(t, w.store)[key] == "" {
			t.Errorf("%s of another collection is gone", key)
		}
	}
}

// TestCollectRefuses what is damaged: who cannot tell what belongs to it must not
// remove anything.
func TestCollectRefuses(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.days(40)
	d := w.store.(storage.Deleter)
	key := repo.SlotKey(collection, tuf.RoleTargets, 1)
	info, err := storage.Stat(t.Context(), w.store, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Delete(t.Context(), key, info.Version); err != nil {
		t.Fatal(err)
	}
	if _, err := w.collector().Find(t.Context()); !errors.As(err, new(*repo.VerifyError)) {
		t.Errorf("with targets gone: %v", err)
	}
}

// TestCollectTwiceAtOnce: two runs find the same garbage, and one has removed it
// before the other begins.
func TestCollectTwiceAtOnce(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "1"))
	w.mustPublish(add("a", "2"))
	w.days(40)
	for _, method := range []string{"PUT", "DELETE"} {
		w.mustPublish(add("b", method))
		w.mustPublish(remove("b"))
		w.days(40)
		found, err := w.collector().Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slow := w.collector()
		other := w.with(t, w.store, w.newCache())
		slow.Store = storagetest.NewFaults(w.store, func(r storagetest.Request) storagetest.Fault {
			if r.Method == method && strings.HasSuffix(r.Key, "/garbage.json") {
				other.mustCollect()
			}
			return storagetest.None
		}).Store()
		if _, err := slow.Remove(t.Context(), found); err != nil {
			t.Errorf("overtaken before its %s: %v", method, err)
		}
		if g := w.garbage(); len(g) != 0 {
			t.Errorf("afterwards garbage is %q", g)
		}
		w.mustBeClean()
	}
}

// TestCollectSparesPending: what a draft lists stays, however old it is.
func TestCollectSparesPending(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(add("b", "two"))
	files := map[string][]byte{tuf.RoleTargets: w.fileOf(tuf.RoleTargets)}
	w.mustPublish(remove("b"))
	w.days(40)
	c := w.collector()
	c.Pending = func(context.Context) ([]map[string][]byte, error) {
		return []map[string][]byte{files, {tuf.RoleTargets: []byte("{}")}}, nil
	}
	found, err := c.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if strings.HasSuffix(e.Key, ".b") {
			t.Errorf("%s is garbage", e.Key)
		}
	}
	if !slices.Contains(w.garbage(), "targets/"+sum("two")+".b") {
		t.Error("without the draft it is not garbage")
	}
}

// fileOf is the published file of a targets role.
func (w *world) fileOf(role string) []byte {
	w.t.Helper()
	f, err := w.view().Role(w.t.Context(), role)
	if err != nil {
		w.t.Fatal(err)
	}
	return f.Bytes()
}

// TestCollectKnowsWhatItCannotKnow: a past that is cut within the time, or a
// clock that is fast, lets nobody tell what is garbage.
func TestCollectKnowsWhatItCannotKnow(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(2)
	key := repo.SlotKey(collection, tuf.RoleSnapshot, 1)
	info, err := storage.Stat(t.Context(), w.store, key)
	if err == nil {
		err = w.store.(storage.Deleter).Delete(t.Context(), key, info.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.collector().Find(t.Context()); err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("with a snapshot gone: %v", err)
	}
	c := w.collector()
	c.Keep = time.Hour
	if _, err := c.Find(t.Context()); err == nil || !strings.Contains(err.Error(), "too short") {
		t.Errorf("with an hour to keep: %v", err)
	}
}

// TestCollectWithoutPermission: what may not be deleted stays, and keeps nobody
// waiting.
func TestCollectWithoutPermission(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(40)
	store := w.store
	w.store = undeletable{store.(*storage.Memory), ".a"}
	n, err := w.collect()
	if !errors.Is(err, fs.ErrPermission) || n == 0 {
		t.Errorf("%d objects removed, %v", n, err)
	}
	if marked, err := w.collector().Marked(t.Context()); marked || err != nil {
		t.Errorf("marked: %v, %v", marked, err)
	}
	w.store = store
	w.mustPublish(add("a", "one"))
	w.mustBeClean()
}

type undeletable struct {
	*storage.Memory
	suffix string
}

func (u undeletable) Delete(ctx context.Context, key string, prev storage.Version) error {
	if strings.HasSuffix(key, u.suffix) {
		return fmt.Errorf("delete %s: %w", key, fs.ErrPermission)
	}
	return u.Memory.Delete(ctx, key, prev)
}

// TestCollectSparesYoung: what nobody refers to may be of a publish that is under
// way, as long as it has not lain there for the time that is kept.
func TestCollectSparesYoung(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.days(40)
	orphan := repo.TargetKey(collection, "b", sum("two"))
	w.put(w.store, orphan, "two")
	w.days(29)
	if slices.Contains(w.garbage(), "targets/"+sum("two")+".b") {
		t.Error("after 29 days it is garbage")
	}
	w.days(2)
	if !slices.Contains(w.garbage(), "targets/"+sum("two")+".b") {
		t.Error("after 31 days it is not")
	}
	w.store = undated{w.store.(*storage.Memory)}
	if found := w.garbage(); len(found) != 0 {
		t.Errorf("of unknown age, and garbage: %q", found)
	}
}

// undated lists objects without their age.
type undated struct{ *storage.Memory }

func (u undated) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		for e, err := range u.Memory.List(ctx, prefix) {
			e.Modified = time.Time{}
			if !yield(e, err) {
				return
			}
		}
	}
}

// ageless does not tell when an object was stored, however it is asked.
type ageless struct{ *storage.Memory }

func (a ageless) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := a.Memory.Get(ctx, key)
	obj.Modified = time.Time{}
	return obj, err
}

func (a ageless) Stat(ctx context.Context, key string) (storage.Info, error) {
	info, err := a.Memory.Stat(ctx, key)
	info.Modified = time.Time{}
	return info, err
}

// TestCollectUnsure: where it cannot be said what is garbage, each reason has
// words of its own, and nothing goes.
func TestCollectUnsure(t *testing.T) {
	lost := func(method string) func(*world, *repo.Collector) {
		return func(_ *world, c *repo.Collector) {
			c.Store = storagetest.NewFaults(c.Store, onNth(method, 1, storagetest.Lost)).Store()
		}
	}
	for name, row := range map[string]struct {
		change func(*world, *repo.Collector)
		want   string
	}{
		"a clock that is fast": {func(w *world, c *repo.Collector) {
			c.Store.(*storage.Memory).Date = func() time.Time { return w.now.Add(-6 * time.Minute) }
		}, "nothing can be said of the age of objects"},
		"a clock that is slow": {func(w *world, c *repo.Collector) {
			c.Store.(*storage.Memory).Date = func() time.Time { return w.now.Add(6 * time.Minute) }
		}, "the clock here says 2027-01-01T12:00:00Z, the store's says 2027-01-01T12:06:00Z"},
		"a list that fails":   {lost("LIST"), "list " + collection + "/metadata/: "},
		"a store without age": {func(_ *world, c *repo.Collector) { c.Store = ageless{c.Store.(*storage.Memory)} }, "the store does not tell when objects were written"},
		"nothing published":   {func(w *world, c *repo.Collector) { c.Store, c.Cache = storage.NewMemory(), w.newCache() }, repo.ErrNotPublished.Error()},
		"all of it gone":      {func(_ *world, c *repo.Collector) { c.Store = storage.NewMemory() }, "it is gone; version 9 was there before"},
		"nothing published, by a clock that was told": {func(w *world, c *repo.Collector) {
			c.Store, c.Cache, c.Told = storage.NewMemory(), w.newCache(), true
		}, repo.ErrNotPublished.Error()},
		"a number that nobody comes to": {func(w *world, _ *repo.Collector) {
			s := w.view().Snapshot.Signed
			s.Version = highest
			w.announce(w.stolen(s))
		}, "nobody comes to that number by signing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newGarbageWorld(t)
			w.t = t
			w.mustPublish(add("a", "one"))
			w.mustPublish(remove("a"), add("b", "two"))
			w.days(40)
			c := w.collector()
			row.change(w, c)
			if found, err := c.Find(t.Context()); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%d objects are garbage, %v, not %s", len(found), err, row.want)
			}
		})
	}
}

// TestCollectStops: without a mark, and a new timestamp behind it, nothing is
// removed.
func TestCollectStops(t *testing.T) {
	for want, change := range map[string]func(*repo.Collector){
		"write " + repo.GarbageKey(collection) + ": ": func(c *repo.Collector) {
			c.Store = storagetest.NewFaults(c.Store, storagetest.OnPut(1, storagetest.Lost)).Store()
		},
		"sign a new timestamp: ": func(c *repo.Collector) {
			c.Renew = func(context.Context) error { return storagetest.ErrInjected }
		},
	} {
		w := newGarbageWorld(t)
		w.mustPublish(add("a", "one"))
		w.mustPublish(remove("a"), add("b", "two"))
		w.days(40)
		c := w.collector()
		found, err := c.Find(t.Context())
		if err != nil || len(found) == 0 {
			t.Fatalf("%d objects are garbage, %v", len(found), err)
		}
		change(c)
		if n, err := c.Remove(t.Context(), found); n != 0 || !errors.Is(err, storagetest.ErrInjected) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%d objects are gone: %v, not %s", n, err, want)
		}
		for _, e := range found {
			if _, err := storage.Stat(t.Context(), w.store, e.Key); err != nil {
				t.Error(err)
			}
		}
	}
}

// contestedOne has one object changed just before it goes.
type contestedOne struct {
	*storage.Memory
	suffix string
}

func (c contestedOne) Delete(ctx context.Context, key string, prev storage.Version) error {
	if strings.HasSuffix(key, c.suffix) {
		return fmt.Errorf("delete %s: %w", key, storage.ErrConflict)
	}
	return c.Memory.Delete(ctx, key, prev)
}

// TestCollectSparesRewritten: what was written anew between the look and the
// removal is somebody's again.
func TestCollectSparesRewritten(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.mustPublish(remove("a"), add("b", "two"))
	w.days(40)
	all := len(w.garbage())
	w.store = contestedOne{w.store.(*storage.Memory), ".a"}
	if n, err := w.collect(); n != all-1 || err != nil {
		t.Errorf("%d of %d objects are gone: %v", n, all, err)
	}
}
