package repo_test

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// mirror copies the world's collection to another store, as somebody who trusts
// its first root.
func (w *world) mirror(to storage.Store) (*repo.Mirrored, error) {
	m := &repo.Mirror{
		Source: w.store, Store: to,
		Loader: &repo.Loader{Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now},
	}
	v, _, err := m.Load(w.t.Context())
	if err != nil {
		return nil, err
	}
	return m.Copy(w.t.Context(), v)
}

func (w *world) mustMirror(to storage.Store) *repo.Mirrored {
	w.t.Helper()
	done, err := w.mirror(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// published is what a check finds published: without what unfinished commits,
// and versions of before, have left.
func published(t *testing.T, w *world, s storage.Store) map[string]string {
	t.Helper()
	c := w.with(t, s, w.newCache()).collector()
	c.Keep, c.Now = repo.MinKeep, func() time.Time { return w.now.Add(24 * 365 * time.Hour) }
	garbage, err := c.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, s)
	for _, e := range garbage {
		delete(all, e.Key)
	}
	return all
}

// mirrored is a collection with something of everything.
func mirrored(t *testing.T) *world {
	w := newWorld(t)
	w.mustPublish(add("a", "one"), add("dir/b+1", "two"))
	w.delegate(tuf.RoleTargets, "releases", "releases/*")
	w.mustPublish(in("releases", add("releases/x", "three")))
	w.rotateOnline()
	w.mustPublish(add("a", "four"), remove("dir/b+1"))
	return w
}

func TestMirror(t *testing.T) {
	w := mirrored(t)
	to := storagetest.Immutable(t, w.newMemory())
	first := w.mustMirror(to)
	if first.Targets != 2 || first.Present != 0 || first.Versions[tuf.RoleRoot] != 2 {
		t.Errorf("first copy: %+v", first)
	}
	if diff := cmp.Diff(published(t, w, w.store), objects(t, to)); diff != "" {
		t.Errorf("the copy is another (-source +mirror):\n%s", diff)
	}
	w.with(t, to, w.newCache()).mustBeClean()

	if again := w.mustMirror(to); again.Files != 0 || again.Targets != 0 || again.Present != 2 {
		t.Errorf("a second copy copies %+v", again)
	}
	w.mustPublish(add("c", "five"))
	if next := w.mustMirror(to); next.Files != 3 || next.Targets != 1 {
		t.Errorf("after a publish it copies %+v", next)
	}
	w.with(t, to, w.newCache()).mustBeClean()
}

// TestMirrorInterrupted breaks a copy at every request to either side; clients
// find the version of before or the new one, and the next run finishes.
func TestMirrorInterrupted(t *testing.T) {
	w := mirrored(t)
	before := w.newMemory()
	w.mustMirror(before)
	w.mustPublish(add("c", "five"), remove("a"))
	whole := w.newMemory()
	w.mustMirror(whole)
	want := objects(t, whole)
	for _, fault := range []storagetest.Fault{storagetest.Lost, storagetest.AppliedFailed, storagetest.AppliedAgain, storagetest.Killed} {
		for _, side := range []string{"source", "mirror"} {
			n := 1
			for w.interrupted(before, side, n, fault, want) {
				n++
			}
			if n < 10 {
				t.Errorf("%v of the %s: only %d requests were broken", fault, side, n)
			}
		}
	}
}

// interrupted reports whether a copy to a mirror that is behind makes n requests
// to one side, the last of which is broken, and sees to what follows.
func (w *world) interrupted(behind storage.Store, side string, n int, fault storagetest.Fault, want map[string]string) bool {
	w.t.Helper()
	to := copyStore(w.t, behind, func() time.Time { return w.now })
	old := w.with(w.t, to, w.newCache()).targets()
	reached := false
	breaking := func() storagetest.Fault { reached = true; return fault }
	if side == "source" {
		source := w.onRequest(n, breaking).Store()
		_, _ = w.with(w.t, source, w.newCache()).mirror(to) // it may have been the last request
	} else {
		_, _ = w.mirror(w.with(w.t, to, w.newCache()).onRequest(n, breaking).Store())
	}
	there := w.with(w.t, to, w.newCache())
	there.mustBeClean()
	if got := there.targets(); !maps.Equal(got, old) && !maps.Equal(got, w.targets()) {
		w.t.Errorf("%v of the %s at request %d: clients find %v", fault, side, n, got)
	}
	w.mustMirror(to)
	there.mustBeClean()
	all := objects(w.t, to)
	maps.DeleteFunc(all, func(key, _ string) bool { _, wanted := want[key]; return !wanted }) // of versions before
	if diff := cmp.Diff(want, all); diff != "" {
		w.t.Fatalf("%v of the %s at request %d (-source +mirror):\n%s", fault, side, n, diff)
	}
	return reached
}

// TestMirrorAcrossRotations: a mirror that has missed rotations serves every
// client while it is brought up to date, as long as old and new keys sign
// together.
func TestMirrorAcrossRotations(t *testing.T) {
	w := mirrored(t)
	to := w.newMemory()
	w.mustMirror(to)
	w.rotateOnline()
	faulty := storagetest.NewFaults(to, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "PUT" { // before and after each write
			w.with(t, to, w.newCache()).view()
		}
		return storagetest.None
	})
	done, err := w.mirror(faulty.Store())
	if err != nil || done.Moved {
		t.Errorf("within the grace: %+v, %v", done, err)
	}
	w.with(t, to, w.newCache()).mustBeClean()

	w.rotateOnline()
	w.now = w.now.Add(time.Hour)
	w.mustPublish(add("later", "later"))
	if done := w.mustMirror(to); !done.Moved {
		t.Error("after the grace it does not say that clients may have been refused")
	}
	w.with(t, to, w.newCache()).mustBeClean()
}

