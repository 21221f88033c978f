package repo

import (
	"context"
	"slices"
	"time"

	"publisher/repo/tuf"
)

// Expiry is until when a role's signatures last, and who must renew them.
type Expiry struct {
	Role    string    `json:"role"`
	Version int64     `json:"version"`           // 0 for a delegation whose role was never published
	Expires time.Time `json:"expires,omitzero"`  // zero likewise
	DueFrom time.Time `json:"due_from,omitzero"` // when the last third begins; of another program's, Expires

	KeyIDs    []string `json:"keyids"` // of which Threshold must sign
	Threshold int64    `json:"threshold"`

	// Waiting says that its people have published nothing yet: until they do, who
	// delegates to it renews it.
	Waiting bool `json:"waiting,omitempty"`
}

// Due reports that less than a third of a role's life is left.
func (e Expiry) Due(now time.Time) bool { return e.Version > 0 && !now.Before(e.DueFrom) }

// Expiries tells of every role, the top-level ones first, and then delegations
// in the order in which clients ask them.
func (v *View) Expiries(ctx context.Context) ([]Expiry, error) {
	l := newExpiries(v.Root())
	if !v.Published() {
		return l.all[:1], nil
	}
	l.set(tuf.RoleSnapshot, v.Snapshot.Head())
	l.set(tuf.RoleTimestamp, v.Timestamp.Head())
	for role, err := range v.walk(ctx) {
		if err != nil {
			return nil, err
		}
		l.add(role, v.Targets[role])
	}
	return l.all, nil
}

// KnownExpiries tells, without a look at the store, of the roles that only their
// own people can renew: root, and those targets roles that a cache has a file of.
// Nothing is known of a cache that cannot be read.
func KnownExpiries(c Cache) []Expiry {
	root := parseCached[tuf.Root](c, "root.json", MaxRoot)
	if root == nil {
		return nil
	}
	l := newExpiries(root)
	for i := 0; i < len(l.all); i++ { // it grows: delegations follow who delegates
		role := l.all[i].Role
		if isTopLevel(role) && role != tuf.RoleTargets {
			continue
		}
		if f := parseCached[tuf.Targets](c, role+".json", maxMetadata); f != nil {
			l.add(role, f)
		}
	}
	return slices.DeleteFunc(l.all, func(e Expiry) bool { return e.Version == 0 })
}

// expiries is being put together.
type expiries struct {
	root   *tuf.Root
	all    []Expiry
	people map[string]map[string]tuf.Key // by delegation that began without them
}

// newExpiries has the top-level roles, and what root tells of them.
func newExpiries(root *tuf.File[tuf.Root]) *expiries {
	l := &expiries{root: &root.Signed, people: map[string]map[string]tuf.Key{}}
	for _, role := range tuf.TopLevel {
		r := root.Signed.Roles[role]
		l.all = append(l.all, Expiry{Role: role, KeyIDs: r.KeyIDs, Threshold: r.Threshold})
	}
	l.set(tuf.RoleRoot, root.Head())
	return l
}

// set notes the version of a role that is listed.
func (l *expiries) set(role string, head *tuf.Common) *Expiry {
	i := slices.IndexFunc(l.all, func(e Expiry) bool { return e.Role == role })
	e := &l.all[i]
	e.Version, e.Expires = head.Version, head.Expires
	if e.DueFrom = head.Expires; !isForeign(l.root) { // of others nobody knows how long they sign for
		e.DueFrom = LastThird(l.root, role, head.Expires)
	}
	return e
}

// add notes a targets role that is listed, and lists whom it delegates to.
func (l *expiries) add(role string, f *tuf.File[tuf.Targets]) {
	e := l.set(role, f.Head())
	if keys := l.people[role]; keys != nil {
		e.Waiting = f.Verify(role, tuf.Role{KeyIDs: e.KeyIDs, Threshold: e.Threshold}, keys) != nil
	}
	for d := range delegationsOf(&f.Signed) {
		if slices.ContainsFunc(l.all, func(e Expiry) bool { return e.Role == d.Name }) {
			continue
		}
		l.all = append(l.all, Expiry{Role: d.Name, KeyIDs: peopleOf(&f.Signed, d), Threshold: d.Threshold})
		if len(f.Signed.Publisher.Initial[d.Name]) > 0 {
			l.people[d.Name] = f.Signed.Delegations.Keys
		}
	}
}
