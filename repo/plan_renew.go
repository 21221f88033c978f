package repo

import (
	"context"
	"slices"

	"publisher/repo/tuf"
)

// This file is roles that are signed again as they are, because their life ends.

// renewDue plans to sign again, as it is, every role in the last third of its
// life. Nobody but its own people can, and what is signed too late is refused by
// every client. Roles whose keys are elsewhere are left to those who have them.
func (p *Plan) renewDue(ctx context.Context) error {
	p.optional = true
	for role, err := range p.base.walk(ctx) {
		if err != nil {
			return err
		}
		expires := p.base.Targets[role].Head().Expires
		if p.base.loader.Now.Before(LastThird(&p.base.Root().Signed, role, expires)) {
			continue
		}
		if err := p.renew(ctx, role); err != nil {
			return err
		}
		if err := p.renewInitial(ctx, role); err != nil {
			return err
		}
	}
	return nil
}

// leave takes a role out of the plan that cannot be renewed here, as s found out
// last, and what counts on its delegations having changed.
func (p *Plan) leave(role string, s *signing, sub *Submission) {
	last := len(s.missing) - 1
	p.Left, s.missing = append(p.Left, s.missing[last]), s.missing[:last]
	gone := []string{role}
	for child := range p.content[role].Publisher.Initial {
		if p.started[child] {
			gone = append(gone, child)
		}
	}
	for _, role := range gone {
		delete(sub.Files, role)
	}
	p.drop(gone...)
}

// drop takes roles out of the plan.
func (p *Plan) drop(roles ...string) {
	for _, role := range roles {
		delete(p.content, role)
	}
	p.order = without(p.order, roles)
	p.Roles = slices.DeleteFunc(slices.Clone(p.Roles), func(r RolePlan) bool { return slices.Contains(roles, r.Role) })
}

// renewForStart plans for a role that is to be signed again while it waits for
// its people: who does not have their keys can start it again, which its
// delegator must tell. Whether it comes to that shows when the role is signed.
func (p *Plan) renewForStart(ctx context.Context, role string) error {
	if role == tuf.RoleTargets {
		return nil
	}
	_, parent, err := p.delegator(ctx, role)
	if err != nil {
		return err
	}
	above, err := p.base.current(ctx, parent)
	if err != nil || above == nil || len(above.Signed.Publisher.Initial[role]) == 0 {
		return err
	}
	if !p.renewed[parent] {
		p.spare[parent] = true
	}
	return p.renew(ctx, parent)
}

// needless reports whether a role need not be signed: it is in the plan in case
// that one below it had to be started, and none was.
func (p *Plan) needless(role string) bool {
	if !p.unchanged(role) {
		return false
	}
	for child := range p.content[role].Publisher.Initial {
		if p.started[child] {
			return false
		}
	}
	return true
}

// unchanged reports whether a role is in the plan only in case that one below it
// must be started.
func (p *Plan) unchanged(role string) bool {
	i := slices.IndexFunc(p.Roles, func(r RolePlan) bool { return r.Role == role })
	if !p.spare[role] || i < 0 {
		return false
	}
	r := p.Roles[i]
	r.Renewed = false
	return r.empty()
}

// renewInitial plans for a role that its people have not published yet: nobody
// has its keys, and its delegator must start it again.
func (p *Plan) renewInitial(ctx context.Context, role string) error {
	if role == tuf.RoleTargets {
		return nil
	}
	_, parent, err := p.delegator(ctx, role)
	if err != nil || len(p.base.Targets[parent].Signed.Publisher.Initial[role]) == 0 {
		return err
	}
	return p.renew(ctx, parent)
}

// renew plans to sign a role again, whatever else changes in it.
func (p *Plan) renew(ctx context.Context, role string) error {
	_, err := p.role(ctx, role)
	p.renewed[role] = true
	return err
}
