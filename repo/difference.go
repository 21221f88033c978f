package repo

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"publisher/repo/tuf"
)

// A Difference is what a version of a role changed, compared with the version
// before it.
type Difference struct {
	Added   []string `json:"added,omitempty"` // targets
	Changed []string `json:"changed,omitempty"`
	Removed []string `json:"removed,omitempty"`

	// Roles is whom the role trusts otherwise than before: delegations, or the
	// top-level roles of a root.
	Roles []TrustChange `json:"roles,omitempty"`

	// Reordered says that delegations that were there before have another order
	// of priority, Order which one all have then.
	Reordered bool     `json:"reordered,omitempty"`
	Order     []string `json:"order,omitempty"`

	// Lifetimes, of a root, is the new ones, in seconds; 0 for a role that has
	// none of its own any more.
	Lifetimes map[string]int64 `json:"lifetimes,omitempty"`

	// Restart, of a root, is the versions from which roles go on: clients forget
	// higher ones.
	Restart map[string]int64 `json:"restart,omitempty"`

	// GraceUntil, of a root, is until when the keys before sign beside the new.
	GraceUntil time.Time `json:"grace_until,omitzero"`

	// Certs, of a root, is what new certificates of its keys say, by key ID, empty
	// for a key that has none any more.
	Certs map[string]string `json:"certs,omitempty"`
}

// A TrustChange is how the trust in one role changed.
type TrustChange struct {
	Role         string   `json:"role"`
	New          bool     `json:"new,omitzero"`
	Gone         bool     `json:"gone,omitzero"`
	KeysAdded    []string `json:"keys_added,omitempty"`
	KeysRemoved  []string `json:"keys_removed,omitempty"`
	Initial      []string `json:"initial,omitempty"`  // keys now said to sign a first, empty version and to be thrown away
	Lasting      []string `json:"lasting,omitempty"`  // keys of which that is said no more, and that stay
	Threshold    int64    `json:"threshold,omitzero"` // 0 if it stays
	PathsAdded   []string `json:"paths_added,omitempty"`
	PathsRemoved []string `json:"paths_removed,omitempty"`
	Terminating  *bool    `json:"terminating,omitempty"` // nil if it stays
	Before       string   `json:"before,omitempty"`      // of a new delegation, the role that clients ask next, empty if it is the last
}

// stays reports that nothing changed.
func (c TrustChange) stays() bool {
	return !c.New && !c.Gone && c.Threshold == 0 && c.Terminating == nil &&
		len(c.KeysAdded)+len(c.KeysRemoved)+len(c.Initial)+len(c.Lasting)+len(c.PathsAdded)+len(c.PathsRemoved) == 0
}

// compareTargets is what after changed; before is nil for a first version.
func compareTargets(before, after *tuf.Targets) Difference {
	if before == nil {
		before = &tuf.Targets{}
	}
	var targets RolePlan
	targets.compare(before.Targets, after.Targets)
	old, now := delegatedTo(before), delegatedTo(after)
	d := Difference{
		Added: targets.Added, Changed: targets.Changed, Removed: targets.Removed,
		Reordered: !slices.Equal(common(old, now), common(now, old)),
	}
	d.Roles = compareDelegations(old, now, before.Publisher.Initial, after.Publisher.Initial)
	if d.Reordered {
		d.Order = namesOf(now)
	}
	return d
}

// compareDelegations is what changed between two lists of delegations, with
// where new ones stand and which keys are said to be initial.
func compareDelegations(old, now []tuf.DelegatedRole, wasInitial, isInitial map[string][]string) []TrustChange {
	was, is := byName(old), byName(now)
	next := map[string]string{}
	for i := 1; i < len(now); i++ {
		next[now[i-1].Name] = now[i].Name
	}
	return compareTrust(old, now, func(c *TrustChange) {
		if c.Gone {
			return
		}
		if c.New {
			c.Before = next[c.Role]
		}
		c.Initial = without(isInitial[c.Role], wasInitial[c.Role])
		both := without(was[c.Role].KeyIDs, without(was[c.Role].KeyIDs, is[c.Role].KeyIDs))
		forgotten := without(wasInitial[c.Role], isInitial[c.Role])
		c.Lasting = without(both, without(both, forgotten))
	})
}

