package repo

import (
	"context"
	"crypto/ed25519"
	"maps"
	"slices"

	"publisher/repo/tuf"
)

// This file is how a delegation begins. No client passes over a delegation whose
// role has no file, so there must be one before its people have done anything.
// Who delegates seldom has their keys. So the first version, which is empty and
// vouches for nothing, is signed by keys that are made for this one signature,
// listed beside those of the people, and forgotten: nobody can sign with them
// again, and commit takes them for an empty role alone. They leave the delegation with the next version of its file after the
// role's people have published.

// start signs the first version of a role whose keys are elsewhere. It returns
// nil for a role that is not empty, or that its people have signed before: only
// they can. One that some of its people have signed now waits for the others,
// unless the role above it changes anyway.
func (p *Publisher) start(ctx context.Context, plan *Plan, role string, after int64, signed bool) (*tuf.File[tuf.Targets], error) {
	if ok, err := plan.startable(ctx, role); !ok {
		return nil, err
	}
	d, parent, err := plan.delegator(ctx, role)
	if err != nil || signed && plan.unchanged(parent) {
		return nil, err
	}
	above := plan.content[parent]
	forgetInitial(above, d)
	f, err := p.next(ctx, plan, role, after)
	if err != nil {
		return nil, err
	}
	for range d.Threshold {
		if err := startWith(f, above, d); err != nil {
			return nil, err
		}
	}
	plan.started[role] = true
	return f, nil
}

// startWith signs with a new key, and lists it in the delegation.
func startWith(f *tuf.File[tuf.Targets], above *tuf.Targets, d *tuf.DelegatedRole) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	key, err := tuf.NewKey(public)
	if err != nil {
		return err
	}
	listInitial(above, d, key)
	return f.AddSignature(key.ID(), ed25519.Sign(private, f.Payload()))
}

func listInitial(above *tuf.Targets, d *tuf.DelegatedRole, key tuf.Key) {
	id := key.ID()
	above.Delegations.Keys[id] = key
	d.KeyIDs = append(slices.Clone(d.KeyIDs), id)
	if above.Publisher.Initial == nil {
		above.Publisher.Initial = map[string][]string{}
	}
	above.Publisher.Initial[d.Name] = append(slices.Clone(above.Publisher.Initial[d.Name]), id)
}

func forgetInitial(t *tuf.Targets, d *tuf.DelegatedRole) {
	for _, id := range t.Publisher.Initial[d.Name] {
		delete(t.Delegations.Keys, id)
	}
	d.KeyIDs = peopleOf(t, d)
	delete(t.Publisher.Initial, d.Name)
}

// like is the plan with the roles that it starts signed by the keys that a draft
// has started them with: they cannot be made again, and what people have signed
// names them.
func (p *Plan) like(d *Draft) *Plan {
	c := *p
	c.content, c.started = map[string]*tuf.Targets{}, maps.Clone(p.started)
	for role, t := range p.content {
		c.content[role] = own(t)
		finish(c.content[role])
	}
	for role := range p.spare {
		if d.Files[role] == nil && p.unchanged(role) {
			c.drop(role)
		}
	}
	for role, t := range c.content {
		f, err := tuf.Parse[tuf.Targets](d.Files[role], maxMetadata)
		if err != nil || f.Signed.Delegations == nil {
			continue
		}
		for child, ids := range f.Signed.Publisher.Initial {
			c.adopt(t, child, ids, f.Signed.Delegations.Keys)
		}
	}
	return &c
}

// adopt lists the initial keys of a draft for a role that this plan is to start.
func (p *Plan) adopt(above *tuf.Targets, role string, ids []string, keys map[string]tuf.Key) {
	if p.content[role] == nil || above.Delegations == nil {
		return
	}
	d := findDelegation(above, role)
	if d == nil || slices.Equal(ids, above.Publisher.Initial[role]) {
		return // or the keys of the version that is published
	}
	forgetInitial(above, d)
	for _, id := range ids {
		if key, ok := keys[id]; ok {
			listInitial(above, d, key)
		}
	}
	p.started[role] = true
}

// startable reports whether a role's next version is empty and its people have
// published nothing yet, so that it vouches for nothing.
func (p *Plan) startable(ctx context.Context, role string) (bool, error) {
	if role == tuf.RoleTargets || !isEmpty(p.content[role]) {
		return false, nil
	}
	n, err := p.find(ctx, role)
	if err != nil || p.content[n.parent] == nil {
		return false, err
	}
	current, err := p.base.current(ctx, role)
	if current == nil || err != nil {
		return err == nil, err
	}
	ids := p.content[n.parent].Publisher.Initial[role]
	return len(ids) > 0 && isEmpty(&current.Signed), nil
}

// isEmpty reports whether a role vouches for nothing.
func isEmpty(t *tuf.Targets) bool { return len(t.Targets) == 0 && t.Delegations == nil }
