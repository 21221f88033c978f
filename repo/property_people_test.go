package repo_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// TestPropertyOfPeople runs random sequences of what several people do to one
// collection, each with keys and a cache of their own, while requests fail. What
// comes of it, and what is refused, is what a model says; after each step check
// is clean, and stock clients find what the model has and nothing else.
func TestPropertyOfPeople(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long under the race detector")
	}
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t, rt)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			c.pass(rt)
			c.step(rt)
		}
	})
}

// A person has keys and a cache.
type person struct {
	name  string
	ring  forge.Ring
	keys  []tuf.Key // of the ring, oldest first
	cache memoryCache
}

// GoString is how rapid tells who was drawn.
func (p *person) GoString() string { return p.name }

// A crowd is everybody who has to do with one collection, and what is known of it.
type crowd struct {
	*world
	people []*person // of whom the first two are its owners
	signer *person   // who has the keys of snapshot and timestamp, and commits
	keys   int       // were made

	model  *model
	notes  map[string]note
	drafts []*openDraft
	client *stockClient // that remembers what it has seen

	collected time.Time // when garbage was collected last
	rotated   time.Time // when somebody began to replace keys last
	faults    int       // that have hit requests
}

func newCrowd(t *testing.T, rt *rapid.T) *crowd {
	w := &world{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	c := &crowd{world: w}
	w.store = w.newMemory()
	for _, name := range []string{"owner", "co-owner", "ann", "bob"} {
		c.people = append(c.people, &person{name: name, ring: forge.Ring{}, cache: memoryCache{}})
	}
	c.signer = &person{name: "signer", ring: forge.Ring{}, cache: memoryCache{}}
	g := repo.Genesis{Collection: collection, Keys: map[string][]tuf.Key{}, Thresholds: map[string]int64{}}
	for _, role := range []string{tuf.RoleRoot, tuf.RoleTargets} {
		g.Keys[role] = []tuf.Key{c.newKey(c.people[0]), c.newKey(c.people[1])}
		g.Thresholds[role] = rapid.Int64Range(1, 2).Draw(rt, "threshold of "+role)
	}
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		g.Keys[role] = []tuf.Key{c.newKey(c.signer)}
	}
	both := &person{name: "both owners", ring: union(c.people[0].ring, c.people[1].ring)}
	root, err := repo.NewRoot(t.Context(), g, union(both.ring, c.signer.ring), w.now)
	if err != nil {
		rt.Fatal(err)
	}
	w.root = root.Bytes()
	c.client = newStockClient(t, w.root)
	for _, p := range append([]*person{c.signer, both}, c.people...) {
		p.cache = c.newCache()
	}
	if _, err := c.publisher(both, c.store).Publish(t.Context(), nil); err != nil {
		rt.Fatal(err)
	}
	c.model, c.notes = c.read(rt)
	c.look(rt, "the first publication", c.model)
	return c
}

// newKey makes the next key for somebody; in every run of the same draws it is
// the same.
func (c *crowd) newKey(p *person) tuf.Key {
	c.keys++
	seed := sha256.Sum256(fmt.Appendf(nil, "key %d", c.keys))
	private := ed25519.NewKeyFromSeed(seed[:])
	key, err := tuf.NewKey(private.Public())
	if err != nil {
		c.t.Fatal(err)
	}
	p.ring[key.ID()], p.keys = private, append(p.keys, key)
	return key
}

// at is the world of a person, over a store.
func (c *crowd) at(p *person, store storage.Store) *world {
	w := c.with(c.t, store, p.cache)
	w.ring = p.ring
	return w
}

// publisher is what a person publishes with. The signer commits.
func (c *crowd) publisher(p *person, store storage.Store) *repo.Publisher {
	committer := c.at(c.signer, store).committer()
	publisher := c.at(p, store).publisher()
	publisher.Commit = func(ctx context.Context, _ *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		return committer.Commit(ctx, nil, sub)
	}
	return publisher
}

