package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"publisher/repo/tuf"
)

// This file is how staged changes of delegations are applied. A delegation lies
// in the file of the role above it, its parent, and has consequences below: a
// role needs a first version together with its delegation, because no client
// passes over one that has none, and a role that was signed by a key that goes
// needs a version that the keys that stay have signed.

// Errors about a delegation that is not complete when it is to be published.
var (
	ErrNoPaths = errors.New("it has no paths yet")
	ErrNoKeys  = errors.New("it has no keys yet")
)

// parentOf is the role that delegates to role, as its name tells.
func parentOf(role string) string {
	if i := strings.LastIndexByte(role, '.'); i >= 0 {
		return role[:i]
	}
	return tuf.RoleTargets
}

// applyDelegation changes the file of the parent.
func (p *Plan) applyDelegation(ctx context.Context, c Change) error {
	if err := CheckDelegation(c.Role); err != nil {
		return err
	}
	parent, err := p.parent(ctx, c)
	if err != nil {
		return err
	}
	t, err := p.role(ctx, parent)
	if err != nil {
		return err
	}
	p.edits[c.Role], p.parents[c.Role] = c, parent
	i := slices.IndexFunc(t.Delegations.Roles, func(d tuf.DelegatedRole) bool { return d.Name == c.Role })
	switch {
	case c.Action == Remove && i < 0:
		p.Skipped = append(p.Skipped, c)
		return nil
	case c.Action == Remove:
		t.Delegations.Roles = slices.Delete(t.Delegations.Roles, i, i+1)
		delete(t.Publisher.Initial, c.Role)
		return nil
	case c.Delegation == nil:
		return errors.New("it does not say what to change")
	case c.Action == Add && i < 0:
		t.Delegations.Roles = append(t.Delegations.Roles, tuf.DelegatedRole{Name: c.Role, Threshold: 1})
		i = len(t.Delegations.Roles) - 1
	case c.Action == Update && i < 0:
		return fmt.Errorf("%w: %s", ErrNoRole, RoleToNotary(c.Role))
	case c.Action != Add && c.Action != Update:
		return fmt.Errorf("unknown action %q", c.Action)
	}
	return p.edit(c, &t.Delegations.Roles[i], t.Delegations.Keys)
}

// parent is the role whose file has the delegation that changes, or gets it. That
// of another role than the name says is not added to: whoever adds means another
// one, and the role would have two. The error is a *NameError then.
func (p *Plan) parent(ctx context.Context, c Change) (string, error) {
	_, parent, err := p.delegator(ctx, c.Role)
	switch {
	case errors.Is(err, ErrNoRole):
		return parentOf(c.Role), nil
	case err != nil:
		return "", err
	case c.Action != Add:
		return parent, nil
	}
	return parent, checkNamed(parent, c.Role)
}

// A NameError reports a delegation from another role than the name of its role
// says. Whoever may delegate something could take any name by it, and its owner
// could not have it then: no role is delegated to twice.
type NameError struct {
	Role   string
	Parent string // the role that delegates to it, or would
}

func (e *NameError) Error() string {
	return RoleToNotary(e.Parent) + nameText + RoleToNotary(parentOf(e.Role)) + " may"
}

const nameText = " delegates to it, and by its name only "

func checkNamed(parent, role string) error {
	if parent == parentOf(role) {
		return nil
	}
	return &NameError{Role: role, Parent: parent}
}

// edit applies a change to a delegation; keys is the table of its parent.
func (p *Plan) edit(c Change, d *tuf.DelegatedRole, keys map[string]tuf.Key) error {
	change := c.Delegation
	if err := p.checkNewKeys(change.Keys); err != nil {
		return err
	}
	for _, pattern := range change.Paths {
		if err := CheckPattern(pattern); err != nil {
			return err
		}
	}
	if change.Threshold < 0 {
		return fmt.Errorf("threshold %d", change.Threshold)
	}
	for _, key := range change.Keys {
		keys[key.ID()] = key
	}
	d.KeyIDs = change.keyIDs(d.KeyIDs)
	d.Paths = change.paths(d.Paths, c.Action)
	if change.Threshold > 0 {
		d.Threshold = change.Threshold
	}
	if change.Terminating != nil {
		d.Terminating = *change.Terminating
	}
	return nil
}

// keyIDs is what the keys of a delegation become.
func (c *DelegationChange) keyIDs(ids []string) []string {
	var added []string
	for _, key := range c.Keys {
		added = append(added, key.ID())
	}
	return without(withAlso(ids, added), c.RemoveKeys)
}

// paths is what the paths of a delegation become.
func (c *DelegationChange) paths(paths []string, action Action) []string {
	switch {
	case c.AllPaths && action == Add:
		return AllPaths()
	case c.AllPaths:
		return nil
	}
	return without(withAlso(paths, c.Paths), c.RemovePaths)
}

// checkNewKeys refuses keys that must not serve a delegation.
func (p *Plan) checkNewKeys(added []tuf.Key) error {
	table := map[string]tuf.Key{}
	for _, key := range added {
		id := key.ID()
		if _, twice := table[id]; twice {
			return fmt.Errorf("key %s is given twice", tuf.ShortID(id))
		}
		table[id] = key
		if err := checkOffline(&p.base.Root().Signed, id); err != nil {
			return err
		}
	}
	return checkKeys(table)
}

