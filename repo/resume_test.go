package repo_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage/storagetest"
)

// TestCommitOvertaken: a commit dies, somebody else publishes, and the commit is
// run again. What was published gets its receipt, with the root in force that
// came with it; what was not is stale.
func TestCommitOvertaken(t *testing.T) {
	base := family(t)
	published, stale := 0, 0
	for _, method := range []string{"GET", "STAT", "PUT"} {
		for n := range overtake(t, base, method, 0, &published, &stale) {
			t.Run(fmt.Sprintf("%s %d", method, n+1), func(t *testing.T) {
				overtake(t, base, method, n+1, &published, &stale)
			})
		}
	}
	if published < 3 || stale < 10 {
		t.Errorf("of the commits that died, %d were published and %d were not", published, stale)
	}
}

// overtake kills a commit in its nth request, and returns how many it makes.
func overtake(t *testing.T, base *world, method string, n int, published, stale *int) int {
	t.Helper()
	f := newForge(t, base)
	f.Upload()
	sub := f.Submission()
	faults := storagetest.NewFaults(storagetest.Immutable(t, f.store), onNth(method, n, storagetest.Killed))
	_, _ = f.with(t, faults.Store(), f.cache).committer().Commit(t.Context(), nil, sub) // that it dies is the point
	swapped := f.view().Snapshot.Signed.Meta["targets.json"].Version == 3
	other := f.with(t, f.store, f.newCache())
	other.mustPublish(add("theirs", "1"))

	got, err := f.with(t, f.store, f.newCache()).committer().Commit(t.Context(), nil, sub)
	f.mustBeClean()
	if !swapped {
		*stale++
		if e := new(repo.StaleError); !errors.As(err, &e) {
			t.Errorf("what was not published: %v", err)
		}
		return faults.Requests(method)
	}
	*published++
	if err != nil {
		t.Fatalf("what was published: %v", err)
	}
	delete(got.Versions, "snapshot")
	delete(got.Versions, "timestamp")
	want := map[string]int64{"targets": 3, "ci": 3, "ci.deep": 2}
	if diff := cmp.Diff(want, got.Versions); diff != "" || got.Submission != sub.ID() || got.Refused != nil {
		t.Errorf("the receipt %+v: %s", got, diff)
	}
	v := f.view()
	if root, top := v.Root().Signed.Version, v.Snapshot.Signed.Meta["targets.json"].Version; root != 2 || top != 4 {
		t.Errorf("root %d and targets %d are published", root, top)
	}
	before := objects(t, f.store)
	if again, err := f.committer().Commit(t.Context(), nil, sub); err != nil || again.Versions["targets"] != 3 {
		t.Errorf("once more: %+v, %v", again, err)
	}
	if diff := cmp.Diff(before, objects(t, f.store)); diff != "" {
		t.Errorf("once more, and something was written: %s", diff)
	}
	return faults.Requests(method)
}

// TestCommitWithRootAgain: a submission with a root is finished by another run,
// wherever the first one died, though the root comes after the timestamp.
func TestCommitWithRootAgain(t *testing.T) {
	base := family(t)
	commit := func(t *testing.T, n int) int {
		f := newForge(t, base)
		f.Upload()
		sub := f.Submission()
		faults := storagetest.NewFaults(storagetest.Immutable(t, f.store), onNth("PUT", n, storagetest.Killed))
		_, _ = f.with(t, faults.Store(), f.cache).committer().Commit(t.Context(), nil, sub)
		got, err := f.with(t, f.store, f.newCache()).committer().Commit(t.Context(), nil, sub)
		if err != nil {
			t.Fatalf("again: %v", err)
		}
		if got.Versions["targets"] != 3 || got.Versions["ci.deep"] != 2 || got.Submission != sub.ID() {
			t.Errorf("the receipt: %+v", got)
		}
		v := f.view()
		if root, top := v.Root().Signed.Version, v.Snapshot.Signed.Meta["targets.json"].Version; root != 2 || top != 3 {
			t.Errorf("root %d and targets %d are published", root, top)
		}
		f.mustBeClean()
		return faults.Requests("PUT")
	}
	for n := range commit(t, 0) {
		t.Run(fmt.Sprintf("PUT %d", n+1), func(t *testing.T) { commit(t, n+1) })
	}
}

// published commits the targets file of a forge, and returns the submission.
func (f *forger) published() *repo.Submission {
	f.t.Helper()
	f.Files = map[string]object{"targets": f.Files["targets"]}
	f.Upload()
	sub := f.Submission()
	if _, err := f.committer().Commit(f.t.Context(), nil, sub); err != nil {
		f.t.Fatal(err)
	}
	return sub
}

