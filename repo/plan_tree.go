package repo

import (
	"context"
	"fmt"
	"slices"

	"publisher/repo/tuf"
)

// This file is the tree of delegations as it will be: what a plan has changed
// goes before what is published.

// A plannedRole is a role in the tree of delegations as it will be.
type plannedRole struct {
	name   string
	parent string
	file   *tuf.Targets         // nil if it has none yet
	chain  []*tuf.DelegatedRole // the delegations from targets to here
}

// delegation is that of the parent to the role, nil for targets.
func (n plannedRole) delegation() *tuf.DelegatedRole {
	if len(n.chain) == 0 {
		return nil
	}
	return n.chain[len(n.chain)-1]
}

// visitTree calls f for every role of the finished tree, parents first, in the
// order in which clients ask them, until it says stop.
func (p *Plan) visitTree(ctx context.Context, f func(plannedRole) (stop bool, err error)) error {
	seen := map[string]bool{}
	var visit func(n plannedRole) (bool, error)
	visit = func(n plannedRole) (bool, error) {
		if seen[n.name] {
			return false, nil
		}
		seen[n.name] = true
		var err error
		if n.file, err = p.file(ctx, n.name); err != nil {
			return true, err
		}
		if stop, err := f(n); stop || err != nil || n.file == nil {
			return stop, err
		}
		for d := range delegationsOf(n.file) {
			stop, err := visit(plannedRole{name: d.Name, parent: n.name, chain: append(slices.Clip(n.chain), d)})
			if stop || err != nil {
				return stop, err
			}
		}
		return false, nil
	}
	_, err := visit(plannedRole{name: tuf.RoleTargets})
	return err
}

// file is the content of a role as it will be, nil if it has none.
func (p *Plan) file(ctx context.Context, role string) (*tuf.Targets, error) {
	if t := p.content[role]; t != nil {
		return t, nil
	}
	f, err := p.base.current(ctx, role)
	if f == nil {
		return nil, err
	}
	return &f.Signed, err
}

// find returns a role of the finished tree; the error wraps ErrNoRole if nothing
// delegates to it.
func (p *Plan) find(ctx context.Context, role string) (found plannedRole, err error) {
	err = p.visitTree(ctx, func(n plannedRole) (bool, error) {
		if n.name == role {
			found = n
		}
		return n.name == role, nil
	})
	if err == nil && found.name == "" {
		err = fmt.Errorf("%w: %s", ErrNoRole, RoleToNotary(role))
	}
	return found, err
}

// delegator finds who will delegate to a role.
func (p *Plan) delegator(ctx context.Context, role string) (*tuf.DelegatedRole, string, error) {
	n, err := p.find(ctx, role)
	if err != nil {
		return nil, "", err
	}
	return n.delegation(), n.parent, nil
}

// signers is who may sign a role.
func (p *Plan) signers(ctx context.Context, role string) (tuf.Role, map[string]tuf.Key, error) {
	if role == tuf.RoleTargets {
		root := &p.base.Root().Signed
		return root.Roles[role], root.Keys, nil
	}
	d, parent, err := p.delegator(ctx, role)
	if err != nil {
		return tuf.Role{}, nil, err
	}
	above, err := p.file(ctx, parent)
	if err != nil {
		return tuf.Role{}, nil, err
	}
	return tuf.Role{KeyIDs: d.KeyIDs, Threshold: d.Threshold}, above.Delegations.Keys, nil
}

// people is signers without the keys that nobody holds.
func (p *Plan) people(ctx context.Context, role string) (tuf.Role, error) {
	who, _, err := p.signers(ctx, role)
	if err != nil || role == tuf.RoleTargets {
		return who, err
	}
	d, parent, err := p.delegator(ctx, role)
	if err != nil {
		return who, err
	}
	above, err := p.file(ctx, parent)
	if err != nil {
		return who, err
	}
	who.KeyIDs = peopleOf(above, d)
	return who, nil
}
