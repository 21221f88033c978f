package repo_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
)

// This file is what a collection is by the words of its documentation. It shares
// no code with the package under test, so that the two can disagree.

// A deciding is who may sign: threshold of keys.
type deciding struct {
	Keys      []string // IDs, sorted
	Threshold int
}

// A grant is a delegation, as people know it.
type grant struct {
	Role        string
	By          deciding
	Paths       []string
	Terminating bool
}

// A book is a role's content.
type book struct {
	Targets map[string]string // content by name
	Grants  []grant           // in order of priority
}

// A model is what a collection says: who may sign what, and what is in it.
type model struct {
	Top   map[string]deciding // by top-level role
	Books map[string]book     // by role: targets, and what it leads to
}

// A note is what is known of one published role beside what it says.
type note struct {
	version int64
	expires time.Time
	signed  []string // IDs of the keys that signed it
	waiting bool     // its people have published nothing yet
	initial []string // the IDs of the keys that began it, as long as they are listed
}

func (m *model) clone() *model {
	c := &model{Top: maps.Clone(m.Top), Books: map[string]book{}}
	for role, b := range m.Books {
		c.Books[role] = book{maps.Clone(b.Targets), slices.Clone(b.Grants)}
	}
	return c
}

// above is the role whose people decide about a delegation: its name tells.
func above(role string) string {
	if i := strings.LastIndex(role, "."); i >= 0 {
		return role[:i]
	}
	return tuf.RoleTargets
}

// chain is the delegations that lead to a role; ok is false if none do.
func (m *model) chain(role string) (chain []grant, ok bool) {
	if role == tuf.RoleTargets {
		return nil, true
	}
	chain, ok = m.chain(above(role))
	i := m.grant(role)
	if !ok || i < 0 {
		return nil, false
	}
	return append(chain, m.Books[above(role)].Grants[i]), true
}

// grant is the place of a delegation among those of its parent, -1 if there is
// none.
func (m *model) grant(role string) int {
	return slices.IndexFunc(m.Books[above(role)].Grants, func(g grant) bool { return g.Role == role })
}

// deciding is who may sign a role.
func (m *model) deciding(role string) deciding {
	if by, ok := m.Top[role]; ok {
		return by
	}
	return m.Books[above(role)].Grants[m.grant(role)].By
}

