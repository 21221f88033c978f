package repo_test

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
)

// This file is how the collection is looked at after each step.

// books is the names of targets that anybody publishes, and one that nobody does.
var bookNames = []string{"a", "b", "ci/x", "ci/y", "ci/s/z", "rel/x", "none"}

// bookContents is all content there is.
var bookContents = []string{"", "1", "two"}

// read is what the published metadata says.
func (c *crowd) read(rt *rapid.T) (*model, map[string]note) {
	v := c.newest(rt)
	root := &v.Root().Signed
	m, notes := &model{Top: map[string]deciding{}, Books: map[string]book{}}, map[string]note{}
	for role, r := range root.Roles {
		m.Top[role] = deciding{slices.Sorted(slices.Values(r.KeyIDs)), int(r.Threshold)}
	}
	notes[tuf.RoleRoot] = note{version: root.Version}
	c.readRole(rt, v, tuf.RoleTargets, m, notes)
	for role, n := range notes {
		if role != tuf.RoleRoot && role != tuf.RoleTargets {
			parent := v.Targets[above(role)].Signed.Publisher.Initial[role]
			n.initial, n.waiting = parent, held(parent, n.signed) > 0
			notes[role] = n
		}
	}
	return m, notes
}

func (c *crowd) readRole(rt *rapid.T, v *repo.View, role string, m *model, notes map[string]note) {
	f, err := v.Role(c.t.Context(), role)
	if err != nil {
		rt.Fatalf("read %s: %v", role, err)
	}
	n := note{version: f.Signed.Version, expires: f.Signed.Expires}
	for _, s := range f.Signatures {
		n.signed = append(n.signed, s.KeyID)
	}
	notes[role] = n
	b := book{Targets: map[string]string{}}
	for name, file := range f.Signed.Targets {
		i := slices.IndexFunc(bookContents, func(text string) bool { return sum(text) == file.Hashes["sha256"] })
		b.Targets[name] = bookContents[i]
	}
	if f.Signed.Delegations != nil {
		for _, d := range f.Signed.Delegations.Roles {
			people := slices.DeleteFunc(slices.Sorted(slices.Values(d.KeyIDs)), func(id string) bool {
				return slices.Contains(f.Signed.Publisher.Initial[d.Name], id)
			})
			b.Grants = append(b.Grants, grant{d.Name, deciding{people, int(d.Threshold)}, slices.Sorted(slices.Values(d.Paths)), d.Terminating})
			c.readRole(rt, v, d.Name, m, notes)
		}
	}
	m.Books[role] = b
}

// newest is what somebody sees who was never there, expired or not.
func (c *crowd) newest(rt *rapid.T) *repo.View {
	l := &repo.Loader{Source: c.store, Collection: collection, Cache: c.newCache(), Now: c.now, IgnoreExpiry: true}
	v, err := l.Load(c.t.Context())
	if err != nil {
		rt.Fatal(err)
	}
	return v
}

// look finds out which of the models that are allowed after a step is the
// published one, and has every client confirm it.
func (c *crowd) look(rt *rapid.T, after string, allowed ...*model) {
	got, notes := c.read(rt)
	if !slices.ContainsFunc(allowed, func(m *model) bool { return cmp.Equal(m, got, cmpopts.EquateEmpty()) }) {
		var diffs []string
		for _, m := range allowed {
			diffs = append(diffs, cmp.Diff(m, got, cmpopts.EquateEmpty()))
		}
		rt.Fatalf("after %s: the collection is not (-) but (+)\n%s", after, strings.Join(diffs, "\nor\n"))
	}
	for role, n := range c.notes {
		if now, ok := notes[role]; ok && now.version < n.version {
			rt.Fatalf("after %s: %s went from version %d to %d", after, role, n.version, now.version)
		}
	}
	c.model, c.notes = got, notes
	c.pull(rt, after, c.clean(rt, after))
}

// clean wants a Checker to find nothing but roles that have expired, which it
// returns.
func (c *crowd) clean(rt *rapid.T, after string) (expired []string) {
	check := &repo.Checker{Source: c.store, Collection: collection, Trusted: c.root, Now: c.now, Deep: true}
	found, err := check.Check(c.t.Context())
	if err != nil {
		rt.Fatalf("after %s: check: %v", after, err)
	}
	for _, p := range found.Problems {
		if !strings.Contains(p.What, "it expired at") {
			rt.Errorf("after %s: check: %s: %s", after, p.File, p.What)
			continue
		}
		role, _, ok := repo.ParseSlot(path.Base(p.File))
		if !ok {
			role = tuf.RoleTimestamp
		}
		expired = append(expired, role)
	}
	return expired
}

// pull has stock clients look for every name: one that is new and has no clock,
// one that is new, and one that has been there before, perhaps long ago.
func (c *crowd) pull(rt *rapid.T, after string, expired []string) {
	c.agree(rt, after+", a client without a clock", &stockClient{root: c.root}, time.Time{}, bookNames)
	if slices.ContainsFunc(expired, func(role string) bool { return slices.Contains(tuf.TopLevel, role) }) {
		c.refuse(rt, after, bookNames[0])
		return
	}
	var good []string
	for _, name := range bookNames {
		if _, _, asked := c.model.find(name); slices.ContainsFunc(asked, func(role string) bool { return slices.Contains(expired, role) }) {
			c.refuse(rt, after, name)
		} else {
			good = append(good, name)
		}
	}
	if len(expired) > 0 {
		c.agree(rt, after+", a new client", &stockClient{root: c.root}, c.now, good)
	}
	if rapid.Bool().Draw(rt, "pulled by who was there before") {
		c.agree(rt, after+", a client that was there before", c.client, c.now, good)
	}
}

// agree wants a client to get what the model has.
func (c *crowd) agree(rt *rapid.T, who string, client *stockClient, now time.Time, names []string) {
	got, err := client.pull(c.t.Context(), c.store, now, names)
	if err != nil {
		rt.Fatalf("after %s: %v", who, err)
	}
	if diff := cmp.Diff(c.model.pulled(names), got.Targets); diff != "" {
		rt.Fatalf("after %s: it gets\n%s", who, diff)
	}
}

// refuse wants a client to refuse a name for which it asks an expired role.
func (c *crowd) refuse(rt *rapid.T, after, name string) {
	got, err := (&stockClient{root: c.root}).pull(c.t.Context(), c.store, c.now, []string{name})
	if err == nil || !strings.Contains(err.Error(), "expired") {
		rt.Fatalf("after %s: of %s, which expired metadata leads to, a client gets %v, %v", after, name, got, err)
	}
}

// union is all keys of some rings.
func union(rings ...forge.Ring) forge.Ring {
	all := forge.Ring{}
	for _, r := range rings {
		maps.Copy(all, r)
	}
	return all
}
