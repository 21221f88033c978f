package repo_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// These tests are about submissions that are right by themselves, and after
// which some client, or the next publisher, could not go on.

// resign submits targets with a change of its delegations.
func (w *world) resign(change func(*tuf.Targets)) error {
	w.t.Helper()
	f, err := w.view().Role(w.t.Context(), tuf.RoleTargets)
	if err != nil {
		w.t.Fatal(err)
	}
	next := forge.Successor(f, w.now)
	change(&next)
	file := forge.Signed(w.t, w.ring, next, f.Signatures[0].KeyID)
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{tuf.RoleTargets: file.Bytes()}}
	_, err = w.committer().Commit(w.t.Context(), nil, sub)
	return err
}

func wantRejection(t *testing.T, err error, text string) {
	t.Helper()
	var r *repo.Rejection
	if !errors.As(err, &r) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want a rejection with %q", err, text)
	}
}

// A role that was delegated to once keeps its file in the snapshot: clients get
// it again with the next delegation of that name.
func TestDelegateAgainToAnotherKey(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	w.delegate(tuf.RoleTargets, "ci", "ci/*")
	if err := w.resign(func(n *tuf.Targets) { n.Delegations = nil }); err != nil {
		t.Fatal(err)
	}
	key := w.ring.Generate(t)
	err := w.resign(func(n *tuf.Targets) {
		n.Delegations = &tuf.Delegations{
			Keys:  map[string]tuf.Key{key.ID(): key},
			Roles: []tuf.DelegatedRole{{Name: "ci", KeyIDs: []string{key.ID()}, Threshold: 1, Paths: []string{"ci/*"}}},
		}
	})
	wantRejection(t, err, "ci: 0 of 1 required signatures")
	w.mustPublish(add("after", "1"))
}

// What a child lists must lie inside the paths that its delegator narrows.
func TestNarrowPaths(t *testing.T) {
	w := newWorld(t)
	w.mustPublish()
	w.delegate(tuf.RoleTargets, "ci", "ci/*")
	w.mustPublish(in("ci", add("ci/a", "1")))
	err := w.resign(func(n *tuf.Targets) {
		d := *n.Delegations
		d.Roles = slices.Clone(d.Roles)
		d.Roles[0].Paths = []string{"other/*"}
		n.Delegations = &d
	})
	wantRejection(t, err, `"ci/a" lies outside the paths`)
}

func TestExpiredRootTakesNoTargets(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.now = w.now.AddDate(2, 0, 1)
	_, err := w.publish(add("b", "2"))
	wantRejection(t, err, "root: it expired")
	if _, err := w.refresh(true); err != nil {
		t.Errorf("refresh: %v", err)
	}
}

// The names of an object must have one order for all, or JavaScript clients
// verify other bytes than were signed.
func TestNamesInTwoOrders(t *testing.T) {
	const astral, wide = "\U0001F600", "\uFF5E"
	for _, test := range []struct {
		names []string
		fails bool
	}{{[]string{astral, "a"}, false}, {[]string{wide, "a"}, false}, {[]string{astral, wide}, true}} {
		w := newWorld(t)
		var changes []repo.Change
		for _, name := range test.names {
			changes = append(changes, add(name, "1"))
		}
		_, err := w.publish(changes...)
		if test.fails {
			wantRejection(t, err, "another order")
		} else if err != nil {
			t.Errorf("%q: %v", test.names, err)
		}
	}
}

// A root that nobody could sign a readable timestamp for is not made.
func TestTimestampThatDoesNotFit(t *testing.T) {
	g := repo.Genesis{Collection: collection, Keys: map[string][]tuf.Key{}, Thresholds: map[string]int64{tuf.RoleTimestamp: 100}}
	ring := forge.Ring{}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{ring.Generate(t)}
	}
	for range 99 {
		g.Keys[tuf.RoleTimestamp] = append(g.Keys[tuf.RoleTimestamp], ring.Generate(t))
	}
	_, err := repo.NewRoot(t.Context(), g, ring, time.Now())
	wantRejection(t, err, "do not fit")
}

func TestLifetimeOutOfReach(t *testing.T) {
	g := repo.Genesis{Collection: collection, Keys: map[string][]tuf.Key{}, Lifetimes: repo.Lifetimes{tuf.RoleTargets: 100 * 365 * 24 * time.Hour}}
	ring := forge.Ring{}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{ring.Generate(t)}
	}
	_, err := repo.NewRoot(t.Context(), g, ring, time.Now())
	wantRejection(t, err, "lifetime of targets")
}

// conflicting answers the first n writes of a key with a conflict that is none.
type conflicting struct {
	storage.Store
	suffix string
	n      int
	writes int
}

func (s *conflicting) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if strings.HasSuffix(key, s.suffix) {
		if s.writes++; s.writes <= s.n {
			return storage.Absent, storage.ErrConflict
		}
	}
	return s.Store.Put(ctx, key, body, prev)
}

func TestConflictWithNothing(t *testing.T) {
	for _, suffix := range []string{"/2.targets.json", "/2.snapshot.json", "/timestamp.json"} {
		w := newWorld(t)
		w.mustPublish(add("a", "1"))
		w.store = &conflicting{Store: w.store, suffix: suffix, n: 1}
		if _, err := w.publish(add("b", "2")); err != nil {
			t.Errorf("%s: %v", suffix, err)
		}
	}
}

// A store that never takes the timestamp is given up, after a bounded number of
// attempts.
func TestEndlessConflict(t *testing.T) {
	if testing.Short() {
		t.Skip("waits between attempts")
	}
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	s := &conflicting{Store: w.store, suffix: "/timestamp.json", n: 1 << 30}
	w.store = s
	if _, err := w.publish(add("b", "2")); !errors.Is(err, storage.ErrConflict) || s.writes > 100 {
		t.Errorf("error %v after %d attempts", err, s.writes)
	}
}
