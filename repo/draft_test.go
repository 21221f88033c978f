package repo_test

import (
	"errors"
	"testing"
	"time"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
)

// ceremony is a collection whose targets role needs two of three people, each
// with a keyring of their own; the first one has all other keys.
type ceremony struct {
	*world
	people [3]forge.Ring
}

func newCeremony(t *testing.T) *ceremony {
	t.Helper()
	w := newWorld(t)
	c := &ceremony{world: w}
	g := repo.Genesis{Collection: collection, Keys: map[string][]tuf.Key{}, Thresholds: map[string]int64{tuf.RoleTargets: 2}}
	all := forge.Ring{}
	for _, role := range []string{tuf.RoleRoot, tuf.RoleSnapshot, tuf.RoleTimestamp} {
		g.Keys[role] = []tuf.Key{all.Generate(t)}
	}
	for i := range c.people {
		c.people[i] = forge.Ring{}
		g.Keys[tuf.RoleTargets] = append(g.Keys[tuf.RoleTargets], c.people[i].Generate(t))
	}
	root, err := repo.NewRoot(t.Context(), g, all, w.now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.people {
		for id, key := range all {
			c.people[i][id] = key
		}
	}
	w.root = root.Bytes()
	w.cache = w.newCache()
	return c
}

// as is what one of the people publishes with.
func (c *ceremony) as(i int, drafts ...*repo.Draft) *repo.Publisher {
	c.ring = c.people[i]
	p := c.publisher()
	p.Drafts = drafts
	return p
}

// mustDraft publishes as the first of the people, which needs one more.
func (c *ceremony) mustDraft(p *repo.Publisher, changes ...repo.Change) *repo.Draft {
	c.t.Helper()
	_, err := p.Publish(c.t.Context(), changes)
	var draft *repo.DraftError
	if !errors.As(err, &draft) {
		c.t.Fatalf("got %v, want a DraftError", err)
	}
	return draft.Draft
}

// TestDraft: who lacks keys gets a draft, with the bytes of the targets uploaded
// and nothing published; to publish the same again keeps it, whoever signs then
// completes it.
func TestDraft(t *testing.T) {
	c := newCeremony(t)
	first := c.mustDraft(c.as(0), add("a", "1"))
	c.now = c.now.Add(time.Hour)
	again := c.mustDraft(c.as(0, first), add("a", "1"))
	if again.ID() != first.ID() {
		t.Error("another draft after the same publish")
	}
	if other := c.mustDraft(c.as(0, first), add("a", "1"), add("b", "2")); other.ID() == first.ID() {
		t.Error("the same draft with other changes")
	}
	done, err := c.as(1, again).Publish(t.Context(), []repo.Change{add("a", "1")})
	if err != nil || done.Receipt == nil {
		t.Fatalf("the second signer: %v", err)
	}
	c.mustBeClean()
	if got := c.targets()["a"]; got != sum("1") {
		t.Errorf("a is %q", got)
	}
}

// TestDraftWithoutKeys: who holds no key of any role that changes has nothing
// to start, unless they ask for it.
func TestDraftWithoutKeys(t *testing.T) {
	c := newCeremony(t)
	c.people[0] = forge.Ring{}
	p := c.as(0)
	_, err := p.Publish(t.Context(), []repo.Change{add("a", "1")})
	var few *repo.ThresholdError
	if draft := (*repo.DraftError)(nil); errors.As(err, &draft) || !errors.As(err, &few) {
		t.Errorf("got %v, want a ThresholdError alone", err)
	}
	p.Unsigned = true
	draft := c.mustDraft(p, add("a", "1"))
	if done, err := c.as(1, draft).Publish(t.Context(), []repo.Change{add("a", "1")}); err == nil {
		t.Errorf("published with one signature: %+v", done)
	}
}
