package repo_test

import (
	"bytes"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

const collection = forge.Collection

// world is one collection, with everything around it that a test moves.
type world struct {
	t     *testing.T
	store storage.Store // what the publisher uses; checked for immutability
	cache memoryCache
	ring  forge.Ring
	now   time.Time
	root  []byte

	early  *stockClient // one that pulled long ago, if a test has any
	window bool         // clients take nothing between the first write and the last
}

// newWorld makes a collection whose root is trusted, and published nowhere.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, ring: forge.Ring{}, cache: memoryCache{},
		now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
	}
	w.store = storagetest.Immutable(t, w.newMemory())
	g := repo.Genesis{Collection: collection, Keys: map[string][]tuf.Key{}}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{w.ring.Generate(t)}
	}
	root, err := repo.NewRoot(t.Context(), g, w.ring, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.root = root.Bytes()
	w.cache = w.newCache()
	return w
}

// newMemory is a store that stamps objects by the world's clock.
func (w *world) newMemory() *storage.Memory {
	m := storage.NewMemory()
	m.Now = func() time.Time { return w.now }
	return m
}

// with is the same collection as another process sees it.
func (w *world) with(t *testing.T, store storage.Store, cache memoryCache) *world {
	c := *w
	c.t, c.store, c.cache = t, store, cache
	return &c
}

// newCache is that of somebody who trusts the first root and knows no more.
func (w *world) newCache() memoryCache {
	return memoryCache{"root.json": w.root}
}

func (w *world) committer() *repo.Committer {
	return &repo.Committer{
		Store: w.store, Collection: collection, Cache: w.cache, Keys: w.ring,
		Now: func() time.Time { return w.now },
	}
}

func (w *world) publisher() *repo.Publisher {
	c := w.committer()
	c.Store = repo.Acknowledged(c.Store)
	return &repo.Publisher{
		Store: c.Store, Collection: collection, Cache: c.Cache, Keys: c.Keys, Now: c.Now,
		Commit: c.Commit,
		Open: func(c repo.Change) (repo.Body, error) {
			return nopCloser{bytes.NewReader([]byte(strings.TrimPrefix(c.Source, "content:")))}, nil
		},
	}
}

func (w *world) refresh(force bool) (*repo.Receipt, error) {
	return w.committer().Refresh(w.t.Context(), force)
}

// check is what a Checker says of the collection, in lines.
func (w *world) check() []string {
	w.t.Helper()
	c := &repo.Checker{Source: w.store, Collection: collection, Trusted: w.root, Now: w.now, Deep: true}
	found, err := c.Check(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	lines := []string{}
	for _, p := range found.Problems {
		lines = append(lines, p.File+": "+p.What)
	}
	return lines
}

// mustBeClean fails the test for everything that a Checker finds.
func (w *world) mustBeClean() {
	w.t.Helper()
	for _, line := range w.check() {
		w.t.Errorf("check: %s", line)
	}
}

func (w *world) publish(changes ...repo.Change) (*repo.Published, error) {
	return w.publisher().Publish(w.t.Context(), changes)
}

func (w *world) mustPublish(changes ...repo.Change) *repo.Published {
	w.t.Helper()
	p, err := w.publish(changes...)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// view is the collection as a client with a fresh cache sees it.
func (w *world) view() *repo.View {
	w.t.Helper()
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now}
	v, err := l.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// targets is what a client can get, by name.
func (w *world) targets() map[string]string {
	w.t.Helper()
	all, err := w.view().List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	m := map[string]string{}
	for _, t := range all {
		m[t.Name] = t.Hashes["sha256"]
	}
	return m
}

// objects is everything that a store holds.
func objects(t *testing.T, s storage.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for e, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := storage.Read(t.Context(), s, e.Key, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		all[e.Key] = string(data)
	}
	return all
}

// copyStore is a copy whose objects keep their age.
func copyStore(t *testing.T, s storage.Store, now func() time.Time) storage.Store {
	t.Helper()
	m := storage.NewMemory()
	for e, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := storage.Read(t.Context(), s, e.Key, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		m.Now = func() time.Time { return e.Modified }
		if _, err := m.Put(t.Context(), e.Key, bytes.NewReader(data), storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	m.Now = now
	return m
}

// add stages a target with the given bytes.
func add(name, content string) repo.Change {
	return repo.Change{
		ID: name, Action: repo.Add, Role: tuf.RoleTargets, Name: name, Source: "content:" + content,
		Target: tuf.TargetFile{Length: int64(len(content)), Hashes: map[string]string{"sha256": sum(content)}},
	}
}

// in moves a change to another role.
func in(role string, c repo.Change) repo.Change {
	c.Role = role
	return c
}

func remove(name string) repo.Change {
	return repo.Change{ID: name, Action: repo.Remove, Role: tuf.RoleTargets, Name: name}
}

func sum(content string) string { return forge.Sum(content) }

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// memoryCache is a Cache for one process.
type memoryCache map[string][]byte

var cacheLock sync.Mutex

func (m memoryCache) Get(name string) ([]byte, error) {
	cacheLock.Lock()
	defer cacheLock.Unlock()
	data, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (m memoryCache) clone() memoryCache {
	cacheLock.Lock()
	defer cacheLock.Unlock()
	return maps.Clone(m)
}

func (m memoryCache) Put(name string, data []byte) error {
	cacheLock.Lock()
	defer cacheLock.Unlock()
	m[name] = data
	return nil
}

func (m memoryCache) Replace(name string, old, data []byte) (bool, error) {
	cacheLock.Lock()
	defer cacheLock.Unlock()
	if !bytes.Equal(m[name], old) {
		return false, nil
	}
	m[name] = data
	return true, nil
}
