package repo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/repo/tuf"
)

const day = 24 * time.Hour

// newWorldLasting is a world in which delegations have lifetimes of their own.
func newWorldLasting(t *testing.T, lives repo.Lifetimes) *world {
	t.Helper()
	w := newWorld(t)
	g := repo.Genesis{Collection: collection, Lifetimes: lives, Keys: map[string][]tuf.Key{}}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{w.ring.Generate(t)}
	}
	root, err := repo.NewRoot(t.Context(), g, w.ring, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.root = root.Bytes()
	w.cache = w.newCache()
	return w
}

// TestDelegationLifetime: a delegation lasts as long as the root says, else as
// long as targets, and commit holds everybody to it.
func TestDelegationLifetime(t *testing.T) {
	w := newWorldLasting(t, repo.Lifetimes{tuf.RoleTargets: 200 * day, "ci.deep": 10 * day})
	w.mustPublish(add("a", "1"))
	w.delegate(tuf.RoleTargets, "ci", "ci/*", "ci/*/*") // for 100 days
	s := w.scene()
	long := s.Delegation("ci", "ci.deep", "ci/deep/*") // likewise, but it may not
	_, err := w.committer().Commit(t.Context(), nil, long)
	var refused *repo.Rejection
	if !errors.As(err, &refused) || refused.Role != "ci.deep" || !strings.Contains(err.Error(), "more than 240h0m0s from now") {
		t.Errorf("a delegation beyond its lifetime: %v", err)
	}
}

// TestDelegationSignedForItsLifetime: what publish signs lasts as long as its
// own entry says.
func TestDelegationSignedForItsLifetime(t *testing.T) {
	w := newWorldLasting(t, repo.Lifetimes{"ci": 150 * day, tuf.RoleTargets: 120 * day})
	w.mustPublish(add("a", "1"))
	w.delegate(tuf.RoleTargets, "ci", "ci/*")
	w.mustPublish(in("ci", add("ci/x", "1")), add("b", "1"))
	all, err := w.view().Expiries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]time.Duration{"ci": 150 * day, tuf.RoleTargets: 120 * day} {
		for _, e := range all {
			if got := e.Expires.Sub(w.now); e.Role == role && got != want {
				t.Errorf("%s lasts %v, want %v", role, got, want)
			}
		}
	}
}

// TestLifetimeOfNoRole: a lifetime stands beside the name of a role that there
// can be.
func TestLifetimeOfNoRole(t *testing.T) {
	for _, role := range []string{"Releases", "a/b", "", "mirrors."} {
		g := repo.Genesis{Collection: collection, Lifetimes: repo.Lifetimes{role: day}}
		w := newWorld(t)
		g.Keys = map[string][]tuf.Key{}
		for _, top := range tuf.TopLevel {
			g.Keys[top] = []tuf.Key{w.ring.Generate(t)}
		}
		if _, err := repo.NewRoot(t.Context(), g, w.ring, w.now); err == nil || !strings.Contains(err.Error(), "a lifetime: role name") {
			t.Errorf("%q: %v", role, err)
		}
	}
}

// expiryLines is expiries as people read them.
func expiryLines(w *world, all []repo.Expiry) []string {
	lines := []string{}
	for _, e := range all {
		line := fmt.Sprintf("%s %d by %d of %d", e.Role, e.Version, e.Threshold, len(e.KeyIDs))
		if e.Version > 0 {
			line += fmt.Sprintf(" in %d days, due in %d", e.Expires.Sub(w.now)/day, e.DueFrom.Sub(w.now)/day)
		}
		if e.Due(w.now) {
			line += ", is due"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestExpiries(t *testing.T) {
	w := newWorldLasting(t, repo.Lifetimes{"ci": 102 * day, "ci.deep": 120 * day})
	all, err := w.view().Expiries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"root 1 by 1 of 1 in 730 days, due in 486"}, expiryLines(w, all)); diff != "" {
		t.Errorf("before it is published:\n%s", diff)
	}
	w.mustPublish(add("a", "1"))
	w.now = w.now.Add(10 * day)
	w.mustPublish(add("b", "1"))
	w.delegate(tuf.RoleTargets, "ci", "ci/*", "ci/*/*")
	w.delegate("ci", "ci.deep", "ci/deep/*")
	w.now = w.now.Add(70 * day)
	w.mustRefresh()
	if all, err = w.view().Expiries(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"root 1 by 1 of 1 in 650 days, due in 406",
		"targets 3 by 1 of 1 in 30 days, due in -91, is due", // forged with 100 days of 365
		"snapshot 5 by 1 of 1 in 30 days, due in 20",
		"timestamp 5 by 1 of 1 in 14 days, due in 9",
		"ci 2 by 1 of 1 in 30 days, due in -4, is due",
		"ci.deep 1 by 1 of 1 in 30 days, due in -10, is due",
	}
	if diff := cmp.Diff(want, expiryLines(w, all)); diff != "" {
		t.Error(diff)
	}

	// The same but for what a refresh renews, from what was read before.
	known := expiryLines(w, repo.KnownExpiries(w.cache))
	want = append(want[:2:2], want[4:]...)
	if diff := cmp.Diff(want, known); diff != "" {
		t.Errorf("known:\n%s", diff)
	}
	if got := repo.KnownExpiries(memoryCache{}); got != nil {
		t.Errorf("known of nothing: %v", got)
	}
}
