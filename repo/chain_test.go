package repo_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// loaded is the view of somebody with that cache.
func (w *world) loaded(cache repo.Cache) *repo.View {
	w.t.Helper()
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: cache, Now: w.now}
	v, err := l.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// TestNamedKeys: somebody who came to trust a later root learns of the keys of
// those before it, from the store, and takes no other root for one of them.
func TestNamedKeys(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	first := w.view().Root()
	for range 3 {
		if _, err := w.publisher().Rotate(t.Context(), to(online(t, w.ring), repo.DefaultGrace)); err != nil {
			t.Fatal(err)
		}
	}
	late := memoryCache{"root.json": w.view().Root().Bytes(), "1.root.json": []byte("damaged")}
	v := w.loaded(late)
	for range 2 {
		named, err := v.NamedKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for id := range first.Signed.Keys {
			if !named[id] {
				t.Errorf("key %s of the first root is not named", id)
			}
		}
		if want := len(tuf.TopLevel) + 3*2; len(named) != want {
			t.Errorf("%d keys, want %d", len(named), want)
		}
	}
	// Whoever may write the store can take them away, or exchange them.
	w.store = copyWithout(t, w.store, repo.SlotKey(collection, tuf.RoleRoot, 2))
	if _, err := w.loaded(memoryCache{"root.json": v.Root().Bytes()}).NamedKeys(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with a root that is gone: %v", err)
	}
	another := first.Signed
	another.Version = 2
	w.overwrite("2.root.json", forge.Signed(t, w.ring, another, first.Signed.Roles[tuf.RoleRoot].KeyIDs...).Bytes())
	var bad *repo.VerifyError
	if _, err := w.loaded(memoryCache{"root.json": v.Root().Bytes()}).NamedKeys(t.Context()); !errors.As(err, &bad) {
		t.Errorf("with another root in its place: %v", err)
	}
	// One that names a root which is not the one before it.
	wrong := v.Root().Signed
	wrong.Version, wrong.Publisher.Parent = 3, sum(string(w.root))
	late = memoryCache{"root.json": forge.Signed(t, w.ring, wrong, first.Signed.Roles[tuf.RoleRoot].KeyIDs...).Bytes()}
	w.store = copyWithout(t, w.store, repo.SlotKey(collection, tuf.RoleRoot, 2))
	w.store = copyWithout(t, w.store, repo.SlotKey(collection, tuf.RoleRoot, 4))
	w.overwrite("2.root.json", w.root)
	if _, err := w.loaded(late).NamedKeys(t.Context()); !errors.As(err, &bad) || !strings.Contains(err.Error(), "says version 1") {
		t.Errorf("with a root that names another one before it: %v", err)
	}
}

// copyWithout is a copy of a store that lacks an object.
func copyWithout(t *testing.T, s storage.Store, key string) storage.Store {
	t.Helper()
	m := storage.NewMemory()
	for name, data := range objects(t, s) {
		if name == key {
			continue
		}
		if _, err := m.Put(t.Context(), name, strings.NewReader(data), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	return m
}
