package repo

import (
	"context"

	"publisher/repo/tuf"
)

// This file is what a role's content has beside its targets: the keys of its
// delegations, and which of them anybody holds.

// findDelegation finds a delegation of a role's content by name.
func findDelegation(t *tuf.Targets, role string) *tuf.DelegatedRole {
	for d := range delegationsOf(t) {
		if d.Name == role {
			return d
		}
	}
	return nil
}

// peopleOf is the keys of a delegation that somebody holds.
func peopleOf(above *tuf.Targets, d *tuf.DelegatedRole) []string {
	return without(d.KeyIDs, above.Publisher.Initial[d.Name])
}

// finish brings changed content into the form in which it is published: without
// keys that no delegation has any more, and without empty fields.
func finish(t *tuf.Targets) {
	used := map[string]bool{}
	for d := range delegationsOf(t) {
		for _, id := range d.KeyIDs {
			used[id] = true
		}
	}
	d := t.Delegations
	for id := range d.Keys {
		if !used[id] {
			delete(d.Keys, id)
		}
	}
	if len(t.Publisher.Initial) == 0 {
		t.Publisher.Initial = nil
	}
	if len(d.Roles) == 0 && d.SuccinctRoles == nil && len(d.Unknown) == 0 {
		t.Delegations = nil
	}
}

// retire takes the keys that signed a role's initial version away where its
// people have published another.
func (p *Plan) retire(ctx context.Context, t *tuf.Targets) error {
	for role, ids := range t.Publisher.Initial {
		current, err := p.base.current(ctx, role)
		if err != nil {
			return err
		}
		d := findDelegation(t, role)
		if d != nil && current != nil && len(current.SignedBy(ids, t.Delegations.Keys, false)) == 0 {
			forgetInitial(t, d)
		}
	}
	return nil
}

// delegatedToPeople is the delegations of a role with those keys alone that
// somebody holds.
func delegatedToPeople(t *tuf.Targets) []tuf.DelegatedRole {
	all := delegatedTo(t)
	for i := range all {
		all[i].KeyIDs = peopleOf(t, &all[i])
	}
	return all
}
