package repo_test

import (
	"errors"
	"testing"
	"time"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
)

// A party holds some of a collection's keys, and has a cache of its own.
func (w *world) party(keys forge.Ring) *world {
	other := *w
	other.ring, other.cache = keys, w.newCache()
	return &other
}

// to is a rotation to one key for each of some roles.
func to(keys map[string]tuf.Key, grace time.Duration) repo.Rotation {
	r := repo.Rotation{Roles: map[string]repo.Signers{}, Grace: grace}
	for role, key := range keys {
		r.Roles[role] = repo.Signers{Keys: []tuf.Key{key}, Threshold: 1}
	}
	return r
}

// handOver gives snapshot and timestamp to the keys of another party.
func handOver(t *testing.T, from, to *world) (map[string]tuf.Key, error) {
	t.Helper()
	keys := map[string]tuf.Key{}
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		keys[role] = to.ring.Generate(t)
	}
	return keys, from.handOverTo(t, keys, to)
}

// handOverTo runs the command of w, who holds the root keys; the other party
// only cosigns.
func (w *world) handOverTo(t *testing.T, keys map[string]tuf.Key, other *world) error {
	t.Helper()
	c := w.committer()
	c.Cosign = other.committer().CosignFor
	p := w.publisher()
	p.Commit = c.Commit
	_, err := p.Rotate(t.Context(), to(keys, repo.DefaultGrace))
	return err
}

func TestHandOver(t *testing.T) {
	local := newWorld(t)
	local.mustPublish(add("a", "1"))
	online := local.party(forge.Ring{})
	if _, err := handOver(t, local, online); err != nil {
		t.Fatal(err)
	}
	// The old holder cannot go on, and the new one not before the grace is over.
	var grace *repo.GraceError
	var threshold *repo.ThresholdError
	if _, err := local.publish(add("b", "2")); !errors.As(err, &threshold) {
		t.Errorf("the old keys publish: %v", err)
	}
	if _, err := online.committer().Refresh(t.Context(), true); !errors.As(err, &grace) {
		t.Errorf("the new keys alone sign during the grace: %v", err)
	}
	local.now = local.now.Add(repo.DefaultGrace + time.Second)
	online.now = local.now
	if _, err := online.committer().Refresh(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if got := local.view(); got.Root().Signed.Version != 2 || got.Timestamp.Signed.Version != 3 {
		t.Errorf("root %d, timestamp %d", got.Root().Signed.Version, got.Timestamp.Signed.Version)
	}
}

func TestHandOverAndBack(t *testing.T) {
	local := newWorld(t)
	local.mustPublish(add("a", "1"))
	online := local.party(forge.Ring{})
	for range 3 {
		if _, err := handOver(t, local, online); err != nil {
			t.Fatal(err)
		}
		local.now = local.now.Add(time.Hour)
		online.now = local.now
		mine := map[string]tuf.Key{
			tuf.RoleSnapshot: local.ring.Generate(t), tuf.RoleTimestamp: local.ring.Generate(t),
		}
		if err := local.handOverTo(t, mine, online); err != nil {
			t.Fatal(err)
		}
		local.now = local.now.Add(time.Hour)
		online.now = local.now
		local.mustPublish(add("a", local.now.String()))
	}
	if got := local.view().Root().Signed.Version; got != 7 {
		t.Errorf("root version %d", got)
	}
}

// A GraceError keeps its meaning on its way from one process to another.
func TestParseGrace(t *testing.T) {
	sent := &repo.GraceError{Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if got, ok := repo.ParseGrace(sent.Error()); !ok || !got.Until.Equal(sent.Until) {
		t.Errorf("%v came as %v, %v", sent, got, ok)
	}
	for _, text := range []string{"", "refused", "2026-01-02T03:04:05Z", "refused: " + sent.Error(), sent.Error() + "!"} {
		if _, ok := repo.ParseGrace(text); ok {
			t.Errorf("%q is a GraceError", text)
		}
	}
}
