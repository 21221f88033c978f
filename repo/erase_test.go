package repo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// keysOf is every object of a store.
func keysOf(t *testing.T, store storage.Store) []string {
	t.Helper()
	var all []string
	for e, err := range store.List(context.WithoutCancel(t.Context()), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Key)
	}
	return all
}

func putAll(t *testing.T, store storage.Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := store.Put(t.Context(), key, strings.NewReader(key), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
}

// strangers is objects that are not of the collection, however much their names
// look like it.
func strangers() []string {
	parent, _, _ := strings.Cut(collection, "/")
	return []string{
		collection + "/sub/metadata/timestamp.json", collection + "/sub/metadata/1.root.json", collection + "/sub/targets/x",
		collection + "x/metadata/timestamp.json", collection + "x/targets/x", collection + "-1/metadata/1.root.json",
		parent + "/metadata/timestamp.json", parent + "/targets/x", "a/" + collection + "/metadata/timestamp.json",
	}
}

func inboxOf(name string) []string {
	return []string{
		name + "/submissions/01.json", name + "/submissions/quarantine/02.json", name + "/parts/x",
		name + "/receipts/x.json", name + "/drafts/d/manifest.json",
	}
}

// erasable is a store and an inbox with the collection and its neighbours.
func erasable(t *testing.T) (w *world, store, inbox *storage.Memory) {
	w = newWorld(t)
	store, inbox = storage.NewMemory(), storage.NewMemory()
	w.store = store
	w.mustPublish(add("a", "1"), add("dir/b", "2"))
	w.mustPublish(add("a", "3"))
	putAll(t, store, strangers()...)
	putAll(t, store, repo.ProbeKey(collection, "x"), repo.GarbageKey(collection))
	putAll(t, inbox, inboxOf(collection)...)
	putAll(t, inbox, inboxOf(collection+"/sub")...)
	putAll(t, inbox, inboxOf(collection+"x")...)
	putAll(t, inbox, repo.OnlineKeyKey(collection, "snapshot", "k"), repo.KnownKey(collection), repo.PublishedKey(collection))
	return w, store, inbox
}

func TestErase(t *testing.T) {
	for _, keys := range []bool{false, true} {
		_, store, inbox := erasable(t)
		before := len(keysOf(t, store)) + len(keysOf(t, inbox))
		told := make(chan struct{}, before)
		e := &repo.Eraser{Store: store, Inbox: inbox, Collection: collection, OnlineKeys: keys, Removing: func() { told <- struct{}{} }}
		n, err := e.Erase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left := keysOf(t, inbox)
		if diff := cmp.Diff(slices.Sorted(slices.Values(strangers())), keysOf(t, store)); diff != "" {
			t.Errorf("the public store: %s", diff)
		}
		want := append(inboxOf(collection+"/sub"), inboxOf(collection+"x")...)
		if !keys {
			want = append(want, repo.KnownKey(collection), repo.OnlineKeyKey(collection, "snapshot", "k"))
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), left); diff != "" {
			t.Errorf("the inbox, keys %v: %s", keys, diff)
		}
		if gone := before - len(strangers()) - len(left); n != gone || len(told) != gone {
			t.Errorf("%d objects are gone, and %d told, not %d", n, len(told), gone)
		}
		if n, err := e.Erase(t.Context()); err != nil || n != before-len(strangers())-len(left) {
			t.Errorf("again: %d, %v", n, err)
		}
	}
}

// erasing fails the nth removal, which is either lost
// or done and reported lost.
type erasing struct {
	*storage.Memory
	left    *int // requests until the failure, shared by the stores of one run
	applied bool
	keys    *[]string // that were removed, in order
}

var errFault = errors.New("fault")

func (s erasing) Delete(ctx context.Context, key string, prev storage.Version) error {
	*s.left--
	if *s.left < 0 || *s.left == 0 && !s.applied {
		return errFault
	}
	err := s.Memory.Delete(ctx, key, prev)
	if err == nil {
		*s.keys = append(*s.keys, key)
	}
	if *s.left == 0 {
		return errFault
	}
	return err
}

