package repo_test

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A stranger is a collection as other programs make them: without x-publisher, and
// with listings of the least that TUF asks for.
type stranger struct {
	*world
	keys map[string][]string // by role
}

// newStranger publishes two targets, one of them by a delegation, with a sha512
// beside the sha256. The newest of its roots is 3.
func newStranger(t *testing.T) *stranger {
	w := newGarbageWorld(t)
	s := &stranger{world: w, keys: map[string][]string{}}
	root, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	for role, r := range root.Signed.Roles {
		s.keys[role] = r.KeyIDs
	}
	root.Signed.Publisher = tuf.Publisher{}
	for n := int64(1); n <= 3; n++ {
		root.Signed.Version = n
		data := forge.Signed(t, w.ring, root.Signed, s.keys[tuf.RoleRoot]...).Bytes()
		w.put(w.store, repo.SlotKey(collection, tuf.RoleRoot, n), string(data))
		if n == 2 {
			w.root = data
		}
	}
	key := w.ring.Generate(t)
	s.keys["child"] = []string{key.ID()}
	child := s.targets("b")
	targets := s.targets("a")
	targets.Delegations = &tuf.Delegations{
		Keys:  map[string]tuf.Key{key.ID(): key},
		Roles: []tuf.DelegatedRole{{Name: "child", KeyIDs: s.keys["child"], Threshold: 1, Paths: []string{"elsewhere/*"}}},
	}
	s.slot("child", child)
	s.slot(tuf.RoleTargets, targets)
	meta := map[string]tuf.MetaFile{"targets.json": {Version: 1}, "child.json": {Version: 1}}
	snapshot := forge.Signed(t, w.ring, tuf.Snapshot{Common: s.head(), Meta: meta}, s.keys[tuf.RoleSnapshot]...)
	w.put(w.store, repo.SlotKey(collection, tuf.RoleSnapshot, 1), string(snapshot.Bytes()))
	meta = map[string]tuf.MetaFile{"snapshot.json": {Version: 1}}
	ts := forge.Signed(t, w.ring, tuf.Timestamp{Common: s.head(), Meta: meta}, s.keys[tuf.RoleTimestamp]...)
	w.put(w.store, repo.TimestampKey(collection), string(ts.Bytes()))
	return s
}

func (s *stranger) head() tuf.Common {
	return tuf.Common{Version: 1, Expires: s.now.Add(365 * 24 * time.Hour)}
}

// targets lists a target whose content is its name, and stores it.
func (s *stranger) targets(name string) tuf.Targets {
	sums := map[string]string{"sha256": sum(name), "sha512": fmt.Sprintf("%x", sha512.Sum512([]byte(name)))}
	for _, sum := range sums {
		s.put(s.store, repo.TargetKey(collection, name, sum), name)
	}
	return tuf.Targets{Common: s.head(), Targets: map[string]tuf.TargetFile{name: {Length: int64(len(name)), Hashes: sums}}}
}

func (s *stranger) slot(role string, content tuf.Targets) {
	f := forge.Signed(s.t, s.ring, content, s.keys[role]...)
	s.put(s.store, repo.SlotKey(collection, role, 1), string(f.Bytes()))
}

// lose removes an object.
func (w *world) lose(s storage.Store, key string) {
	w.t.Helper()
	info, err := storage.Stat(w.t.Context(), s, key)
	if err == nil {
		err = s.(storage.Deleter).Delete(w.t.Context(), key, info.Version)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestCheckStranger: what another program has made has broken no promise of ours,
// but what it says itself must hold.
func TestCheckStranger(t *testing.T) {
	newStranger(t).mustBeClean()
	sha512Key := repo.TargetKey(collection, "b", fmt.Sprintf("%x", sha512.Sum512([]byte("b"))))
	root := func(n int64) string { return repo.SlotKey(collection, tuf.RoleRoot, n) }
	for name, row := range map[string]struct {
		edit func(s *stranger)
		want string // empty for nothing
	}{
		"the first root is gone":         {func(s *stranger) { s.lose(s.store, root(1)) }, ""},
		"the trusted root is gone":       {func(s *stranger) { s.lose(s.store, root(2)) }, "metadata/2.root.json: it is missing"},
		"a first root that is damaged":   {func(s *stranger) { s.overwrite("1.root.json", []byte("{}")) }, "metadata/1.root.json: "},
		"a target under another hash":    {func(s *stranger) { s.lose(s.store, sha512Key) }, `target "b" is missing`},
		"a role that is gone":            {func(s *stranger) { s.lose(s.store, repo.SlotKey(collection, "child", 1)) }, "metadata/1.child.json: it is missing"},
		"a timestamp by somebody else":   {func(s *stranger) { s.overwrite("timestamp.json", s.forged()) }, "metadata/timestamp.json: timestamp: 0 of 1"},
		"a snapshot that is past expiry": {func(s *stranger) { s.now = s.now.Add(400 * 24 * time.Hour) }, "metadata/1.snapshot.json: it expired"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStranger(t)
			row.edit(s)
			got := s.check()
			if row.want == "" && len(got) > 0 || row.want != "" && !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, row.want) }) {
				t.Errorf("check says %q, want %q", got, row.want)
			}
		})
	}
}