func (g grant) covers(name string) bool {
	return slices.ContainsFunc(g.Paths, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}

func outside(chain []grant, name string) bool {
	return slices.ContainsFunc(chain, func(g grant) bool { return !g.covers(name) })
}

// uncovered reports whether a target cannot even be staged: the paths of a new
// delegation may come with a later change.
func uncovered(chain []grant, name string) bool {
	for _, g := range slices.Backward(chain) {
		if !g.covers(name) {
			return len(g.Paths) > 0
		}
	}
	return false
}

// prune forgets roles that nothing leads to.
func (m *model) prune() {
	maps.DeleteFunc(m.Books, func(role string, _ book) bool {
		_, ok := m.chain(role)
		return !ok
	})
}

// find is what a client gets for a name, and which roles it asks on its way; TUF
// specification, section 5.6.7.
func (m *model) find(name string) (content string, found bool, asked []string) {
	var ask func(role string) (done bool)
	ask = func(role string) bool {
		asked = append(asked, role)
		if content, found = m.Books[role].Targets[name]; found {
			return true
		}
		for _, g := range m.Books[role].Grants {
			if g.covers(name) && (ask(g.Role) || g.Terminating) {
				return true
			}
		}
		return false
	}
	ask(tuf.RoleTargets)
	return content, found, asked
}

// pulled is what a client gets of some names.
func (m *model) pulled(names []string) map[string]string {
	got := map[string]string{}
	for _, name := range names {
		if content, ok, _ := m.find(name); ok {
			got[name] = content
		}
	}
	return got
}

// A verdict is what is to come of a publish.
type verdict struct {
	Kind    string   // how it ends
	after   *model   // what the collection then says, or would, if all had signed
	changed []string // the roles that would have a new version
	started []string // those of them that keys sign which are made for it
}

// publish works out what publishing changes by somebody with some keys does to
// a collection of which notes are known.
func (m *model) publish(changes []repo.Change, ring forge.Ring, notes map[string]note) verdict {
	after := m.clone()
	edited, used := map[string]repo.Action{}, map[string]bool{}
	for _, c := range changes {
		if !after.apply(c) {
			return verdict{Kind: "change"}
		}
		if c.Type == repo.TypeDelegation {
			edited[c.Role] = c.Action
		} else {
			used[c.Role] = true
		}
	}
	if !after.sound(edited, used) {
		return verdict{Kind: "change"}
	}
	after.prune()
	v := verdict{after: after, changed: m.changed(after, changes, edited, notes)}
	v.judge(ring, notes)
	return v
}

// apply reports whether a change can be applied.
func (m *model) apply(c repo.Change) bool {
	switch c.Type {
	case repo.TypeDelegation:
		return m.applyGrant(c)
	case repo.TypeWitness:
		_, ok := m.chain(c.Role)
		return ok
	}
	chain, ok := m.chain(c.Role)
	if !ok || c.Action == repo.Add && uncovered(chain, c.Name) {
		return false
	}
	if delete(m.Books[c.Role].Targets, c.Name); c.Action == repo.Add {
		m.Books[c.Role].Targets[c.Name] = strings.TrimPrefix(c.Source, "content:")
	}
	return true
}

func (m *model) applyGrant(c repo.Change) bool {
	parent := above(c.Role)
	if _, ok := m.chain(parent); !ok {
		return false
	}
	b, i := m.Books[parent], m.grant(c.Role)
	switch {
	case c.Action == repo.Remove && i < 0:
		return true
	case c.Action == repo.Remove:
		b.Grants = slices.Delete(b.Grants, i, i+1)
	case c.Action == repo.Update && i < 0:
		return false
	case i < 0:
		b.Grants = append(b.Grants, grant{Role: c.Role, By: deciding{Threshold: 1}}.with(c.Delegation))
		if _, there := m.Books[c.Role]; !there {
			m.Books[c.Role] = book{Targets: map[string]string{}}
		}
	default:
		b.Grants[i] = b.Grants[i].with(c.Delegation)
	}
	m.Books[parent] = b
	return true
}

// with is a delegation after a change.
func (g grant) with(d *repo.DelegationChange) grant {
	keys := slices.Clone(g.By.Keys)
	for _, key := range d.Keys {
		keys = append(keys, key.ID())
	}
	keys = slices.DeleteFunc(keys, func(id string) bool { return slices.Contains(d.RemoveKeys, id) })
	slices.Sort(keys)
	g.By.Keys = slices.Compact(keys)
	paths := append(slices.Clone(g.Paths), d.Paths...)
	slices.Sort(paths)
	g.Paths = slices.DeleteFunc(slices.Compact(paths), func(p string) bool { return slices.Contains(d.RemovePaths, p) })
	if d.Threshold > 0 {
		g.By.Threshold = int(d.Threshold)
	}
	if d.Terminating != nil {
		g.Terminating = *d.Terminating
	}
	return g
}

// sound reports whether the finished set can be published: delegations that have
// changed are complete, what lies below them is covered, and nothing else was to
// be done to a role that goes.
func (m *model) sound(edited map[string]repo.Action, used map[string]bool) bool {
	for role := range m.Books {
		chain, ok := m.chain(role)
		if !ok && (used[role] || editedBelow(role, edited)) {
			return false
		}
		if !slices.ContainsFunc(chain, func(g grant) bool { return edited[g.Role] != "" }) {
			continue
		}
		last := chain[len(chain)-1]
		if edited[role] != "" && (len(last.By.Keys) < last.By.Threshold || len(last.By.Keys) == 0 || len(last.Paths) == 0) {
			return false
		}
		for name := range m.Books[role].Targets {
			if outside(chain, name) {
				return false
			}
		}
	}
	return true
}

// editedBelow: what was to be delegated by a role that goes is in vain.
func editedBelow(role string, edited map[string]repo.Action) bool {
	for child, action := range edited {
		if above(child) == role && action != repo.Remove {
			return true
		}
	}
	return false
}

// changed is the roles that get a new version.
func (m *model) changed(after *model, changes []repo.Change, edited map[string]repo.Action, notes map[string]note) []string {
	var roles []string
	for role, b := range after.Books {
		old, was := m.Books[role]
		renewed := slices.ContainsFunc(changes, func(c repo.Change) bool { return c.Type == repo.TypeWitness && c.Role == role })
		if !was || renewed || !same(old, b) || edited[role] != "" && !notes[role].satisfies(after.deciding(role)) {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	return roles
}

func same(a, b book) bool {
	return maps.Equal(a.Targets, b.Targets) && slices.EqualFunc(a.Grants, b.Grants, func(a, b grant) bool {
		return fmt.Sprint(a) == fmt.Sprint(b)
	})
}

// satisfies reports whether the published version is signed as these demand.
func (n note) satisfies(by deciding) bool {
	return held(n.signed, by.Keys)+held(n.signed, n.initial) >= by.Threshold
}

// held is how many of the keys somebody has.
func held(mine, keys []string) (n int) {
	for _, id := range keys {
		if slices.Contains(mine, id) {
			n++
		}
	}
	return n
}

// judge works out who can sign, and how it ends.
func (v *verdict) judge(ring forge.Ring, notes map[string]note) {
	mine := slices.Collect(maps.Keys(ring))
	v.delegators(mine, notes)
	missing, signed := false, false
	for _, role := range v.changed {
		by := v.after.deciding(role)
		switch n := held(mine, by.Keys); {
		case n >= by.Threshold:
			signed = true
		case v.startable(role, notes):
			v.started = append(v.started, role)
		default:
			missing, signed = true, signed || n > 0
		}
	}
	switch {
	case !missing:
		v.Kind = "done"
	case signed:
		v.Kind = "draft"
	default:
		v.Kind = "threshold"
	}
}

// delegators adds the roles above those that wait for their people, and that none
// of them signs now: these must be started again.
func (v *verdict) delegators(mine []string, notes map[string]note) {
	for _, role := range slices.Clone(v.changed) {
		if held(mine, v.after.deciding(role).Keys) == 0 && v.vain(role, notes) && !slices.Contains(v.changed, above(role)) {
			v.changed = append(v.changed, above(role))
		}
	}
	slices.Sort(v.changed)
}

// startable reports whether a role may begin empty, signed by nobody's keys.
func (v *verdict) startable(role string, notes map[string]note) bool {
	return v.vain(role, notes) && slices.Contains(v.changed, above(role))
}

// vain reports whether a role vouches for nothing, and its people have not
// published it yet.
func (v *verdict) vain(role string, notes map[string]note) bool {
	b := v.after.Books[role]
	if role == tuf.RoleTargets || len(b.Targets)+len(b.Grants) > 0 {
		return false
	}
	n, was := notes[role]
	return !was || n.waiting
}