// pass lets time go by, of which the signer knows if it runs.
func (c *crowd) pass(rt *rapid.T) {
	const hour = time.Hour
	c.now = c.now.Add(rapid.SampledFrom([]time.Duration{
		0, 0, time.Minute, hour, hour, 26 * hour, 8 * 24 * hour, 40 * 24 * hour, 200 * 24 * hour,
	}).Draw(rt, "time"))
	if !rapid.Bool().Draw(rt, "refreshed") {
		return
	}
	if _, err := c.at(c.signer, c.store).refresh(false); err != nil {
		rt.Fatalf("refresh: %v", err)
	}
	c.look(rt, "a refresh", c.model)
}

// A deed is something that somebody does to the collection.
type deed struct {
	name     string
	run      func(storage.Store) error
	again    func(*rapid.T) *deed // the same, upon what the collection is by then
	ends     []string             // how it may end, by kinds
	after    *model               // what it leads to if it ends well
	changed  []string             // the roles that then have a new version, and no others
	perhaps  []string             // roles that may have one
	done     func()               // is called then
	draft    func(*repo.Draft)    // is called if it ends with a draft
	grace    bool                 // while keys are being replaced, it may have to wait
	gc       bool                 // it removes what nothing leads to
	numbered bool                 // it cannot take other numbers for what it publishes
}

// step draws a deed, and what happens to it.
func (c *crowd) step(rt *rapid.T) {
	d := c.draw(rt)
	switch rapid.SampledFrom([]string{"nothing", "nothing", "fault", "other"}).Draw(rt, "happens") {
	case "nothing":
		c.do(rt, d)
	case "fault":
		fault := c.fault(rt)
		again := rapid.Bool().Draw(rt, "again")
		if failed := c.fail(rt, d, fault); failed && again {
			c.do(rt, d.again(rt))
		}
	case "other":
		c.overtake(rt, d)
	}
}

// do does a deed.
func (c *crowd) do(rt *rapid.T, d *deed) {
	marked := c.marked()
	c.ended(rt, d, d.run(c.watched(d)), marked)
}

// watched is the store, in which no slot may change.
func (c *crowd) watched(d *deed) storage.Store {
	if d.gc {
		return c.store
	}
	return storagetest.Immutable(c.t, c.store)
}

// fail does a deed of which a request fails, and reports whether it has failed.
// Then it may have come to its end or not.
func (c *crowd) fail(rt *rapid.T, d *deed, fault func(storagetest.Request) storagetest.Fault) bool {
	fired, marked := false, c.marked()
	err := d.run(storagetest.NewFaults(c.watched(d), func(r storagetest.Request) storagetest.Fault {
		f := fault(r)
		fired = fired || f != storagetest.None
		return f
	}).Store())
	if fired {
		c.faults++
	}
	if kind := kindOf(err); kind != "fault" && (kind != "conflict" || !fired || !d.gc) {
		c.ended(rt, d, err, marked)
		return false
	}
	rt.Logf("%s: %s: %v", c.now.Format(time.DateTime), d.name, err)
	c.look(rt, d.name+", which failed", c.model, d.after)
	return true
}

// overtake does a deed, and before one of its writes of metadata, another one.
func (c *crowd) overtake(rt *rapid.T, d *deed) {
	other, n := c.draw(rt), rapid.IntRange(1, 4).Draw(rt, "before write")
	ran, marked := false, c.marked()
	err := d.run(storagetest.NewFaults(c.watched(d), func(r storagetest.Request) storagetest.Fault {
		if r.Method != "PUT" || strings.HasPrefix(r.Key, repo.TargetsDir(collection)+"/") {
			return storagetest.None
		}
		if n--; n == 0 {
			ran = true
			d = c.between(rt, d, other)
		}
		return storagetest.None
	}).Store())
	if ran {
		d.name += ", overtaken by " + other.name
	}
	c.ended(rt, d, err, marked)
}

