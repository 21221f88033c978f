package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
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

// travel is a draft after a way as a file.
func travel(t *testing.T, d *repo.Draft) *repo.Draft {
	t.Helper()
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := repo.ParseDraft(data)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != d.ID() {
		t.Fatal("another draft after a way as a file")
	}
	return again
}

func (c *ceremony) writersView() *repo.View {
	c.t.Helper()
	l := &repo.Loader{Source: c.store, Collection: collection, Cache: c.cache, Now: c.now, IgnoreExpiry: true, TimestampFirst: true}
	v, err := l.Load(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

func (c *ceremony) review(d *repo.Draft) (*repo.Review, error) {
	return c.writersView().Review(c.t.Context(), d, c.store, c.now)
}

func (c *ceremony) mustReview(d *repo.Draft) *repo.Review {
	c.t.Helper()
	r, err := c.review(d)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// TestReview: a draft shows what it changes and who has signed it; the last
// signer publishes it.
func TestReview(t *testing.T) {
	c := newCeremony(t)
	if _, err := c.as(1, c.mustDraft(c.as(0), add("a", "1"), add("b", "2"))).Publish(t.Context(), []repo.Change{add("a", "1"), add("b", "2")}); err != nil {
		t.Fatal(err)
	}
	draft := travel(t, c.mustDraft(c.as(0), add("a", "changed"), remove("b"), add("c", "3")))
	r := c.mustReview(draft)
	if len(r.Roles) != 1 || r.Roles[0].From != 1 || r.Roles[0].To != 2 || len(r.Roles[0].Signed) != 1 {
		t.Errorf("it shows %+v", r.Roles)
	}
	got := [][]string{r.Roles[0].Added, r.Roles[0].Changed, r.Roles[0].Removed}
	if diff := cmp.Diff([][]string{{"c"}, {"a"}, {"b"}}, got); diff != "" {
		t.Error(diff)
	}
	if missing := r.Missing(); len(missing) != 1 || missing[0].Have != 1 || missing[0].Need != 2 {
		t.Errorf("missing: %v", missing)
	}
	if _, err := c.as(2).PublishDraft(t.Context(), r); !errors.As(err, new(*repo.DraftError)) {
		t.Errorf("published too early: %v", err)
	}
	added, err := r.Sign(t.Context(), c.people[2], "")
	if err != nil || len(added) != 1 || len(r.Missing()) != 0 {
		t.Fatalf("signing added %v, missing %v: %v", added, r.Missing(), err)
	}
	if _, err := c.as(2).PublishDraft(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	c.mustBeClean()
	if _, err := c.review(draft); !errors.Is(err, repo.ErrDraftPublished) {
		t.Errorf("what is published could be signed again: %v", err)
	}
}

// TestReviewAway: a draft that carries the published version is reviewed and
// signed without the store, from an older root.
func TestReviewAway(t *testing.T) {
	c := newCeremony(t)
	first := c.mustDraft(c.as(0), add("a", "1"))
	if _, err := c.as(1, first).Publish(t.Context(), []repo.Change{add("a", "1")}); err != nil {
		t.Fatal(err)
	}
	draft := c.mustDraft(c.as(0), add("b", "2"))
	if err := c.writersView().Carry(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	away := travel(t, draft)
	v, err := away.Carried(t.Context(), c.newCache(), c.now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := v.Review(t.Context(), away, nil, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b"}, r.Roles[0].Added); diff != "" {
		t.Error(diff)
	}
	if _, err := r.Sign(t.Context(), c.people[1], ""); err != nil {
		t.Fatal(err)
	}
	back := c.mustReview(travel(t, r.Draft))
	if _, err := c.as(0).PublishDraft(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	c.mustBeClean()
}

// TestPublishDraftTwice: of two who add the last signature, each their own, one
// may be interrupted after the slot is written. The other one completes what
// stands there; what somebody else has put into the slot burns the number.
func TestPublishDraftTwice(t *testing.T) {
	for name, test := range map[string]struct {
		slot func(theirs *repo.Review) []byte
		want error
	}{
		"the same draft":             {func(theirs *repo.Review) []byte { return theirs.Draft.Files[tuf.RoleTargets] }, nil},
		"too few signatures":         {func(*repo.Review) []byte { return nil }, &repo.BurnedError{}},
		"something else in the slot": {func(*repo.Review) []byte { return []byte("garbage") }, &repo.BurnedError{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCeremony(t)
			first := c.mustDraft(c.as(0), add("a", "1"))
			if _, err := c.as(1, first).Publish(t.Context(), []repo.Change{add("a", "1")}); err != nil {
				t.Fatal(err)
			}
			draft := c.mustDraft(c.as(0), add("b", "2"))
			theirs, ours := c.mustReview(draft), c.mustReview(travel(t, draft))
			if _, err := theirs.Sign(t.Context(), c.people[1], ""); err != nil {
				t.Fatal(err)
			}
			if _, err := ours.Sign(t.Context(), c.people[2], ""); err != nil {
				t.Fatal(err)
			}
			slot := test.slot(theirs)
			if slot == nil {
				slot = draft.Files[tuf.RoleTargets]
			}
			if _, err := c.store.Put(t.Context(), repo.SlotKey(collection, tuf.RoleTargets, 2), bytes.NewReader(slot), storage.Absent); err != nil {
				t.Fatal(err)
			}
			_, err := c.as(2).PublishDraft(t.Context(), ours)
			if burned := (*repo.BurnedError)(nil); (test.want != nil) != errors.As(err, &burned) || test.want == nil && err != nil {
				t.Fatalf("publishing says %v", err)
			}
			if test.want == nil {
				c.mustBeClean()
				if got := c.targets()["b"]; got != sum("2") {
					t.Errorf("b is %q", got)
				}
			}
		})
	}
}

// noRoots is a store that takes no root.
type noRoots struct{ storage.Store }

func (s noRoots) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if strings.HasSuffix(key, ".root.json") {
		return storage.Absent, errors.New("no roots today")
	}
	return s.Store.Put(ctx, key, body, prev)
}

// TestDraftHalfPublished: who publishes a draft with a new root, and is
// interrupted before that is written, completes it.
func TestDraftHalfPublished(t *testing.T) {
	c := newCeremony(t)
	first := c.mustDraft(c.as(0), add("a", "1"))
	if _, err := c.as(1, first).Publish(t.Context(), []repo.Change{add("a", "1")}); err != nil {
		t.Fatal(err)
	}
	root := c.writersView().Root().Signed
	all := repo.Signers{Threshold: 3}
	for _, id := range root.Roles[tuf.RoleTargets].KeyIDs {
		all.Keys = append(all.Keys, root.Keys[id])
	}
	_, err := c.as(0).Rotate(t.Context(), repo.Rotation{Roles: map[string]repo.Signers{tuf.RoleTargets: all}, Grace: time.Second, After: 1})
	var few *repo.DraftError
	if !errors.As(err, &few) {
		t.Fatalf("the rotation says %v", err)
	}
	r := c.mustReview(few.Draft)
	for _, ring := range c.people[1:] {
		if _, err := r.Sign(t.Context(), ring, ""); err != nil {
			t.Fatal(err)
		}
	}
	good := c.store
	c.store = noRoots{good}
	if _, err := c.as(0).PublishDraft(t.Context(), r); err == nil {
		t.Fatal("published without its root")
	}
	c.store = good
	c.mustBeClean()
	// Another copy of it will do, with signatures that lie beside it.
	var half *repo.HalfError
	if err := few.Draft.Merge(r.Draft); err != nil {
		t.Fatal(err)
	}
	if _, err := c.review(few.Draft); !errors.As(err, &half) {
		t.Fatalf("half of it is published, and it is said that %v", err)
	}
	if _, err := c.as(0).Commit(t.Context(), nil, half.Rest); err != nil {
		t.Fatal(err)
	}
	if got := c.writersView().Root().Signed.Version; got != 2 {
		t.Errorf("root is at version %d", got)
	}
	if _, err := c.review(few.Draft); !errors.Is(err, repo.ErrDraftPublished) {
		t.Errorf("completed, and it is said that %v", err)
	}
	c.mustBeClean()
}

// TestDraftOfFirstVersion: who publishes as others did adds to their signatures,
// also of a role that its people have published nothing in yet.
func TestDraftOfFirstVersion(t *testing.T) {
	w := newWorld(t)
	people, all := hand(t, w, 2)
	w.mustPublish(delegating("ci", 2, people, "ci/*"))
	yes := true
	terminating := delegating("ci", 0, nil)
	terminating.Delegation.Terminating = &yes
	changes := []repo.Change{in("ci", add("ci/x", "1")), terminating}

	var made []*repo.Draft
	for i, key := range people {
		p := all.as(key).publisher()
		p.Drafts = made
		_, err := p.Publish(t.Context(), changes)
		var draft *repo.DraftError
		if !errors.As(err, &draft) {
			t.Fatalf("person %d: %v", i, err)
		}
		if made = []*repo.Draft{draft.Draft}; len(draft.Missing) != 2-i {
			t.Errorf("person %d: missing are %v", i, draft.Missing)
		}
	}
	p := w.publisher()
	p.Drafts = made
	if _, err := p.Publish(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	w.pulls(map[string]string{"ci/x": "1"})
	w.mustBeClean()
}
