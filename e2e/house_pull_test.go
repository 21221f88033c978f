package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/internal/interop"
	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/storage"
)

// mustGet has every client get what is delegated, beside what is not; a client
// that does not follow delegations gets the latter alone.
func (h *house) mustGet(top, delegated files) {
	h.t.Helper()
	for _, c := range interop.Clients(h.t) {
		want := files{}
		maps.Copy(want, top)
		if !c.SkipDelegations() {
			maps.Copy(want, delegated)
		}
		if err := c.Pull(h.t.Context(), h.pull("", want)); err != nil {
			h.t.Error(err)
		}
	}
}

// mustNotGet has every client that follows delegations refuse each target, with
// any content; the words are of what all have in common.
func (h *house) mustNotGet(names ...string) {
	h.t.Helper()
	for _, c := range interop.Clients(h.t) {
		if c.SkipDelegations() {
			continue
		}
		for _, name := range names {
			if err := c.Pull(h.t.Context(), h.pull("", files{name: "anything"})); !errors.Is(err, interop.ErrRefused) {
				h.t.Errorf("%s: %s is not refused: %v", c.Name(), name, err)
			}
		}
	}
}

// TestNested: delegations three deep, with targets on every level.
func TestNested(t *testing.T) {
	h := newHouse(t)
	deep := roleSpec{name: "releases.ci.nightly", paths: []string{"r/ci/n/*"}, targets: files{"r/ci/n/deep": "3"}}
	ci := roleSpec{name: "releases.ci", paths: []string{"r/ci/*", "r/ci/*/*"}, targets: files{"r/ci/mid": "2"}, below: []roleSpec{deep}}
	releases := roleSpec{name: "releases", paths: []string{"r/*", "r/*/*", "r/*/*/*"}, targets: files{"r/top": "1"}, below: []roleSpec{ci}}
	h.build(roleSpec{targets: files{"here": "0"}, below: []roleSpec{releases}})
	h.mustGet(files{"here": "0"}, files{"r/top": "1", "r/ci/mid": "2", "r/ci/n/deep": "3"})
	h.mustNotGet("r/ci/n/none", "elsewhere")
}

// TestPriorities: of two roles with the same paths the first is asked first, and
// the second for what the first does not have.
func TestPriorities(t *testing.T) {
	h := newHouse(t)
	h.build(roleSpec{targets: files{"own": "0"}, below: []roleSpec{
		{name: "first", paths: []string{"shared/*"}, targets: files{"shared/both": "of the first"}},
		{name: "second", paths: []string{"shared/*", "own*"}, targets: files{"shared/both": "of the second", "shared/late": "of the second", "own": "not"}},
	}})
	h.mustGet(files{"own": "0"}, files{"shared/both": "of the first", "shared/late": "of the second"})
}

// TestTerminating: what a terminating delegation covers and does not have is not
// looked for any further, neither behind nor above it.
func TestTerminating(t *testing.T) {
	h := newHouse(t)
	inner := roleSpec{name: "open.closed", paths: []string{"open/closed/*"}, terminating: true, targets: files{"open/closed/a": "inner"}}
	h.build(roleSpec{below: []roleSpec{
		{name: "closed", paths: []string{"closed/*"}, terminating: true, targets: files{"closed/a": "1"}},
		{name: "open", paths: []string{"open/*", "open/closed/*"}, targets: files{"open/a": "2"}, below: []roleSpec{inner}},
		{name: "behind", paths: []string{"closed/*", "open/*", "open/closed/*"}, targets: files{
			"closed/a": "no", "closed/b": "shadowed", "open/b": "3", "open/closed/b": "shadowed",
		}},
	}})
	h.mustGet(nil, files{"closed/a": "1", "open/a": "2", "open/closed/a": "inner", "open/b": "3"})
	h.mustNotGet("closed/b", "open/closed/b")
}

