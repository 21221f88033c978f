package repo_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
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

// TestDraftBurned: a draft leaves its number only if what lies there is another's,
// or of an age at which no one completes it.
func TestDraftBurned(t *testing.T) {
	for name, row := range map[string]struct {
		later time.Duration
		age   bool // whether the store tells that of objects
		want  int64
	}{
		"its own, just left":                  {time.Hour, true, 2},
		"its own, long ago":                   {48 * time.Hour, true, 3},
		"its own, and nobody knows how young": {48 * time.Hour, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c, draft := newLeft(t)
			c.now = c.now.Add(row.later)
			if !row.age {
				c.store = ageless{c.store.(*storage.Memory)}
			}
			if got := numberOf(t, c.mustDraft(c.as(0, draft), add("b", "1"))); got != row.want {
				t.Errorf("the draft has number %d, not %d", got, row.want)
			}
		})
	}
}

// TestDraftBurnedUnknown: whoever cannot look whether a number is taken signs
// nothing.
func TestDraftBurnedUnknown(t *testing.T) {
	for _, method := range []string{"GET", "STAT"} {
		c, draft := newLeft(t)
		key := repo.SlotKey(collection, tuf.RoleTargets, 2)
		c.store = storagetest.NewFaults(c.store, func(r storagetest.Request) storagetest.Fault {
			if r.Method == method && r.Key == key {
				return storagetest.Lost
			}
			return storagetest.None
		}).Store()
		_, err := c.as(0, draft).Publish(t.Context(), []repo.Change{add("b", "1")})
		if !errors.Is(err, storagetest.ErrInjected) || !strings.HasPrefix(err.Error(), "look at "+key+": ") {
			t.Errorf("%s is lost: %v", method, err)
		}
	}
}

// TestDraftAllBurned: where all numbers that a draft may have are taken, there is
// none.
func TestDraftAllBurned(t *testing.T) {
	c, _ := newLeft(t)
	for n := int64(3); n < 1002; n++ {
		c.put(c.store, repo.SlotKey(collection, tuf.RoleTargets, n), "another's")
	}
	_, err := c.as(0).Publish(t.Context(), []repo.Change{add("c", "1")})
	if err == nil || err.Error() != "make a draft: the next 1000 numbers are taken" {
		t.Error(err)
	}
}

// newLeft is a ceremony whose second publish was interrupted, and the draft of that.
func newLeft(t *testing.T) (*ceremony, *repo.Draft) {
	t.Helper()
	c := newCeremony(t)
	c.store = c.newMemory()
	if _, err := c.as(1, c.mustDraft(c.as(0), add("a", "1"))).Publish(t.Context(), []repo.Change{add("a", "1")}); err != nil {
		t.Fatal(err)
	}
	draft := c.mustDraft(c.as(0), add("b", "1"))
	c.unfinished(add("b", "1"))
	return c, draft
}

// numberOf is the version of targets in a draft.
func numberOf(t *testing.T, d *repo.Draft) int64 {
	t.Helper()
	f, err := tuf.Parse[tuf.Targets](d.Files[tuf.RoleTargets], 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return f.Signed.Version
}
