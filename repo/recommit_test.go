package repo_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage/storagetest"
)

// TestCommitAgain: a submission may be committed again after any failure, and
// after success. It is published once.
func TestCommitAgain(t *testing.T) {
	base := family(t)
	for _, method := range []string{"GET", "STAT", "PUT"} {
		for n := range commitAgain(t, base, method, 0, storagetest.None) {
			for _, fault := range []storagetest.Fault{storagetest.Lost, storagetest.AppliedFailed, storagetest.Killed} {
				t.Run(fmt.Sprintf("%s %d %v", method, n+1, fault), func(t *testing.T) {
					commitAgain(t, base, method, n+1, fault)
				})
			}
		}
	}
}

// commitAgain breaks one request of a commit, commits again, and returns how
// many such requests the first commit made.
func commitAgain(t *testing.T, base *world, method string, n int, fault storagetest.Fault) int {
	t.Helper()
	f := newForge(t, base)
	delete(f.Files, "root") // whose number cannot be taken twice
	f.Upload()
	sub := f.Submission()
	faults := storagetest.NewFaults(storagetest.Immutable(t, f.store), onNth(method, n, fault))
	_, err := f.with(t, faults.Store(), f.cache).committer().Commit(t.Context(), nil, sub)
	if fault == storagetest.Lost && !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("with a request lost: %v", err)
	}
	var rejection *repo.Rejection
	if errors.As(err, &rejection) {
		t.Errorf("a store that does not answer is told as %v", err)
	}
	want := &repo.Receipt{
		Collection: collection, Submission: sub.ID(), Committed: f.now,
		Versions: map[string]int64{"targets": 3, "ci": 3, "ci.deep": 2, "snapshot": 4, "timestamp": 4},
	}
	for range 2 {
		got, err := f.with(t, f.store, f.newCache()).committer().Commit(t.Context(), nil, sub)
		if err != nil {
			t.Fatalf("again: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	f.mustBeClean()
	return faults.Requests(method)
}

// TestCommitRootAgain: a root that is in force is not committed a second time.
func TestCommitRootAgain(t *testing.T) {
	f := newForge(t, family(t))
	f.Files = map[string]object{"root": f.Files["root"]}
	sub := f.Submission()
	for range 2 {
		got, err := f.with(t, f.store, f.newCache()).committer().Commit(t.Context(), nil, sub)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int64{"snapshot": 4, "timestamp": 4}, got.Versions); diff != "" {
			t.Error(diff)
		}
	}
	if got := f.view().Root().Signed.Version; got != 2 {
		t.Errorf("root has version %d", got)
	}
	f.mustBeClean()
}

// TestCommitRootLost: of two roots made from the same one, the second is told so;
// its number cannot be skipped.
func TestCommitRootLost(t *testing.T) {
	w := family(t)
	l := &repo.Loader{
		Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now, TimestampFirst: true,
	}
	base, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := newForge(t, w)
	f.Files = map[string]object{"root": f.Files["root"]}
	f.Files["root"]["theirs"] = "another"
	w.rotate()
	before := objects(t, w.store)
	_, err = w.committer().Commit(t.Context(), base, f.Submission())
	var stale *repo.StaleError
	if !errors.As(err, &stale) || stale.Role != tuf.RoleRoot {
		t.Errorf("the second root: %v", err)
	}
	if diff := cmp.Diff(before, objects(t, w.store)); diff != "" {
		t.Errorf("something was written: %s", diff)
	}
}

// fullCache takes n files more.
type fullCache struct {
	repo.Cache
	n int
}

var errFull = errors.New("no space left")

func (c *fullCache) Put(name string, data []byte) error {
	if c.n--; c.n < 0 {
		return errFull
	}
	return c.Cache.Put(name, data)
}

func (c *fullCache) Replace(name string, old, data []byte) (bool, error) {
	if c.n--; c.n < 0 {
		return false, errFull
	}
	return c.Cache.Replace(name, old, data)
}

// TestCommitCacheFull: a user's full disk is an error that costs nothing but a
// second run, which finds out where the first one got.
func TestCommitCacheFull(t *testing.T) {
	base := family(t)
	for n, done := 0, false; !done; n++ {
		f := newForge(t, base)
		f.Upload()
		sub := f.Submission()
		c := f.committer()
		c.Cache = &fullCache{f.cache, n}
		_, err := c.Commit(t.Context(), nil, sub)
		if done = err == nil; !done && !errors.Is(err, errFull) {
			t.Errorf("a cache for %d files: %v", n, err)
		}
		f.mustBeClean()
		if done && n < 8 {
			t.Errorf("a cache for %d files is enough", n)
		}
		if _, err := f.committer().Commit(t.Context(), nil, sub); err != nil {
			t.Errorf("after a cache for %d files: %v", n, err)
		}
		if got := f.view().Timestamp.Signed.Version; got != 4 {
			t.Errorf("after a cache for %d files timestamp has version %d", n, got)
		}
	}
}