// TestEraseInterrupted: wherever it stops, a client finds the collection whole or
// no timestamp.json, the first root stays to the end, and another run completes
// it.
func TestEraseInterrupted(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for n := 1; ; n++ {
			w, store, inbox := erasable(t)
			var removed []string
			left := n
			faulty := func(m *storage.Memory) storage.Store { return &one{Store: erasing{m, &left, applied, &removed}} }
			e := &repo.Eraser{Store: faulty(store), Inbox: faulty(inbox), Collection: collection}
			_, err := e.Erase(t.Context())
			w.cache = w.newCache()
			switch _, statErr := store.Stat(t.Context(), repo.TimestampKey(collection)); {
			case statErr == nil:
				w.mustBeClean()
			case !errors.Is(statErr, fs.ErrNotExist):
				t.Fatal(statErr)
			default:
				l := &repo.Loader{Source: store, Collection: collection, Cache: w.newCache(), Now: w.now}
				if v, err := l.Load(t.Context()); err != nil || v.Published() {
					t.Errorf("fault %d: a client finds %v, %v", n, v, err)
				}
			}
			first := repo.SlotKey(collection, tuf.RoleRoot, 1)
			if i := slices.Index(removed, first); i >= 0 && i != len(removed)-1 {
				t.Errorf("fault %d: the first root went before %v", n, removed[i+1:])
			}
			if err == nil {
				if n < 10 {
					t.Fatalf("only %d requests", n)
				}
				break
			}
			if !errors.Is(err, errFault) {
				t.Fatal(err)
			}
			if _, err := (&repo.Eraser{Store: store, Inbox: inbox, Collection: collection}).Erase(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(strangers())), keysOf(t, store)); diff != "" {
				t.Errorf("after fault %d and another run: %s", n, diff)
			}
		}
	}
}

// one keeps requests one behind the other, so that faults can be counted.
type one struct{ storage.Store }

var eraseLock sync.Mutex

func (o *one) Delete(ctx context.Context, key string, prev storage.Version) error {
	eraseLock.Lock()
	defer eraseLock.Unlock()
	return o.Store.(storage.Deleter).Delete(ctx, key, prev)
}

// TestEraseNoDelete: nothing is touched where not all can go.
func TestEraseNoDelete(t *testing.T) {
	w, store, inbox := erasable(t)
	before := keysOf(t, inbox)
	e := &repo.Eraser{Store: struct{ storage.Store }{store}, Inbox: inbox, Collection: collection}
	if _, err := e.Erase(t.Context()); !errors.Is(err, repo.ErrNoDelete) {
		t.Error(err)
	}
	if diff := cmp.Diff(before, keysOf(t, inbox)); diff != "" {
		t.Error(diff)
	}
	w.mustBeClean()
}

// racing writes an object whenever one is removed, a few times, as somebody does
// who was at work; and moves the timestamp once before it goes.
type racing struct {
	*storage.Memory
	t    *testing.T
	more int
}

func (r *racing) Delete(ctx context.Context, key string, prev storage.Version) error {
	eraseLock.Lock()
	defer eraseLock.Unlock()
	if key == repo.TimestampKey(collection) && r.more == 3 {
		r.more--
		if _, err := r.Put(ctx, key, strings.NewReader("{}"), prev); err != nil {
			r.t.Error(err)
		}
	}
	if r.more > 0 && key != repo.TimestampKey(collection) {
		r.more--
		late := repo.SlotKey(collection, tuf.RoleSnapshot, int64(100+r.more))
		if _, err := r.Put(ctx, late, strings.NewReader("late"), storage.Absent); err != nil {
			r.t.Error(err)
		}
	}
	return r.Memory.Delete(ctx, key, prev)
}

func TestEraseRace(t *testing.T) {
	_, store, _ := erasable(t)
	e := &repo.Eraser{Store: &racing{Memory: store, t: t, more: 3}, Collection: collection}
	if _, err := e.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(strangers())), keysOf(t, store)); diff != "" {
		t.Error(diff)
	}
}

// TestEraseFails: what cannot be listed, or is written again whenever it is to go,
// is not said to be gone.
func TestEraseFails(t *testing.T) {
	_, store, _ := erasable(t)
	unlisted := storagetest.NewFaults(store, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "LIST" {
			return storagetest.Lost
		}
		return storagetest.None
	})
	e := &repo.Eraser{Store: unlisted.Store(), Collection: collection}
	if _, err := e.Erase(t.Context()); !errors.Is(err, storagetest.ErrInjected) || !strings.HasPrefix(err.Error(), "list "+collection+"/") {
		t.Errorf("not listed: %v", err)
	}
	e.Store = &contested{Memory: store}
	if _, err := e.Erase(t.Context()); !errors.Is(err, storage.ErrConflict) || !strings.Contains(err.Error(), "100 times in a row") {
		t.Errorf("written again and again: %v", err)
	}
}

// contested has every object changed just before it goes.
type contested struct{ *storage.Memory }

func (c *contested) Delete(_ context.Context, key string, _ storage.Version) error {
	return fmt.Errorf("delete %s: %w", key, storage.ErrConflict)
}
