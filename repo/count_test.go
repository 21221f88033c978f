package repo_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// counting puts a Counter, and a meter of the bytes that are read, in front of
// the collection.
func (w *world) counting() (*world, *storagetest.Counter, *meter) {
	m := &meter{stater: w.store.(stater)}
	c := storagetest.NewCounter(m)
	return w.with(w.t, c.Store(), w.cache), c, m
}

// meter counts the bytes that come out of a store.
type meter struct {
	stater
	bytes atomic.Int64
}

func (m *meter) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := m.stater.Get(ctx, key)
	if err == nil {
		obj.Body = metered{obj.Body, &m.bytes}
	}
	return obj, err
}

type metered struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (m metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.bytes.Add(int64(n))
	return n, err
}

// large is a collection with a targets role and targets of some size, so that
// reading one of them shows in the bytes.
func large(t *testing.T) *world {
	w := newWorld(t)
	var changes []repo.Change
	for i := range 200 {
		changes = append(changes, add(fmt.Sprintf("dir/%d", i), "content"))
	}
	w.mustPublish(changes...)
	return w
}

// TestCountRequests: what each operation costs with a warm cache, to the last
// request. Promised are at most 4 reads and 4 writes for one new target, 2 reads
// and no write for nothing to publish, 1 read for nothing to refresh.
func TestCountRequests(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name string
		wait time.Duration
		run  func(*world) error
		want []string
	}{
		{"one new target", 0, publishing(add("new", "content")), []string{
			"GET timestamp.json", "GET 2.root.json",
			"STAT new", "PUT new",
			"PUT 2.targets.json", "PUT 2.snapshot.json", "PUT timestamp.json", "GET timestamp.json",
		}},
		{"a changed target", 0, publishing(add("dir/7", "other")), []string{
			"GET timestamp.json", "GET 2.root.json",
			"STAT dir/7", "PUT dir/7",
			"PUT 2.targets.json", "PUT 2.snapshot.json", "PUT timestamp.json", "GET timestamp.json",
		}},
		{"a removal", 0, publishing(remove("dir/7")), []string{
			"GET timestamp.json", "GET 2.root.json",
			"PUT 2.targets.json", "PUT 2.snapshot.json", "PUT timestamp.json", "GET timestamp.json",
		}},
		{"nothing", 0, publishing(), []string{"GET timestamp.json", "GET 2.root.json"}},
		{"what is published already", 0, publishing(add("dir/7", "content"), remove("gone")),
			[]string{"GET timestamp.json", "GET 2.root.json"}},
		{"a refresh of nothing", 6 * day, refreshing(false), []string{"GET timestamp.json"}},
		{"a refresh of timestamp", 8 * day, refreshing(false), []string{
			"GET timestamp.json", "GET 2.root.json", "PUT timestamp.json", "GET timestamp.json",
		}},
		{"a refresh of both", 16 * day, refreshing(false), []string{
			"GET timestamp.json", "GET 2.root.json", "PUT 2.snapshot.json", "PUT timestamp.json", "GET timestamp.json",
		}},
		{"a forced refresh", 0, refreshing(true), []string{
			"GET timestamp.json", "GET 2.root.json", "PUT 2.snapshot.json", "PUT timestamp.json", "GET timestamp.json",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := large(t)
			w.now = w.now.Add(tt.wait)
			w, count, read := w.counting()
			if err := tt.run(w); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, short(count.Log())); diff != "" {
				t.Error(diff)
			}
			// The targets role alone has 40,000 bytes: nothing of it was read.
			if got := read.bytes.Load(); got > 2000 {
				t.Errorf("%d bytes were read", got)
			}
			w.mustBeClean()
		})
	}
}

// short is a log with the names of objects instead of their keys.
func short(log []string) []string {
	lines := []string{}
	for _, line := range log {
		method, key, _ := strings.Cut(line, " ")
		_, name, _ := strings.Cut(strings.TrimPrefix(key, collection+"/"), "/")
		if dir, base, ok := cutHash(name); ok {
			name = dir + base
		}
		lines = append(lines, method+" "+name)
	}
	return lines
}

// cutHash takes the hash out of the name of a target's object.
func cutHash(name string) (dir, base string, ok bool) {
	i := strings.LastIndex(name, "/") + 1
	hash, base, ok := strings.Cut(name[i:], ".")
	return name[:i], base, ok && len(hash) == 64
}

// TestCountCold: without a cache, a publish reads each file once, and no target.
func TestCountCold(t *testing.T) {
	w := large(t)
	w.cache = w.newCache()
	w, count, _ := w.counting()
	w.mustPublish(add("new", "content"))
	want := []string{
		"GET timestamp.json", "GET 2.root.json", "GET 1.snapshot.json", "GET 1.targets.json",
		"STAT new", "PUT new",
		"PUT 2.targets.json", "PUT 2.snapshot.json", "PUT timestamp.json", "GET timestamp.json",
	}
	if diff := cmp.Diff(want, short(count.Log())); diff != "" {
		t.Error(diff)
	}
}

// TestCountMany: each of many new targets costs two requests, the rest stays.
func TestCountMany(t *testing.T) {
	w, count, _ := large(t).counting()
	var changes []repo.Change
	for i := range 50 {
		changes = append(changes, add(fmt.Sprint(i), fmt.Sprint(i)))
	}
	w.mustPublish(changes...)
	if diff := cmp.Diff(storagetest.Counts{Reads: 50 + 3, Writes: 50 + 3}, count.Counts()); diff != "" {
		t.Error(diff)
	}
	count.Reset()
	w.mustPublish(append(changes, add("last", "1"))...)
	if got := count.Log(); !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, ".last") }) ||
		count.Counts() != (storagetest.Counts{Reads: 4, Writes: 4}) {
		t.Errorf("one more: %v", short(got))
	}
}

// TestCountLookup: a reader with a warm cache asks for two small files, whatever
// the size of the collection.
func TestCountLookup(t *testing.T) {
	w := large(t)
	w, count, read := w.counting()
	l := &repo.Loader{Source: w.store, Collection: collection, Cache: w.cache, Now: w.now}
	v, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Lookup(t.Context(), "dir/7"); err != nil {
		t.Fatal(err)
	}
	want := []string{"GET 2.root.json", "GET timestamp.json"}
	if diff := cmp.Diff(want, short(count.Log())); diff != "" || read.bytes.Load() > 2000 {
		t.Errorf("%d bytes: %s", read.bytes.Load(), diff)
	}
}
