package repo_test

import (
	"errors"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage/storagetest"
)

// TestDraftAfterUnfinishedPublish: what an interrupted publish has left in a slot
// does not stand in the way of drafts for ever, however old it is by then.
func TestDraftAfterUnfinishedPublish(t *testing.T) {
	for _, later := range []time.Duration{time.Hour, 48 * time.Hour} {
		c := newCeremony(t)
		if _, err := c.as(1, c.mustDraft(c.as(0), add("a", "1"))).Publish(t.Context(), []repo.Change{add("a", "1")}); err != nil {
			t.Fatal(err)
		}
		c.unfinished(add("b", "1"))
		c.now = c.now.Add(later)
		draft := travel(t, c.mustDraft(c.as(0), add("c", "1")))
		r := c.mustReview(draft)
		if _, err := r.Sign(t.Context(), c.people[1], ""); err != nil {
			t.Fatal(err)
		}
		if _, err := c.as(1).PublishDraft(t.Context(), r); err != nil {
			t.Errorf("%v later: %v", later, err)
		}
		c.mustBeClean()
	}
}

// TestRotationDraftAfterUnfinishedPublish is the same for a rotation, whose draft
// has targets too.
func TestRotationDraftAfterUnfinishedPublish(t *testing.T) {
	c := newCeremony(t)
	if _, err := c.as(1, c.mustDraft(c.as(0), add("a", "1"))).Publish(t.Context(), []repo.Change{add("a", "1")}); err != nil {
		t.Fatal(err)
	}
	c.unfinished(add("b", "1"))
	now := c.writersView().Root().Signed
	keys := repo.Signers{Threshold: 2}
	for _, id := range now.Roles[tuf.RoleTargets].KeyIDs {
		keys.Keys = append(keys.Keys, now.Keys[id])
	}
	keys.Keys[0] = c.people[2].Generate(t)
	rotation := repo.Rotation{Roles: map[string]repo.Signers{tuf.RoleTargets: keys}, Grace: repo.DefaultGrace, After: 1}
	_, err := c.as(0).Rotate(t.Context(), rotation)
	var draft *repo.DraftError
	if !errors.As(err, &draft) {
		t.Fatalf("got %v, want a DraftError", err)
	}
	r := c.mustReview(travel(t, draft.Draft))
	for i := 1; i < 3; i++ {
		if _, err := r.Sign(t.Context(), c.people[i], ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.as(2).PublishDraft(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	c.mustBeClean()
}

// unfinished has the last signer of a draft killed when the slot of targets is
// written.
func (c *ceremony) unfinished(changes ...repo.Change) {
	c.t.Helper()
	r := c.mustReview(c.mustDraft(c.as(0), changes...))
	if _, err := r.Sign(c.t.Context(), c.people[1], ""); err != nil {
		c.t.Fatal(err)
	}
	store := c.store
	c.store = storagetest.NewFaults(store, storagetest.OnPut(1, storagetest.Killed)).Store()
	if _, err := c.as(1).PublishDraft(c.t.Context(), r); err == nil {
		c.t.Fatal("nothing was interrupted")
	}
	c.store = store
}
