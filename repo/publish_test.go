package repo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/repo/tuf"
)

func TestPublish(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("install.sh", "echo hello"), add("dir/empty", ""))
	if diff := cmp.Diff(map[string]string{"install.sh": sum("echo hello"), "dir/empty": sum("")}, w.targets()); diff != "" {
		t.Error(diff)
	}
	w.mustPublish(add("install.sh", "echo world"), remove("dir/empty"))
	if diff := cmp.Diff(map[string]string{"install.sh": sum("echo world")}, w.targets()); diff != "" {
		t.Error(diff)
	}
}

func TestPublishNothing(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	for _, changes := range [][]repo.Change{nil, {add("a", "1")}, {add("b", "2"), remove("b")}, {remove("c")}} {
		p := w.mustPublish(changes...)
		if p.Receipt != nil || !p.Plan.Empty() {
			t.Errorf("publish of %v did %+v", changes, p.Plan.Roles)
		}
	}
	if got := w.view().Timestamp.Signed.Version; got != 1 {
		t.Errorf("timestamp is at version %d", got)
	}
}

// TestPublishRenews: with nothing staged, publish signs targets again in the
// last third of its life, also when it has expired, and not before.
func TestPublishRenews(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		after time.Duration
		want  int64
	}{{200 * day, 1}, {250 * day, 2}, {400 * day, 2}} {
		w := newWorld(t)
		w.mustPublish(add("a", "1"))
		w.now = w.now.Add(test.after)
		w.mustPublish()
		if _, err := w.committer().Refresh(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		l := &repo.Loader{Source: w.store, Collection: collection, Cache: w.newCache(), Now: w.now, IgnoreExpiry: true}
		v, err := l.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f, err := v.Role(t.Context(), tuf.RoleTargets)
		if err != nil {
			t.Fatal(err)
		}
		if f.Signed.Version != test.want || f.Signed.Targets["a"].Length != 1 {
			t.Errorf("after %v targets has version %d with %d targets, want version %d", test.after, f.Signed.Version, len(f.Signed.Targets), test.want)
		}
	}
}

// TestPublishForeign: whose name is somebody else's collection by now is told
// so, as long as theirs was never there; later it is an attack.
func TestPublishForeign(t *testing.T) {
	theirs, ours := newWorld(t), newWorld(t)
	theirs.mustPublish(add("a", "1"))
	if err := ours.cache.Put("1.root.json", ours.root); err != nil {
		t.Fatal(err)
	}
	mine := ours.store
	ours.store = theirs.store
	if _, err := ours.publish(add("a", "2")); !errors.Is(err, repo.ErrPublished) {
		t.Errorf("got %v, want ErrPublished", err)
	}
	theirs.mustBeClean()

	ours.store = mine
	ours.mustPublish(add("a", "2"))
	ours.store = theirs.store
	_, err := ours.publish(add("a", "3"))
	if bad := (*repo.VerifyError)(nil); !errors.As(err, &bad) {
		t.Errorf("after a publication: got %v, want a VerifyError", err)
	}
}
