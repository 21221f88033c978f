package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"publisher/repo/tuf"
)

// A Plan is what publishing a changelist would do to one version of a
// collection.
type Plan struct {
	First   bool       // nothing is published yet: root and targets come too
	Roles   []RolePlan // those that change
	Skipped []Change   // removals of what is not there (any more)

	base    *View
	content map[string]*tuf.Targets // of Roles
	uploads []Change                // whose bytes the store may lack
}

// RolePlan is what happens to one role.
type RolePlan struct {
	Role    string   `json:"role"`
	From    int64    `json:"from"` // the published version, 0 if there is none
	Added   []string `json:"added,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Renewed bool     `json:"renewed,omitempty"` // signed again as it is
}

// Empty reports that there is nothing to publish.
func (p *Plan) Empty() bool { return len(p.Roles) == 0 }

// Plan works out what publishing changes on top of v would do. Without any, that
// is to sign targets again when less than a third of its life is left. The error
// is a *ChangeError naming the first change that cannot be applied.
func (v *View) Plan(ctx context.Context, changes []Change) (*Plan, error) {
	p := &Plan{First: !v.Published(), base: v, content: map[string]*tuf.Targets{}}
	if p.First {
		p.content[tuf.RoleTargets] = firstTargets(v.loader.Collection)
	}
	adds := map[[2]string]Change{}
	for _, c := range changes {
		if err := p.apply(ctx, c, adds); err != nil {
			return nil, &ChangeError{Change: c, Err: err}
		}
	}
	if err := p.diff(ctx); err != nil {
		return nil, err
	}
	p.collectUploads(adds)
	if len(changes) == 0 && !p.First {
		return p, p.renew(ctx)
	}
	return p, nil
}

// renew plans to sign targets again, as it is, in the last third of its life.
// Nobody else can, and what is signed too late is refused by every client.
func (p *Plan) renew(ctx context.Context) error {
	f, err := p.base.Role(ctx, tuf.RoleTargets)
	if err != nil {
		return err
	}
	head := f.Head()
	if p.base.loader.Now.Before(LastThird(&p.base.Root().Signed, tuf.RoleTargets, head.Expires)) {
		return nil
	}
	if _, err := p.role(ctx, tuf.RoleTargets); err != nil {
		return err
	}
	p.Roles = append(p.Roles, RolePlan{Role: tuf.RoleTargets, From: head.Version, Renewed: true})
	return nil
}

func (p *Plan) apply(ctx context.Context, c Change, adds map[[2]string]Change) error {
	t, err := p.role(ctx, c.Role)
	if err != nil {
		return err
	}
	where := [2]string{c.Role, c.Name}
	switch c.Action {
	case Add:
		if err := checkAdd(c); err != nil {
			return err
		}
		if err := p.allowed(ctx, c.Role, c.Name); err != nil {
			return err
		}
		t.Targets[c.Name] = withUnknown(c.Target, t.Targets[c.Name].Unknown)
		adds[where] = c
	case Remove:
		if _, ok := t.Targets[c.Name]; !ok {
			p.Skipped = append(p.Skipped, c)
		}
		delete(t.Targets, c.Name)
		delete(adds, where)
	default:
		return fmt.Errorf("unknown action %q", c.Action)
	}
	return nil
}

func checkAdd(c Change) error {
	if err := CheckTargetName(c.Name); err != nil {
		return err
	}
	return CheckTargetFile(c.Target)
}

// withUnknown keeps the fields of a target that another writer put there.
func withUnknown(t tuf.TargetFile, unknown jsontext.Value) tuf.TargetFile {
	t.Unknown = unknown
	return t
}

// role returns the content of a role, to be changed.
func (p *Plan) role(ctx context.Context, role string) (*tuf.Targets, error) {
	if t := p.content[role]; t != nil {
		return t, nil
	}
	f, err := p.base.Role(ctx, role)
	if err != nil {
		return nil, err
	}
	t := f.Signed
	t.Targets = maps.Clone(f.Signed.Targets)
	p.content[role] = &t
	return &t, nil
}

// allowed checks that a role's chain of delegations covers a target.
func (p *Plan) allowed(ctx context.Context, role, name string) error {
	for role != tuf.RoleTargets {
		d, parent, err := p.base.delegator(ctx, role)
		if err != nil {
			return err
		}
		if !Delegates(d, name) {
			return fmt.Errorf("it lies outside the paths of %s: %s", RoleToNotary(role), strings.Join(d.Paths, ", "))
		}
		role = parent
	}
	return nil
}

// delegator finds who delegates to a role.
func (v *View) delegator(ctx context.Context, role string) (*tuf.DelegatedRole, string, error) {
	for name, err := range v.walk(ctx) {
		if err != nil {
			return nil, "", err
		}
		if d := delegation(v.Targets[name], role); d != nil {
			return d, name, nil
		}
	}
	return nil, "", fmt.Errorf("%w: %s", ErrNoRole, RoleToNotary(role))
}

// diff compares the changed content with the published one, and drops roles in
// which nothing is different after all.
func (p *Plan) diff(ctx context.Context) error {
	for _, role := range slices.Sorted(maps.Keys(p.content)) {
		current, err := p.base.current(ctx, role)
		if err != nil {
			return err
		}
		r := RolePlan{Role: role}
		before := map[string]tuf.TargetFile{}
		if current != nil {
			r.From, before = current.Head().Version, current.Signed.Targets
		}
		r.compare(before, p.content[role].Targets)
		if current != nil && len(r.Added)+len(r.Changed)+len(r.Removed) == 0 {
			delete(p.content, role)
			continue
		}
		if err := checkCase(r.Added, p.content[role].Targets); err != nil {
			return err
		}
		p.Roles = append(p.Roles, r)
	}
	return nil
}

func (r *RolePlan) compare(before, after map[string]tuf.TargetFile) {
	for name, file := range after {
		if old, ok := before[name]; !ok {
			r.Added = append(r.Added, name)
		} else if !sameTarget(old, file) {
			r.Changed = append(r.Changed, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			r.Removed = append(r.Removed, name)
		}
	}
	slices.Sort(r.Added)
	slices.Sort(r.Changed)
	slices.Sort(r.Removed)
}

func sameTarget(a, b tuf.TargetFile) bool {
	return sameContent(a, b) && maps.Equal(a.Hashes, b.Hashes) && sameJSON(a.Custom, b.Custom)
}

func sameJSON(a, b jsontext.Value) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, errX := tuf.Canonical(a)
	y, errY := tuf.Canonical(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

var errCase = errors.New("differs from another target only in case or Unicode composition, and one would overwrite the other on some pullers' disks")

// checkCase refuses an added name that folds to the same as another.
func checkCase(added []string, targets map[string]tuf.TargetFile) error {
	if len(added) == 0 {
		return nil
	}
	folded := make(map[string]string, len(targets))
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		fold := FoldTargetName(name)
		other, taken := folded[fold]
		if folded[fold] = name; !taken {
			continue
		}
		for _, candidate := range []string{name, other} {
			if _, isNew := slices.BinarySearch(added, candidate); isNew {
				return &ChangeError{Change: Change{Action: Add, Name: candidate}, Err: errCase}
			}
		}
	}
	return nil
}

// collectUploads lists the additions that are still in effect, and new.
func (p *Plan) collectUploads(adds map[[2]string]Change) {
	for where, c := range adds {
		t := p.content[where[0]]
		if t == nil || c.Source == "" {
			continue
		}
		var before tuf.TargetFile
		if current := p.base.Targets[where[0]]; current != nil {
			before = current.Signed.Targets[c.Name]
		}
		if !sameContent(before, c.Target) {
			p.uploads = append(p.uploads, c)
		}
	}
	slices.SortFunc(p.uploads, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
}

// Targets is how many targets a role would have, 0 if it does not change.
func (p *Plan) Targets(role string) int {
	if t := p.content[role]; t != nil {
		return len(t.Targets)
	}
	return 0
}
