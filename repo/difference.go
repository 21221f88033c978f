package repo

import (
	"maps"
	"slices"

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

	// Reordered says that delegations have another order of priority.
	Reordered bool `json:"reordered,omitempty"`

	// Lifetimes, of a root, is the new ones, in seconds; 0 for a role that has
	// none of its own any more.
	Lifetimes map[string]int64 `json:"lifetimes,omitempty"`
}

// A TrustChange is how the trust in one role changed.
type TrustChange struct {
	Role         string   `json:"role"`
	New          bool     `json:"new,omitzero"`
	Gone         bool     `json:"gone,omitzero"`
	KeysAdded    []string `json:"keys_added,omitempty"`
	KeysRemoved  []string `json:"keys_removed,omitempty"`
	Initial      []string `json:"initial,omitempty"`  // of the keys added, those said to sign a first, empty version and to be thrown away
	Threshold    int64    `json:"threshold,omitzero"` // 0 if it stays
	PathsAdded   []string `json:"paths_added,omitempty"`
	PathsRemoved []string `json:"paths_removed,omitempty"`
	Terminating  *bool    `json:"terminating,omitempty"` // nil if it stays
}

// stays reports that nothing changed.
func (c TrustChange) stays() bool {
	return !c.New && !c.Gone && c.Threshold == 0 && c.Terminating == nil &&
		len(c.KeysAdded)+len(c.KeysRemoved)+len(c.PathsAdded)+len(c.PathsRemoved) == 0
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
		Roles:     compareTrust(old, now),
		Reordered: !slices.Equal(common(old, now), common(now, old)),
	}
	for i := range d.Roles {
		added := d.Roles[i].KeysAdded
		d.Roles[i].Initial = without(added, without(added, after.Publisher.Initial[d.Roles[i].Role]))
	}
	return d
}

// compareRoots is what after changed; before is nil for a first version.
func compareRoots(before, after *tuf.Root) Difference {
	if before == nil {
		before = &tuf.Root{}
	}
	d := Difference{Roles: compareTrust(trustedBy(before), trustedBy(after)), Lifetimes: map[string]int64{}}
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

func byName(roles []tuf.DelegatedRole) map[string]tuf.DelegatedRole {
	m := make(map[string]tuf.DelegatedRole, len(roles))
	for _, d := range roles {
		m[d.Name] = d
	}
	return m
}

// compareTrust is what changed between two lists of trusted roles, by name.
func compareTrust(before, after []tuf.DelegatedRole) []TrustChange {
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
