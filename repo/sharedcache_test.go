package repo_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// slow is a mirror. Before it answers for a file, others go on.
type slow struct {
	storage.Getter
	name      string
	meanwhile func()
}

func (s *slow) Get(ctx context.Context, key string) (storage.Object, error) {
	if strings.HasSuffix(key, "/"+s.name) {
		s.meanwhile()
	}
	return s.Getter.Get(ctx, key)
}

// loadInto loads a collection into the world's cache itself.
func (w *world) loadInto(source storage.Getter) {
	w.t.Helper()
	l := &repo.Loader{Source: source, Collection: collection, Cache: w.cache, Now: w.now}
	if _, err := l.Load(w.t.Context()); err != nil {
		w.t.Error(err)
	}
}

// rotateTimestamp hands timestamp to a new key, which starts it again from
// version 1: how a collection recovers from a stolen one.
func (w *tamperer) rotateTimestamp() {
	w.t.Helper()
	f := forge.New(w.scene())
	f.At(tuf.RoleRoot, "roles", tuf.RoleTimestamp)["keyids"] = []any{f.Key(f.At(tuf.RoleRoot, "keys"))}
	f.Upload()
	if _, err := w.with(w.t, w.raw, w.newCache()).committer().Commit(w.t.Context(), nil, f.Submission()); err != nil {
		w.t.Fatal(err)
	}
	w.resign(tuf.RoleTimestamp, func(o object) { o["version"] = 1 })
}

// TestSharedCache: who is overtaken by another process on the same cache does
// not take back what that one has seen.
func TestSharedCache(t *testing.T) {
	base := family(t)
	publish := func(_, now *tamperer) { now.with(t, now.raw, now.newCache()).mustPublish(add("x", "1")) }
	for _, tt := range []struct {
		name   string
		change func(before, now *tamperer)
		at     string // the request at which the slow one is overtaken
		want   map[string]int64
	}{
		{"before timestamp", publish, "timestamp.json", map[string]int64{"root": 1, "timestamp": 4, "snapshot": 4}},
		{"after timestamp", publish, "3.snapshot.json", map[string]int64{"root": 1, "timestamp": 4, "snapshot": 4}},
		{"between roots", func(before, now *tamperer) {
			now.rotate()
			before.write("2.root.json", now.read("2.root.json"))
			now.rotate()
		}, "2.root.json", map[string]int64{"root": 3, "timestamp": 5, "snapshot": 5}},
		{"by a new timestamp key", func(before, now *tamperer) {
			publish(nil, before)
			before.resign(tuf.RoleTimestamp, func(o object) { o["version"] = 99 })
			now.rotateTimestamp()
		}, "timestamp.json", map[string]int64{"root": 2, "timestamp": 1, "snapshot": 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, now := tampering(t, base), tampering(t, base)
			tt.change(before, now)
			before.loadInto(&slow{before.raw, tt.at, func() { before.loadInto(now.raw) }})
			if diff := cmp.Diff(tt.want, before.cached()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// cached is the versions in the world's cache.
func (w *world) cached() map[string]int64 {
	w.t.Helper()
	return map[string]int64{
		tuf.RoleRoot:      versionOf[tuf.Root](w, tuf.RoleRoot),
		tuf.RoleTimestamp: versionOf[tuf.Timestamp](w, tuf.RoleTimestamp),
		tuf.RoleSnapshot:  versionOf[tuf.Snapshot](w, tuf.RoleSnapshot),
	}
}

func versionOf[T tuf.Content](w *world, role string) int64 {
	w.t.Helper()
	f, err := tuf.Parse[T](w.cache[role+".json"], 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	return f.Head().Version
}

// TestCacheForgets: what a stolen timestamp key has signed gives way to what the
// new root's key signs, whatever its version.
func TestCacheForgets(t *testing.T) {
	before := tampering(t, family(t))
	now := tampering(t, before.world)
	before.resign(tuf.RoleTimestamp, func(o object) { o["version"] = 99 })
	now.rotateTimestamp()
	before.loadInto(before.raw)
	before.loadInto(now.raw)
	want := map[string]int64{"root": 2, "timestamp": 1, "snapshot": 4}
	if diff := cmp.Diff(want, before.cached()); diff != "" {
		t.Error(diff)
	}
}