// checkOffline refuses a key that an online role has: what people decide must
// not be signed by a key that a schedule uses.
func checkOffline(root *tuf.Root, id string) error {
	for _, online := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		if slices.Contains(root.Roles[online].KeyIDs, id) {
			return fmt.Errorf("key %s serves %s", tuf.ShortID(id), online)
		}
	}
	return nil
}

// settle works out what changed delegations mean for the roles below them: which
// get a first version, and which must be signed again by the keys that stay.
func (p *Plan) settle(ctx context.Context) error {
	if len(p.edits) == 0 {
		return nil
	}
	return p.visitTree(ctx, func(n plannedRole) (bool, error) {
		if _, edited := p.edits[n.name]; !edited {
			return false, nil
		}
		return false, p.settleRole(ctx, n)
	})
}

func (p *Plan) settleRole(ctx context.Context, n plannedRole) error {
	current, err := p.base.current(ctx, n.name)
	if err != nil {
		return err
	}
	if current == nil {
		_, err := p.role(ctx, n.name)
		return err
	}
	d, table := n.delegation(), p.content[n.parent].Delegations.Keys
	who := tuf.Role{KeyIDs: d.KeyIDs, Threshold: d.Threshold}
	if checkRole(d.KeyIDs, d.Threshold, table) != nil || current.Verify(n.name, who, table) == nil {
		return nil
	}
	if len(p.content[n.parent].Publisher.Initial[n.name]) > 0 {
		return p.renew(ctx, n.name) // its people have not signed it yet
	}
	p.resigned[n.name] = true
	_, err = p.role(ctx, n.name)
	return err
}

// checkTree refuses what commit would refuse, naming the change that is to blame.
func (p *Plan) checkTree(ctx context.Context) error {
	if len(p.edits) == 0 {
		return nil
	}
	reached := map[string]bool{}
	err := p.visitTree(ctx, func(n plannedRole) (bool, error) {
		reached[n.name] = true
		return false, p.checkPlanned(n)
	})
	if err != nil {
		return err
	}
	if err := p.checkGone(reached); err != nil {
		return err
	}
	return p.checkVisits(ctx)
}

// checkGone refuses changes of roles that another change takes away. What was
// only to be taken from such a role goes with it.
func (p *Plan) checkGone(reached map[string]bool) error {
	for role, c := range p.used {
		if !reached[role] {
			return gone(c, role)
		}
	}
	for role, c := range p.edits {
		if parent := p.parents[role]; !reached[parent] && c.Action != Remove {
			return gone(c, parent)
		}
	}
	maps.DeleteFunc(p.content, func(role string, _ *tuf.Targets) bool { return !reached[role] })
	return nil
}

func gone(c Change, role string) error {
	return &ChangeError{Change: c, Err: fmt.Errorf("the delegation to %s is removed by another staged change", RoleToNotary(role))}
}

func (p *Plan) checkPlanned(n plannedRole) error {
	if !p.editedAbove(n) {
		return nil
	}
	if len(n.chain) > maxDepth {
		return p.blame(n, fmt.Errorf("it lies more than %d delegations deep", maxDepth))
	}
	if d := n.delegation(); p.edited(d) {
		if err := checkPlannedDelegation(d, p.content[n.parent]); err != nil {
			return p.blame(n, err)
		}
	}
	if n.file == nil {
		return nil // other software has delegated to it, and published nothing
	}
	for _, name := range slices.Sorted(maps.Keys(n.file.Targets)) {
		if d := outside(n.chain, name); d != nil {
			return p.blame(n, &OutsideError{Role: n.name, Target: name, Paths: d.Paths, Of: d.Name})
		}
	}
	return nil
}

// editedAbove reports whether a delegation of the chain to a role changes.
func (p *Plan) editedAbove(n plannedRole) bool { return slices.ContainsFunc(n.chain, p.edited) }

func (p *Plan) edited(d *tuf.DelegatedRole) bool {
	_, edited := p.edits[d.Name]
	return edited
}

// checkPlannedDelegation checks a delegation when it is to be published.
func checkPlannedDelegation(d *tuf.DelegatedRole, above *tuf.Targets) error {
	people := without(d.KeyIDs, above.Publisher.Initial[d.Name])
	switch {
	case len(people) == 0:
		return ErrNoKeys
	case len(d.Paths) == 0 && len(d.PathHashPrefixes) == 0:
		return ErrNoPaths
	}
	return checkRole(people, d.Threshold, above.Delegations.Keys)
}

// An OutsideError reports a target that a role lists, or would list, outside the
// paths that are delegated to it. One client refuses the whole repository then.
type OutsideError struct {
	Role   string
	Target string
	Of     string   // the role, it or one above it, whose paths do not cover the target
	Paths  []string // those of Of
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("target %s of %s lies outside the paths of %s: %s", e.Target, RoleToNotary(e.Role), RoleToNotary(e.Of), strings.Join(FoldPaths(e.Paths), ", "))
}

// outside returns the first delegation of a chain that does not cover a target.
func outside(chain []*tuf.DelegatedRole, name string) *tuf.DelegatedRole {
	for _, d := range slices.Backward(chain) {
		if !Delegates(d, name) {
			return d
		}
	}
	return nil
}

// blame names the staged change of a role, or of one above it, as the reason.
func (p *Plan) blame(n plannedRole, err error) error {
	for _, d := range slices.Backward(n.chain) {
		if c, ok := p.edits[d.Name]; ok {
			return &ChangeError{Change: c, Err: err}
		}
	}
	return fmt.Errorf("%s: %w", RoleToNotary(n.name), err)
}