func TestMirrorRefuses(t *testing.T) {
	spoil := func(key string, edit func([]byte) []byte) func(*world, storage.Store) {
		return func(w *world, s storage.Store) {
			data, version, err := storage.Read(w.t.Context(), s, key, 1<<20)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := s.Put(w.t.Context(), key, bytes.NewReader(edit(bytes.Clone(data))), version); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	drop := func(key string) func(*world, storage.Store) {
		return func(w *world, s storage.Store) { w.lose(s, key) }
	}
	flip := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	shorter := func(data []byte) []byte { return data[:len(data)-1] }
	longer := func(data []byte) []byte { return append(data, '!') }
	target := repo.TargetKey(collection, "a", sum("four"))
	for name, row := range map[string]struct {
		source, mirror func(*world, storage.Store)
		want           string
	}{
		"a flipped byte in a target":    {source: spoil(target, flip), want: "signed hash"},
		"a target that is shorter":      {source: spoil(target, shorter), want: "bytes in the source"},
		"a target that is longer":       {source: spoil(target, longer), want: "bytes in the source"},
		"a flipped byte in targets":     {source: spoil(repo.SlotKey(collection, tuf.RoleTargets, 3), flip), want: "targets"},
		"a flipped byte in the root":    {source: spoil(repo.SlotKey(collection, tuf.RoleRoot, 2), flip), want: "root"},
		"the first root is another":     {source: spoil(repo.SlotKey(collection, tuf.RoleRoot, 1), flip), want: "root"},
		"a target that is missing":      {source: drop(target), want: "the source does not have it"},
		"another root in the mirror":    {mirror: func(w *world, s storage.Store) { w.put(s, repo.SlotKey(collection, tuf.RoleRoot, 1), "{}") }, want: "another 1.root.json"},
		"another slot in the mirror":    {mirror: func(w *world, s storage.Store) { w.put(s, repo.SlotKey(collection, tuf.RoleTargets, 3), "{}") }, want: "something else"},
		"a target of other bytes there": {mirror: func(w *world, s storage.Store) { w.put(s, target, "five") }, want: "sha256"},
		"the first root is not there":   {source: func(w *world, s storage.Store) { unstore(w, s, repo.SlotKey(collection, tuf.RoleRoot, 1)) }, want: "verify 1.root.json: "},
		"the second root is the first": {source: func(w *world, s storage.Store) {
			second := objects(w.t, s)[repo.SlotKey(collection, tuf.RoleRoot, 2)]
			spoil(repo.SlotKey(collection, tuf.RoleRoot, 1), func([]byte) []byte { return []byte(second) })(w, s)
		}, want: "verify 1.root.json: it says version 2"},
		"the first root of a stranger": {source: func(w *world, s storage.Store) {
			root := parse[tuf.Root](w.t, w.root).Signed
			spoil(repo.SlotKey(collection, tuf.RoleRoot, 1), func([]byte) []byte { return forge.Signed(w.t, w.ring, root).Bytes() })(w, s)
		}, want: "verify 1.root.json: root: 0 of 1 required signatures"},
		"the first root is another of the same keys": {source: func(w *world, s storage.Store) {
			root := parse[tuf.Root](w.t, w.root).Signed
			root.Expires = root.Expires.Add(time.Hour)
			again := forge.Signed(w.t, w.ring, root, root.Roles[tuf.RoleRoot].KeyIDs...).Bytes()
			spoil(repo.SlotKey(collection, tuf.RoleRoot, 1), func([]byte) []byte { return again })(w, s)
		}, want: "verify 1.root.json: it is not the one that is trusted"},
		"garbage for a timestamp": {mirror: func(w *world, s storage.Store) { w.put(s, repo.TimestampKey(collection), "{}") }, want: "timestamp.json of the mirror"},
	} {
		t.Run(name, func(t *testing.T) {
			w := mirrored(t)
			w.t = t
			source := copyStore(t, w.store, func() time.Time { return w.now })
			to := w.newMemory()
			if row.source != nil {
				row.source(w, source)
			}
			if row.mirror != nil {
				row.mirror(w, to)
			}
			before := objects(t, to)[repo.TimestampKey(collection)]
			w.store = source
			_, err := w.mirror(to)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want one with %q", err, row.want)
			}
			if after := objects(t, to)[repo.TimestampKey(collection)]; after != before {
				t.Error("it is published all the same")
			}
		})
	}
}

func (w *world) put(s storage.Store, key, content string) {
	w.t.Helper()
	if _, err := s.Put(w.t.Context(), key, strings.NewReader(content), storage.Absent); err != nil {
		w.t.Fatal(err)
	}
}

func unstore(w *world, s storage.Store, key string) {
	w.t.Helper()
	info, err := storage.Stat(w.t.Context(), s, key)
	if err == nil {
		err = s.(storage.Deleter).Delete(w.t.Context(), key, info.Version)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestMirrorOfStrangersPast: roots before the trusted one are of those whom it
// follows.
func TestMirrorOfStrangersPast(t *testing.T) {
	w, stranger := mirrored(t), newWorld(t)
	trusted := objects(t, w.store)[repo.SlotKey(collection, tuf.RoleRoot, 2)]
	w.store = copyStore(t, w.store, func() time.Time { return w.now })
	w.overwrite(repo.SlotName(tuf.RoleRoot, 1), stranger.root)
	w.root = []byte(trusted)
	if _, err := w.mirror(w.newMemory()); !errors.As(err, new(*repo.VerifyError)) || !strings.HasPrefix(err.Error(), "verify 1.root.json: by the keys of the root before it: ") {
		t.Error(err)
	}
}

// TestMirrorSource: not everything can be copied so that clients find it whole.
func TestMirrorSource(t *testing.T) {
	w := newWorld(t)
	if _, err := w.mirror(w.newMemory()); !errors.Is(err, repo.ErrNotPublished) {
		t.Errorf("nothing published: %v", err)
	}
	s := newStranger(t)
	root, err := tuf.Parse[tuf.Root](s.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	root.Signed.ConsistentSnapshot, root.Signed.Version = false, 4
	s.put(s.store, repo.SlotKey(collection, tuf.RoleRoot, 4), string(forge.Signed(t, s.ring, root.Signed, s.keys[tuf.RoleRoot]...).Bytes()))
	for role, name := range map[string]string{tuf.RoleTargets: "1.targets.json", "child": "1.child.json", tuf.RoleSnapshot: "1.snapshot.json"} {
		s.overwrite(role+".json", []byte(objects(t, s.store)[repo.MetadataDir(collection)+"/"+name]))
	}
	to := s.newMemory()
	if _, err := s.mirror(to); !errors.Is(err, repo.ErrUnversioned) || len(objects(t, to)) != 0 {
		t.Errorf("names without versions: %v", err)
	}
}

// TestMirrorLacksRoots: a collection of ours has all of its roots, or something has
// removed them.
func TestMirrorLacksRoots(t *testing.T) {
	w := newGarbageWorld(t)
	w.mustPublish(add("a", "one"))
	w.rotateOnline()
	w.root = w.view().Root().Bytes()
	unstore(w, w.store, repo.SlotKey(collection, tuf.RoleRoot, 1))
	to := w.newMemory()
	if _, err := w.mirror(to); !errors.As(err, new(*repo.VerifyError)) || !strings.HasPrefix(err.Error(), "verify 1.root.json: ") || len(objects(t, to)) != 0 {
		t.Error(err)
	}
}

// TestMirrorOfAnother: where the mirror has something else than what was copied
// before, it stays.
func TestMirrorOfAnother(t *testing.T) {
	w := mirrored(t)
	whole := w.newMemory()
	w.mustMirror(whole)
	ts := w.view().Timestamp.Signed
	ts.Expires = ts.Expires.Add(time.Minute)
	another := forge.Signed(t, w.ring, ts, w.view().Root().Signed.Roles[tuf.RoleTimestamp].KeyIDs...).Bytes()
	for want, change := range map[string]func(*world){
		fmt.Sprintf("the mirror is one of something else: its timestamp %d is another", ts.Version): func(m *world) { m.overwrite("timestamp.json", another) },
		"the mirror is one of something else: it has another 2.root.json":                           func(m *world) { m.overwrite("2.root.json", []byte("{}")) },
	} {
		m := w.with(t, copyStore(t, whole, func() time.Time { return w.now }), nil)
		change(m)
		before := objects(t, m.store)
		if _, err := w.mirror(m.store); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
		if diff := cmp.Diff(before, objects(t, m.store)); diff != "" {
			t.Errorf("the mirror was changed (-before +after):\n%s", diff)
		}
	}
}

// TestMirrorTamperedUndelegated: what the snapshot lists, and nothing delegates to
// any more, is copied as it was signed or not at all.
func TestMirrorTamperedUndelegated(t *testing.T) {
	w := family(t)
	f := newForge(t, w)
	f.Files = map[string]object{"targets": f.Files["targets"]}
	delete(f.Files["targets"], "delegations")
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	f.mustMirror(f.newMemory())
	f.store = copyStore(t, f.store, func() time.Time { return f.now })
	f.overwrite("2.ci.json", []byte("{}"))
	if _, err := f.mirror(f.newMemory()); !errors.As(err, new(*repo.VerifyError)) || !strings.HasPrefix(err.Error(), "verify 2.ci.json: ") {
		t.Error(err)
	}
}

// TestMirrorWritesLost: a write that failed is not said to be done, and one that
// met its like is.
func TestMirrorWritesLost(t *testing.T) {
	w := mirrored(t)
	for n := 1; ; n++ {
		faults := storagetest.NewFaults(w.newMemory(), storagetest.OnPut(n, storagetest.Lost))
		_, err := w.mirror(faults.Store())
		if faults.Requests("PUT") < n {
			break
		}
		if !errors.Is(err, storagetest.ErrInjected) {
			t.Errorf("write %d lost: %v", n, err)
		}
		faults = storagetest.NewFaults(w.newMemory(), storagetest.OnPut(n, storagetest.AppliedAgain))
		if _, err := w.mirror(faults.Store()); err != nil {
			t.Errorf("write %d met its own: %v", n, err)
		}
	}
}

// TestMirrorOvertaken: somebody else writes something else just before.
func TestMirrorOvertaken(t *testing.T) {
	w := mirrored(t)
	for suffix, want := range map[string]string{".a": "sha256", "/3.targets.json": "write ", "/timestamp.json": "write "} {
		to := w.newMemory()
		faults := storagetest.NewFaults(to, func(r storagetest.Request) storagetest.Fault {
			if r.Method == "PUT" && strings.HasSuffix(r.Key, suffix) {
				w.put(to, r.Key, "five")
			}
			return storagetest.None
		})
		if _, err := w.mirror(faults.Store()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", suffix, err, want)
		}
	}
}

func TestMirrorAhead(t *testing.T) {
	w := mirrored(t)
	to := w.newMemory()
	old := copyStore(t, w.store, func() time.Time { return w.now })
	w.mustPublish(add("c", "five"))
	w.mustMirror(to)
	w.store = old
	if _, err := w.mirror(to); !errors.Is(err, repo.ErrAhead) {
		t.Errorf("an older source: %v", err)
	}
}

// TestMirrorAheadByKeys: a mirror that is past a rotation which the source does
// not know of is ahead, though the source's root does not verify what it has.
func TestMirrorAheadByKeys(t *testing.T) {
	w := mirrored(t)
	to := w.newMemory()
	old := copyStore(t, w.store, func() time.Time { return w.now })
	w.rotateOnline()
	w.now = w.now.Add(time.Hour)
	w.mustPublish(add("c", "five"))
	w.mustMirror(to)
	before := objects(t, to)
	w.store = old
	if _, err := w.mirror(to); !errors.Is(err, repo.ErrAhead) {
		t.Errorf("a source of before the rotation: %v", err)
	}
	if diff := cmp.Diff(before, objects(t, to)); diff != "" {
		t.Errorf("the mirror was changed (-before +after):\n%s", diff)
	}
}

// TestMirrorRecovered: a mirror of what a thief had announced follows a recovery,
// after which the versions are lower.
func TestMirrorRecovered(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	to := w.newMemory()
	w.abuseTimestamp()
	if done := w.mustMirror(to); done.Versions[tuf.RoleTimestamp] != highest {
		t.Fatalf("nothing to recover from: %+v", done)
	}
	w.mustRotate(recovery(t, w.ring))
	done := w.mustMirror(to)
	if done.Versions[tuf.RoleTimestamp] >= highest {
		t.Errorf("after the recovery: %+v", done)
	}
	w.with(t, to, w.newCache()).mustBeClean()
	if again := w.mustMirror(to); again.Files != 0 {
		t.Errorf("a second copy copies %+v", again)
	}
}

// TestMirrorMovedTargets: keys of targets that were replaced are told as well.
func TestMirrorMovedTargets(t *testing.T) {
	for _, role := range []string{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
		w := newWorld(t)
		w.mustPublish(add("a", "1"))
		mirror := w.newMemory()
		w.mustMirror(mirror)
		w.mustRotate(to(map[string]tuf.Key{role: w.ring.Generate(t)}, repo.DefaultGrace))
		w.now = w.now.Add(time.Hour)
		w.mustPublish(add("b", "2"))
		if done := w.mustMirror(mirror); !done.Moved {
			t.Errorf("%s: it does not say that clients may have been refused", role)
		}
		w.with(t, mirror, w.newCache()).mustBeClean()
	}
}

// TestMirrorSHA512: the store's own sha256 contradicts no target that lists a
// sha512 alone.
func TestMirrorSHA512(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	v := w.view()
	if _, err := v.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha512.Sum512([]byte("1")))
	roles := v.Root().Signed.Roles
	targets := v.Targets[tuf.RoleTargets].Signed
	targets.Version++
	targets.Targets = map[string]tuf.TargetFile{"a": {Length: 1, Hashes: map[string]string{"sha512": sum}}}
	signed := forge.Signed(t, w.ring, targets, roles[tuf.RoleTargets].KeyIDs...)
	snapshot := v.Snapshot.Signed
	snapshot.Version++
	snapshot.Meta = map[string]tuf.MetaFile{"targets.json": signed.Meta()}
	listed := forge.Signed(t, w.ring, snapshot, roles[tuf.RoleSnapshot].KeyIDs...)
	ts := v.Timestamp.Signed
	ts.Version++
	ts.Meta = map[string]tuf.MetaFile{"snapshot.json": listed.Meta()}
	w.overwrite(repo.SlotName(tuf.RoleTargets, targets.Version), signed.Bytes())
	w.overwrite(repo.SlotName(tuf.RoleSnapshot, snapshot.Version), listed.Bytes())
	w.overwrite("timestamp.json", forge.Signed(t, w.ring, ts, roles[tuf.RoleTimestamp].KeyIDs...).Bytes())
	w.put(w.store, repo.TargetKey(collection, "a", sum), "1")

	to := w.newMemory()
	if first := w.mustMirror(to); first.Targets != 1 {
		t.Errorf("first copy: %+v", first)
	}
	if again := w.mustMirror(to); again.Present != 1 || again.Targets != 0 {
		t.Errorf("a second copy copies %+v", again)
	}
}

// TestMirrorHashesWhatIsThere: a store that vouches for no SHA-256 is not
// believed that what it has of a target's length is the target.
func TestMirrorHashesWhatIsThere(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "one"))
	for name, row := range map[string]struct {
		there string
		whole bool
	}{"flipped": {"onf", false}, "whole": {"one", true}} {
		t.Run(name, func(t *testing.T) {
			memory := w.newMemory()
			w.put(memory, repo.TargetKey(collection, "a", sum("one")), row.there)
			_, err := w.mirror(plainStore{memory})
			if damaged := new(*repo.DamagedError); row.whole != (err == nil) || !row.whole && !errors.As(err, damaged) {
				t.Errorf("error %v", err)
			}
			if _, found := objects(t, memory)[repo.TimestampKey(collection)]; found != row.whole {
				t.Errorf("published: %v", found)
			}
		})
	}
}

// plainStore is one that does not describe objects without their bytes.
type plainStore struct{ storage.Store }

// TestMirrorOfUnknownAge: a timestamp of the mirror that no root verifies any more
// may be newer than the source, and is not replaced. Where only its signatures are
// damaged it is, by the whole file.
func TestMirrorOfUnknownAge(t *testing.T) {
	plain := newWorld(t)
	plain.mustPublish(add("a", "one"))
	for name, w := range map[string]*world{"plain": plain, "while old and new keys sign together": mirrored(t)} {
		t.Run(name, w.unknownAge)
	}
}

func (w *world) unknownAge(t *testing.T) {
	w.t = t
	old := copyStore(t, w.store, func() time.Time { return w.now })
	w.mustPublish(add("c", "five"))
	to := w.newMemory()
	w.mustMirror(to)
	w.spoilSignature(to)
	before := objects(t, to)
	_, err := w.with(t, old, w.newCache()).mirror(to)
	if damaged := new(*repo.DamagedError); !errors.As(err, damaged) {
		t.Errorf("an older source: %v", err)
	}
	if diff := cmp.Diff(before, objects(t, to)); diff != "" {
		t.Errorf("the mirror was changed (-before +after):\n%s", diff)
	}
	w.mustMirror(to)
	w.with(t, to, w.newCache()).mustBeClean()
}

// spoilSignature changes a character of the signature on timestamp.json of the key
// that is in force.
func (w *world) spoilSignature(s storage.Store) {
	w.t.Helper()
	key := repo.TimestampKey(collection)
	data, version, err := storage.Read(w.t.Context(), s, key, repo.MaxTimestamp)
	if err != nil {
		w.t.Fatal(err)
	}
	ts, err := tuf.Parse[tuf.Timestamp](data, repo.MaxTimestamp)
	if err != nil {
		w.t.Fatal(err)
	}
	inForce := w.view().Root().Signed.Roles[tuf.RoleTimestamp].KeyIDs[0]
	sig := ts.Signatures[slices.IndexFunc(ts.Signatures, func(s tuf.Signature) bool { return s.KeyID == inForce })].Sig
	other := "0"
	if strings.HasPrefix(sig, other) {
		other = "1"
	}
	data = bytes.Replace(data, []byte(sig), []byte(other+sig[1:]), 1)
	if _, err := s.Put(w.t.Context(), key, bytes.NewReader(data), version); err != nil {
		w.t.Fatal(err)
	}
}

// TestMirrorOfAnotherChain: a mirror with another root is one of something else,
// also where online keys are the same, and stays as it is.
func TestMirrorOfAnotherChain(t *testing.T) {
	w := mirrored(t)
	to := w.newMemory()
	w.mustMirror(to)
	n := w.view().Root().Signed.Version + 1
	w.mustRotate(rootTo(w.ring.Generate(t)))
	w.mustRotate(rootTo(w.ring.Generate(t)))
	w.mustPublish(add("c", "five"))
	w.put(to, repo.SlotKey(collection, tuf.RoleRoot, n), "{}")
	before := objects(t, to)
	if _, err := w.mirror(to); !errors.Is(err, repo.ErrOther) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, objects(t, to)); diff != "" {
		t.Errorf("the mirror was changed (-before +after):\n%s", diff)
	}
}

// rootTo is a rotation of the root key.
func rootTo(key tuf.Key) repo.Rotation {
	return to(map[string]tuf.Key{tuf.RoleRoot: key}, repo.DefaultGrace)
}

// rotateOnline replaces the keys of snapshot and timestamp.
func (w *world) rotateOnline() {
	w.t.Helper()
	keys := map[string]tuf.Key{tuf.RoleSnapshot: w.ring.Generate(w.t), tuf.RoleTimestamp: w.ring.Generate(w.t)}
	if _, err := w.publisher().Rotate(w.t.Context(), to(keys, repo.DefaultGrace)); err != nil {
		w.t.Fatal(err)
	}
}