// TestCommitLongAgo: how far back a publication is found.
func TestCommitLongAgo(t *testing.T) {
	f := newForge(t, family(t))
	sub := f.published()
	for n := range 65 {
		f.mustPublish(add("theirs", fmt.Sprint(n)))
		if n != 63 {
			continue
		}
		if got, err := f.committer().Commit(t.Context(), nil, sub); err != nil || got.Versions["targets"] != 3 {
			t.Errorf("after 64 others: %+v, %v", got, err)
		}
	}
	if e := new(repo.StaleError); !errors.As(second(f.committer().Commit(t.Context(), nil, sub)), &e) {
		t.Error("after 65 others it is found")
	}
}

func second[T any](_ T, err error) error { return err }

// TestCommitBurnedBetween: a number that was skipped, and one that has something
// else in its slot, do not hide what was published before them.
func TestCommitBurnedBetween(t *testing.T) {
	f := newForge(t, family(t))
	sub := f.published()
	for version, content := range map[int64]string{4: "garbage", 6: string(sub.Files["targets"])} {
		put(t, f.store, repo.SlotKey(collection, "targets", version), []byte(content))
	}
	for n := range 3 {
		f.mustPublish(add("theirs", fmt.Sprint(n)))
	}
	if got := f.view().Snapshot.Signed.Meta["targets.json"].Version; got != 8 {
		t.Fatalf("targets has version %d", got)
	}
	if got, err := f.committer().Commit(t.Context(), nil, sub); err != nil || got.Versions["targets"] != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCommitOfRoleThatIsGone: what a role published counts also after its
// delegation was taken away.
func TestCommitOfRoleThatIsGone(t *testing.T) {
	f := newForge(t, family(t))
	delete(f.Files, "root")
	f.Upload()
	sub := f.Submission()
	if _, err := f.committer().Commit(t.Context(), nil, sub); err != nil {
		t.Fatal(err)
	}
	top, err := f.view().Role(t.Context(), tuf.RoleTargets)
	if err != nil {
		t.Fatal(err)
	}
	g := &forger{world: f.world, Forge: forge.Blank(f.scene())}
	forge.Take(g.Forge, tuf.RoleTargets, forge.Successor(top, f.now), top)
	delete(g.Files["targets"], "delegations")
	if _, _, err := g.commit(); err != nil {
		t.Fatal(err)
	}
	got, err := f.committer().Commit(t.Context(), nil, sub)
	if err != nil || got.Versions["ci"] != 3 || got.Versions["targets"] != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCommitPartOfAnother: that one of its files is published does not make a
// submission a finished one, nor is the rest published by itself.
func TestCommitPartOfAnother(t *testing.T) {
	f := newForge(t, family(t))
	delete(f.Files, "root")
	both := f.Submission()
	f.published()
	before := objects(t, f.store)
	if e := new(repo.StaleError); !errors.As(second(f.committer().Commit(t.Context(), nil, both)), &e) {
		t.Error("it is not stale")
	}
	if diff := cmp.Diff(before, objects(t, f.store)); diff != "" {
		t.Error(diff)
	}
}

// TestStaleReads: to find out that somebody else was faster takes no more reads
// than to find out that nobody was.
func TestStaleReads(t *testing.T) {
	count := func(overtaken bool) int {
		f := newForge(t, family(t))
		f.Files = map[string]object{"targets": f.Files["targets"]}
		f.Upload()
		sub := f.Submission()
		if overtaken {
			f.mustPublish(add("theirs", "1"))
		} else {
			sub.Collection = "example.com/other" // rejected at once
		}
		faults := storagetest.NewFaults(f.store, onNth("GET", 0, storagetest.None))
		if err := second(f.with(t, faults.Store(), f.newCache()).committer().Commit(t.Context(), nil, sub)); err == nil {
			t.Error("it was committed")
		}
		return faults.Requests("GET")
	}
	if fast, slow := count(false), count(true); slow > fast {
		t.Errorf("%d reads, and %d without anybody else", slow, fast)
	}
}

// TestFirstOfTakenName: a first publication where another collection is, before
// and after that has published more; and the one that did publish it.
func TestFirstOfTakenName(t *testing.T) {
	theirs := newWorld(t)
	first := theirs.scene()
	mine := first.First(map[string]string{"old": "1"})
	if _, err := theirs.committer().Commit(t.Context(), nil, mine); err != nil {
		t.Fatal(err)
	}
	other := newWorld(t)
	other.store = theirs.store
	scene := other.scene()
	taken := scene.First(nil)
	for n := range 3 {
		if err := second(theirs.with(t, theirs.store, theirs.newCache()).committer().Commit(t.Context(), nil, taken)); !errors.Is(err, repo.ErrPublished) {
			t.Errorf("after %d more: %v", n, err)
		}
		if got, err := theirs.with(t, theirs.store, theirs.newCache()).committer().Commit(t.Context(), nil, mine); err != nil || got.Versions["targets"] != 1 {
			t.Errorf("after %d more, the one that is there: %+v, %v", n, got, err)
		}
		theirs.mustPublish(add("more", fmt.Sprint(n)))
	}
}