// between does another deed while one is under way, and returns what is to be
// expected of that one from then on.
func (c *crowd) between(rt *rapid.T, d, other *deed) *deed {
	before := c.notes
	c.look(rt, d.name+", which is under way", c.model, d.after)
	moved := 0
	for _, role := range d.changed {
		if c.notes[role].version != before[role].version {
			moved++
		}
	}
	late := moved > 0 && moved == len(d.changed)
	rt.Logf("%s is under way, or has come to its end: %v", d.name, late)
	next := other.again(rt)
	if moved > 0 && !late { // a new root comes last, and the other may write that
		next.perhaps = append(next.perhaps, d.changed...)
	}
	if next.numbered && !late { // its numbers may be taken
		next.ends = append(next.ends, "burned")
	}
	c.do(rt, next)
	if late {
		return &deed{name: d.name, ends: append(d.ends, "stale"), after: c.model, done: d.done}
	}
	after := d.again(rt)
	if slices.Contains(after.ends, "published") { // by the other, which is as good
		after.ends = append(after.ends, "done")
	}
	// The other may have changed who signs what was signed before.
	after.ends, after.perhaps = append(after.ends, "stale", "burned", "rejected"), append(after.perhaps, d.changed...)
	return after
}

// ended compares how a deed has ended with how it may.
func (c *crowd) ended(rt *rapid.T, d *deed, err error, marked bool) {
	kind := kindOf(err)
	rt.Logf("%s: %s: %s: %v", c.now.Format(time.DateTime), d.name, kind, err)
	waits := kind == "grace" && d.grace && c.now.Before(c.rotated.Add(repo.DefaultGrace)) || kind == "collected" && marked
	if !waits && !slices.Contains(d.ends, kind) {
		rt.Fatalf("%s: it ended with %q, not %q: %v", d.name, kind, d.ends, err)
	}
	if kind == "done" {
		before := c.notes
		c.look(rt, d.name, d.after)
		c.checkVersions(rt, d, before)
	} else {
		c.look(rt, fmt.Sprintf("%s, which ended with %q", d.name, kind), c.model)
	}
	var draft *repo.DraftError
	switch {
	case kind == "done" && d.done != nil:
		d.done()
	case errors.As(err, &draft) && d.draft != nil:
		d.draft(draft.Draft)
	}
}

// checkVersions wants those roles, and no others, to have a new version that a
// deed has changed.
func (c *crowd) checkVersions(rt *rapid.T, d *deed, before map[string]note) {
	for role, n := range c.notes {
		was, changes := before[role], slices.Contains(d.changed, role)
		if changes != (n.version > was.version) && !slices.Contains(d.perhaps, role) {
			rt.Fatalf("after %s: %s went from version %d to %d", d.name, role, was.version, n.version)
		}
	}
}

// marked reports whether something is about to be removed as garbage.
func (c *crowd) marked() bool {
	_, _, err := storage.Read(c.t.Context(), c.store, repo.GarbageKey(collection), 1<<20)
	return err == nil
}

// fault draws a request to break.
func (c *crowd) fault(rt *rapid.T) func(storagetest.Request) storagetest.Fault {
	method := rapid.SampledFrom([]string{"PUT", "PUT", "PUT", "GET", "STAT", "DELETE", "LIST"}).Draw(rt, "method")
	n := rapid.IntRange(1, 8).Draw(rt, "n")
	faults := []storagetest.Fault{storagetest.Lost, storagetest.AppliedFailed, storagetest.AppliedAgain, storagetest.Killed}
	if method == "GET" || method == "STAT" || method == "LIST" {
		faults = []storagetest.Fault{storagetest.Lost, storagetest.Killed}
	}
	return onNth(method, n, rapid.SampledFrom(faults).Draw(rt, "fault"))
}

// kindOf is a word for an error.
func kindOf(err error) string {
	var (
		change    *repo.ChangeError
		draft     *repo.DraftError
		threshold *repo.ThresholdError
		grace     *repo.GraceError
		stale     *repo.StaleError
		burned    *repo.BurnedError
		rejection *repo.Rejection
		collected *repo.CollectedError
	)
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, storagetest.ErrInjected), errors.Is(err, storagetest.ErrKilled):
		return "fault"
	case errors.As(err, &collected):
		return "collected"
	case errors.As(err, &change):
		return "change"
	case errors.As(err, &draft):
		return "draft"
	case errors.As(err, &threshold):
		return "threshold"
	case errors.As(err, &grace):
		return "grace"
	case errors.As(err, &stale):
		return "stale"
	case errors.As(err, &burned):
		return "burned"
	case errors.Is(err, repo.ErrDraftPublished):
		return "published"
	case errors.As(err, &rejection):
		return "rejected"
	case errors.Is(err, storage.ErrConflict):
		return "conflict"
	}
	return "other"
}
