package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// targetsOnly is a submission of a new targets file.
func (f *forger) targetsOnly() *repo.Submission {
	f.t.Helper()
	f.Files = map[string]object{"targets": f.Files["targets"]}
	f.Upload()
	return f.Submission()
}

// TestCommitUponOldView: what was loaded long ago is looked at once more, before
// anything is written upon it.
func TestCommitUponOldView(t *testing.T) {
	f := newForge(t, family(t))
	sub := f.targetsOnly()
	base, err := f.base()
	if err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Minute)
	if _, err := f.with(t, f.store, f.newCache()).refresh(true); err != nil {
		t.Fatal(err)
	}
	if _, err := f.committer().Commit(t.Context(), base, sub); err != nil {
		t.Fatal(err)
	}
	if got := f.view().Snapshot.Signed.Version; got != 5 {
		t.Errorf("snapshot has version %d: a number was lost to the race", got)
	}
}

// TestCommitUponOldRoot: a root that came before its timestamp, as one does after
// a key was lost, is one to commit under.
func TestCommitUponOldRoot(t *testing.T) {
	f := newForge(t, family(t))
	sub := f.targetsOnly()
	base, err := f.base()
	if err != nil {
		t.Fatal(err)
	}
	rotated := f.with(t, copyStore(t, f.store, func() time.Time { return f.now }), f.newCache())
	lost := to(online(t, f.ring), repo.DefaultGrace)
	lost.OldKeyLost = true
	rotated.mustRotate(lost)
	f.put(f.store, repo.SlotKey(collection, tuf.RoleRoot, 2), objects(t, rotated.store)[repo.SlotKey(collection, tuf.RoleRoot, 2)])
	f.now = f.now.Add(time.Minute)
	if _, err := f.committer().Commit(t.Context(), base, sub); err != nil {
		t.Fatal(err)
	}
	if _, err := f.loader().Load(t.Context()); err != nil {
		t.Errorf("clients of the new root: %v", err)
	}
}

// base is the collection as it is loaded to be written.
func (w *world) base() (*repo.View, error) {
	l := w.loader()
	l.TimestampFirst = true
	return l.Load(w.t.Context())
}

func (w *world) loader() *repo.Loader {
	return &repo.Loader{Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now}
}

// lying acknowledges a timestamp that it does not take, and shows another.
type lying struct {
	storage.Store
	show []byte
}

func (l *lying) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if key != repo.TimestampKey(collection) {
		return l.Store.Put(ctx, key, body, prev)
	}
	if l.show == nil {
		return "lie", nil
	}
	return l.Store.Put(ctx, key, bytes.NewReader(l.show), prev)
}

// TestCommitOntoLyingStore: a store that acknowledges what it does not show is
// not believed that a version is published.
func TestCommitOntoLyingStore(t *testing.T) {
	for want, show := range map[string][]byte{
		"the store acknowledged version 4 and shows version 3": nil,
		"timestamp.json: ": []byte("{}"),
	} {
		f := newForge(t, family(t))
		sub := f.targetsOnly()
		f.store = &lying{f.store, show}
		_, err := f.committer().Commit(t.Context(), nil, sub)
		if !errors.As(err, new(*repo.VerifyError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

// TestCommitAllNumbersTaken: a store full of strangers' snapshots does not keep a
// commit busy for ever.
func TestCommitAllNumbersTaken(t *testing.T) {
	f := newForge(t, family(t))
	for n := range int64(1000) {
		f.put(f.store, repo.SlotKey(collection, tuf.RoleSnapshot, 4+n), "{}")
	}
	_, err := f.committer().Commit(t.Context(), nil, f.targetsOnly())
	if err == nil || !strings.Contains(err.Error(), "write snapshot: the next 1000 numbers are taken") {
		t.Error(err)
	}
}

// TestCommitFirstOvertaken: a first root finds its number taken by somebody who
// came between the look and the write.
func TestCommitFirstOvertaken(t *testing.T) {
	w := newWorld(t)
	base, err := w.base()
	if err != nil {
		t.Fatal(err)
	}
	scene := w.scene()
	sub := scene.First(nil)
	w.put(w.store, repo.SlotKey(collection, tuf.RoleRoot, 1), "theirs")
	if _, err := w.committer().Commit(t.Context(), base, sub); !errors.Is(err, repo.ErrPublished) {
		t.Error(err)
	}
}

// TestCommitOntoSlotOfUnknownAge: a slot that has these very bytes is built upon
// only if its age is known.
func TestCommitOntoSlotOfUnknownAge(t *testing.T) {
	f := newForge(t, family(t))
	sub := f.targetsOnly()
	key := repo.SlotKey(collection, tuf.RoleTargets, 3)
	f.put(f.store, key, string(sub.Files[tuf.RoleTargets]))
	f.store = storagetest.NewFaults(f.store, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "STAT" && r.Key == key {
			return storagetest.Lost
		}
		return storagetest.None
	}).Store()
	_, err := f.committer().Commit(t.Context(), nil, sub)
	if !errors.Is(err, storagetest.ErrInjected) || !strings.HasPrefix(err.Error(), "look at 3.targets.json: ") {
		t.Error(err)
	}
}

// TestCommitLastNumbers: a version that clients cannot read is not signed, nor
// one after it.
func TestCommitLastNumbers(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	s := w.view().Snapshot.Signed
	s.Version = highest
	w.announce(w.stolen(s))
	if _, err := w.publish(add("b", "2")); !errors.Is(err, repo.ErrLastVersion) {
		t.Errorf("snapshot: %v", err)
	}
	w.abuseTimestamp()
	if _, err := w.refresh(true); !errors.Is(err, repo.ErrLastVersion) {
		t.Errorf("timestamp: %v", err)
	}
}

// TestCommitLooksBack: an earlier publication that cannot be looked for is told as
// that, not as a lost race.
func TestCommitLooksBack(t *testing.T) {
	f := newForge(t, family(t))
	sub := f.published()
	f.mustPublish(add("theirs", "1"))
	f.store = storagetest.NewFaults(f.store, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "GET" && r.Key == repo.SlotKey(collection, tuf.RoleTargets, 3) {
			return storagetest.Lost
		}
		return storagetest.None
	}).Store()
	_, err := f.with(t, f.store, f.newCache()).committer().Commit(t.Context(), nil, sub)
	if !errors.Is(err, storagetest.ErrInjected) || !strings.HasPrefix(err.Error(), "look for an earlier publication of targets: ") {
		t.Error(err)
	}
}

// TestFirstRootFirst: a first root is there before anything that clients look for,
// and that nobody could verify without it.
func TestFirstRootFirst(t *testing.T) {
	w := newWorld(t)
	var wrote []string
	w.store = storagetest.NewFaults(w.store, func(r storagetest.Request) storagetest.Fault {
		if name, ok := strings.CutPrefix(r.Key, repo.MetadataDir(collection)+"/"); ok && r.Method == "PUT" {
			wrote = append(wrote, name)
		}
		return storagetest.None
	}).Store()
	w.mustPublish(add("a", "1"))
	if len(wrote) == 0 || wrote[0] != "1.root.json" {
		t.Errorf("written in this order: %q", wrote)
	}
}