// forged is a timestamp that the snapshot's key has signed.
func (s *stranger) forged() []byte {
	meta := map[string]tuf.MetaFile{"snapshot.json": {Version: 1}}
	return forge.Signed(s.t, s.ring, tuf.Timestamp{Common: s.head(), Meta: meta}, s.keys[tuf.RoleSnapshot]...).Bytes()
}

// TestMirrorStranger: the mirror of what another program has made is that, byte by
// byte, also where its first root or the copies under one hash are gone.
func TestMirrorStranger(t *testing.T) {
	s := newStranger(t)
	whole := s.newMemory()
	if done := s.mustMirror(whole); done.FirstRoot != 0 {
		t.Errorf("nothing is gone: %+v", done)
	}
	want := objects(t, s.store)
	if diff := cmp.Diff(want, objects(t, whole)); diff != "" {
		t.Errorf("the copy is another (-source +mirror):\n%s", diff)
	}
	s.with(t, whole, s.newCache()).mustBeClean()

	s.lose(s.store, repo.SlotKey(collection, tuf.RoleRoot, 1))
	s.lose(s.store, repo.TargetKey(collection, "a", sum("a")))
	rest := s.newMemory()
	if done := s.mustMirror(rest); done.FirstRoot != 2 || done.Targets != 4 {
		t.Errorf("copied %+v", done)
	}
	s.with(t, rest, s.newCache()).mustBeClean()
	s.lose(s.store, repo.SlotKey(collection, tuf.RoleRoot, 2))
	if _, err := s.mirror(rest); err == nil {
		t.Error("the trusted root is gone, and nothing is said")
	}
}

// TestMirrorKeepsOwnRoots: of a collection of ours all roots were promised, also to
// those who trust a later one.
func TestMirrorKeepsOwnRoots(t *testing.T) {
	w := mirrored(t)
	w.root = []byte(objects(t, w.store)[repo.SlotKey(collection, tuf.RoleRoot, 2)])
	w.store = copyStore(t, w.store, func() time.Time { return w.now })
	w.mustMirror(w.newMemory())
	w.lose(w.store, repo.SlotKey(collection, tuf.RoleRoot, 1))
	if _, err := w.mirror(w.newMemory()); !errors.As(err, new(*repo.VerifyError)) {
		t.Errorf("its first root is gone: %v", err)
	}
}

// TestMirrorUnversioned: what has no versions in its names cannot be copied while
// clients read it, and check says so.
func TestMirrorUnversioned(t *testing.T) {
	s := newStranger(t)
	root := s.view().Root().Signed
	root.Version, root.ConsistentSnapshot = root.Version+1, false
	s.put(s.store, repo.SlotKey(collection, tuf.RoleRoot, root.Version), string(forge.Signed(t, s.ring, root, s.keys[tuf.RoleRoot]...).Bytes()))
	s.put(s.store, repo.MetadataDir(collection)+"/snapshot.json", objects(t, s.store)[repo.SlotKey(collection, tuf.RoleSnapshot, 1)])
	to := s.newMemory()
	if _, err := s.mirror(to); !errors.Is(err, repo.ErrUnversioned) || len(objects(t, to)) > 0 {
		t.Errorf("%v, and %d objects were written", err, len(objects(t, to)))
	}
	if got := s.check(); !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, "consistent_snapshot is false") }) {
		t.Errorf("check says %q", got)
	}
}
