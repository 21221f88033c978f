package repo_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// refused offers each submission, on top of a copy of what w has published.
func refused(t *testing.T, w *world, rows []forge.Row) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			f := newForge(t, w)
			row.Break(f.Forge)
			before, after, err := f.commit()
			if err == nil {
				t.Fatal("it was published")
			}
			if !strings.Contains(err.Error(), row.Want) {
				t.Errorf("the error is %q, without %q", err, row.Want)
			}
			var rejection *repo.Rejection
			var stale *repo.StaleError
			if !errors.As(err, &rejection) && !errors.As(err, &stale) {
				t.Errorf("the error is a %T", err)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
		})
	}
}

// family is a published collection with roles below roles.
func family(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	s := w.scene()
	s.Family(func(sub *repo.Submission) error {
		_, err := w.committer().Commit(t.Context(), nil, sub)
		return err
	})
	return w
}

// TestForge: what the rows below break is accepted as it is.
func TestForge(t *testing.T) {
	f := newForge(t, family(t))
	f.At("targets")["later"] = object{"a field": []any{nil, 1}}
	f.At("targets", "targets", "new")["custom"] = object{"any": nil}
	f.Role(f.Delegate("targets", "later", "later/*"))
	rsaKey := f.Foreign(tuf.TypeRSA, tuf.SchemeRSA, &forge.RSA().PublicKey, forge.SaltEqualsHash)
	f.Hand(tuf.RoleTargets, rsaKey)
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"old": sum("1"), "new": sum("new"), "ci/new": sum("ci/new"), "ci/deep/new": sum("ci/deep/new"),
	}, f.targets()); diff != "" {
		t.Error(diff)
	}
	f.mustBeClean()
}

func TestRejectGate(t *testing.T) { refused(t, family(t), forge.Gate()) }

func TestRejectForm(t *testing.T) { refused(t, family(t), forge.Form()) }

func TestRejectKeys(t *testing.T) { refused(t, family(t), forge.Keys()) }

func TestRejectRoles(t *testing.T) { refused(t, family(t), forge.Roles()) }

func TestRejectNames(t *testing.T) { refused(t, family(t), forge.Names()) }

func TestRejectVersions(t *testing.T) { refused(t, family(t), forge.Versions()) }

func TestRejectSignatures(t *testing.T) { refused(t, family(t), forge.Signatures()) }

func TestRejectExtra(t *testing.T) { refused(t, family(t), forge.Extra()) }

func TestRejectTree(t *testing.T) { refused(t, family(t), forge.Tree()) }

// TestDepth: a line of delegations may be as long as promised.
func TestDepth(t *testing.T) {
	f := newForge(t, family(t))
	f.Chain(32)
	f.Target(forge.Link(31), "r/x")
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	f.mustBeClean()
}

func TestRejectTargets(t *testing.T) { refused(t, family(t), forge.Targets()) }

// TestRejectFirst: what cannot be the first publication.
func TestRejectFirst(t *testing.T) {
	published := family(t)
	for _, row := range forge.First() {
		t.Run(row.Name, func(t *testing.T) {
			f := newForge(t, published)
			f.store = storage.NewMemory()
			f.Unpublish(f.store)
			row.Break(f.Forge)
			before, after, err := f.commit()
			if err == nil || !strings.Contains(err.Error(), row.Want) {
				t.Errorf("the error is %v, without %q", err, row.Want)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
		})
	}
}

// TestRejectReturned: a role that comes back under a name that was in use before
// goes on with its numbers, or clients would refuse the snapshot.
func TestRejectReturned(t *testing.T) {
	w := family(t)
	w.now = w.now.Add(time.Minute)
	f := newForge(t, w)
	f.Files = map[string]object{"targets": f.Files["targets"]}
	delete(f.Files["targets"], "delegations")
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	v := f.view()
	if got := v.Snapshot.Signed.Meta["ci.json"].Version; got != 2 {
		t.Errorf("the snapshot lists ci with version %d", got)
	}
	top, err := v.Role(t.Context(), tuf.RoleTargets)
	if err != nil {
		t.Fatal(err)
	}
	g := &forger{world: f.world, Forge: forge.Blank(f.scene())}
	forge.Take(g.Forge, tuf.RoleTargets, forge.Successor(top, f.now), top)
	g.Role(g.Delegate("targets", "ci", "ci/*"))
	for version, want := range map[int]string{1: "version 1 is not greater than 2", 2: "version 2 is not greater than 2"} {
		g.Files["ci"]["version"] = version
		_, _, err := g.commit()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	g.Files["ci"]["version"] = 3
	if _, _, err := g.commit(); err != nil {
		t.Errorf("version 3: %v", err)
	}
	f.mustBeClean()
}