// TestDelegationThreshold: two of three keys must sign.
func TestDelegationThreshold(t *testing.T) {
	h := newHouse(t)
	role := roleSpec{name: "releases", paths: []string{"r/*"}, keys: 3, threshold: 2, targets: files{"r/a": "1"}}
	h.build(roleSpec{targets: files{"here": "0"}, below: []roleSpec{role}})
	h.mustGet(files{"here": "0"}, files{"r/a": "1"})

	// One alone is too few: for commit and, where others write the store, for
	// clients.
	current, err := tuf.Parse[tuf.Targets](h.slot("1.releases.json"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	next := current.Signed
	next.Version, next.Publisher.Parent = 2, current.SHA256()
	next.Targets = map[string]tuf.TargetFile{"r/b": h.target("r/b", "2")}
	one := h.signed(next, []string{current.Signatures[0].KeyID})
	_, err = h.committer().Commit(t.Context(), nil, &repo.Submission{Collection: houseCollection, Files: map[string][]byte{"releases": one}})
	var refused *repo.Rejection
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "releases: 1 of 2 required signatures") {
		t.Errorf("below its threshold: %v", err)
	}
	h.plant("releases", 2, one)
	h.mustNotGet("r/b", "r/a")
	h.mustGet(files{"here": "0"}, nil)
}

func (h *house) slot(name string) []byte {
	h.t.Helper()
	data, _, err := storage.Read(h.t.Context(), h.store, repo.MetadataDir(houseCollection)+"/"+name, 1<<20)
	if err != nil {
		h.t.Fatal(err)
	}
	return data
}

// plant publishes a role as somebody would who has stolen the snapshot and
// timestamp keys, past every check.
func (h *house) plant(role string, version int64, file []byte) {
	h.t.Helper()
	f, err := tuf.Parse[tuf.Targets](file, 1<<20)
	if err != nil {
		h.t.Fatal(err)
	}
	ts, err := tuf.Parse[tuf.Timestamp](h.slot("timestamp.json"), 1<<20)
	if err != nil {
		h.t.Fatal(err)
	}
	at := ts.Signed.Meta["snapshot.json"].Version
	s, err := tuf.Parse[tuf.Snapshot](h.slot(repo.SlotName(tuf.RoleSnapshot, at)), 1<<20)
	if err != nil {
		h.t.Fatal(err)
	}
	snapshot, timestamp := s.Signed, ts.Signed
	snapshot.Version++
	snapshot.Meta = maps.Clone(snapshot.Meta)
	snapshot.Meta[role+".json"] = f.Meta()
	next := houseFile(h, snapshot, []string{s.Signatures[0].KeyID})
	timestamp.Version++
	timestamp.Meta = map[string]tuf.MetaFile{"snapshot.json": next.Meta()}
	h.write(repo.SlotKey(houseCollection, role, version), file)
	h.write(repo.SlotKey(houseCollection, tuf.RoleSnapshot, snapshot.Version), next.Bytes())
	h.write(repo.TimestampKey(houseCollection), houseFile(h, timestamp, []string{ts.Signatures[0].KeyID}).Bytes())
}

// write replaces an object.
func (h *house) write(key string, data []byte) {
	h.t.Helper()
	info, err := h.store.Stat(h.t.Context(), key)
	if err != nil {
		info.Version = storage.Absent
	}
	if _, err := h.store.Put(h.t.Context(), key, bytes.NewReader(data), info.Version); err != nil {
		h.t.Fatal(err)
	}
}

// TestSideBySide: thirty delegations of one role, which is as many as any lookup
// of a client may have to ask.
func TestSideBySide(t *testing.T) {
	h := newHouse(t)
	top, all := roleSpec{targets: files{"here": "0"}}, files{}
	for n := range 30 {
		name := fmt.Sprintf("team%02d", n)
		target := files{name + "/a": name, "all/" + name: "for all of " + name}
		top.below = append(top.below, roleSpec{name: name, paths: []string{name + "/*", "all/*"}, targets: target})
		maps.Copy(all, target)
	}
	h.build(top)
	h.mustGet(files{"here": "0"}, all)
	h.mustNotGet("all/none")
}

// TestRootChain: ten roots, every one of which gives all roles keys of another
// kind; read by who starts from the first, who saw the first only, and who was
// there last in the middle.
func TestRootChain(t *testing.T) {
	h := newHouse(t)
	h.build(roleSpec{targets: files{"a": "1"}})
	kinds := []string{keys.ECDSA, keys.RSA, keys.Ed25519}
	sawFirst, sawMiddle := t.TempDir(), t.TempDir()
	visit := func(dir string, want files) {
		t.Helper()
		for _, c := range interop.Clients(t) {
			if err := c.Pull(t.Context(), h.pull(dir, want)); err != nil {
				t.Errorf("at root %d: %v", h.rootVersion(), err)
			}
		}
	}
	visit(sawFirst, files{"a": "1"})
	for n := range 9 {
		h.now = h.now.Add(time.Hour)
		h.rotateAll(kinds[n%len(kinds)])
		if n == 4 {
			visit(sawMiddle, files{"a": "1"})
		}
	}
	if got := h.rootVersion(); got != 10 {
		t.Fatalf("the newest root is %d", got)
	}
	// Also after the last grace, with what only the newest keys have signed.
	h.now = h.now.Add(time.Hour)
	if _, err := h.publisher().Publish(t.Context(), []repo.Change{h.addition("b", "2")}); err != nil {
		t.Fatal(err)
	}
	h.mustBeWhole()
	for _, dir := range []string{"", sawFirst, sawMiddle} {
		visit(dir, files{"a": "1", "b": "2"})
	}
	h.mustNotGet("c")
}

// addition stages a target.
func (h *house) addition(name, content string) repo.Change {
	sums := files{name: content}.sums()
	return repo.Change{
		ID: name, Action: repo.Add, Role: tuf.RoleTargets, Name: name, Source: "content:" + content,
		Target: tuf.TargetFile{Length: int64(len(content)), Hashes: map[string]string{"sha256": fmt.Sprintf("%x", sums[name])}},
	}
}

func (h *house) rootVersion() int64 {
	h.t.Helper()
	newest, err := tuf.Parse[tuf.Root](h.cache["root.json"], repo.MaxRoot)
	if err != nil {
		h.t.Fatal(err)
	}
	return newest.Signed.Version
}

// rotateAll gives every top-level role a key of that kind.
func (h *house) rotateAll(kind string) {
	h.t.Helper()
	r := repo.Rotation{Roles: map[string]repo.Signers{}, Grace: repo.DefaultGrace, After: h.rootVersion()}
	for _, role := range tuf.TopLevel {
		r.Roles[role] = repo.Signers{Keys: []tuf.Key{h.key(kind)}, Threshold: 1}
	}
	if _, err := h.publisher().Rotate(h.t.Context(), r); err != nil {
		h.t.Fatal(err)
	}
	h.mustBeWhole()
	root, err := tuf.Parse[tuf.Root](h.cache["root.json"], repo.MaxRoot)
	if err != nil {
		h.t.Fatal(err)
	}
	ids := r.Roles[tuf.RoleTargets].Keys[0].ID()
	if !slices.Equal(root.Signed.Roles[tuf.RoleTargets].KeyIDs, []string{ids}) {
		h.t.Errorf("root %d has other keys than it was to have", root.Signed.Version)
	}
}