// compareRoots is what after changed; before is nil for a first version.
func compareRoots(before, after *tuf.Root) Difference {
	if before == nil {
		before = &tuf.Root{}
	}
	d := Difference{Roles: compareTrust(trustedBy(before), trustedBy(after), nil), Lifetimes: map[string]int64{}}
	d.Restart, d.Certs = after.Publisher.Restart, compareCerts(before, after)
	if grace := after.Publisher.GraceUntil; !grace.Equal(before.Publisher.GraceUntil) {
		d.GraceUntil = grace
	}
	old, now := before.Publisher.Lifetimes, after.Publisher.Lifetimes
	for role, seconds := range now {
		if old[role] != seconds {
			d.Lifetimes[role] = seconds
		}
	}
	for role := range old {
		if _, ok := now[role]; !ok {
			d.Lifetimes[role] = 0
		}
	}
	return d
}

// compareCerts is what the certificates say that are new in a root. Those that
// cannot be read are left out.
func compareCerts(before, after *tuf.Root) map[string]string {
	old, now := before.Publisher.Certs, after.Publisher.Certs
	said := map[string]string{}
	for id, text := range now {
		if old[id] == text {
			continue
		}
		if chain, err := ParseChain([]byte(text)); err == nil {
			said[id] = fmt.Sprintf("%s, issued by %s, until %s", chain[0].Subject, chain[0].Issuer, chain[0].NotAfter.UTC().Format(time.DateOnly))
		}
	}
	for id := range old {
		if _, ok := now[id]; !ok {
			said[id] = ""
		}
	}
	return said
}

// delegatedTo is the delegations of a role, in order of priority.
func delegatedTo(t *tuf.Targets) []tuf.DelegatedRole {
	var all []tuf.DelegatedRole
	for d := range delegationsOf(t) {
		all = append(all, *d)
	}
	return all
}

// trustedBy is the top-level roles of a root, as if it delegated to them.
func trustedBy(root *tuf.Root) []tuf.DelegatedRole {
	var all []tuf.DelegatedRole
	for _, name := range tuf.TopLevel {
		if r, ok := root.Roles[name]; ok {
			all = append(all, tuf.DelegatedRole{Name: name, KeyIDs: r.KeyIDs, Threshold: r.Threshold})
		}
	}
	return all
}

// common is the names in a that b has too, in a's order.
func common(a, b []tuf.DelegatedRole) []string {
	there := byName(b)
	var names []string
	for _, d := range a {
		if _, ok := there[d.Name]; ok {
			names = append(names, d.Name)
		}
	}
	return names
}

func namesOf(roles []tuf.DelegatedRole) []string {
	names := make([]string, len(roles))
	for i, d := range roles {
		names[i] = d.Name
	}
	return names
}

func byName(roles []tuf.DelegatedRole) map[string]tuf.DelegatedRole {
	m := make(map[string]tuf.DelegatedRole, len(roles))
	for _, d := range roles {
		m[d.Name] = d
	}
	return m
}

// compareTrust is what changed between two lists of trusted roles, by name. More,
// if there is one, adds to a change what the roles themselves do not say.
func compareTrust(before, after []tuf.DelegatedRole, more func(*TrustChange)) []TrustChange {
	old, now := byName(before), byName(after)
	all := maps.Clone(old)
	maps.Copy(all, now)
	var changes []TrustChange
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, there := old[name]
		is, stays := now[name]
		c := changedTrust(was, is)
		if c.Role, c.New, c.Gone = name, !there, !stays; c.Gone {
			c = TrustChange{Role: name, Gone: true, KeysRemoved: c.KeysRemoved, PathsRemoved: c.PathsRemoved}
		}
		if more != nil {
			more(&c)
		}
		if !c.stays() {
			changes = append(changes, c)
		}
	}
	return changes
}

func changedTrust(was, is tuf.DelegatedRole) TrustChange {
	c := TrustChange{
		KeysAdded: without(is.KeyIDs, was.KeyIDs), KeysRemoved: without(was.KeyIDs, is.KeyIDs),
		PathsAdded: without(patterns(is), patterns(was)), PathsRemoved: without(patterns(was), patterns(is)),
	}
	if was.Threshold != is.Threshold {
		c.Threshold = is.Threshold
	}
	if was.Terminating != is.Terminating {
		c.Terminating = &is.Terminating
	}
	return c
}

// patterns is what a delegation is for, prefixes of hashes too.
func patterns(d tuf.DelegatedRole) []string {
	all := slices.Clone(d.Paths)
	for _, prefix := range d.PathHashPrefixes {
		all = append(all, "sha256 "+prefix+"…")
	}
	return all
}

// without is the elements of a that b lacks.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
