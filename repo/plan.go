package repo

import (
	"cmp"
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

	// Left is the roles that are due to be signed again and are not: their keys
	// are elsewhere. It is known once the others are signed.
	Left []*ThresholdError

	base     *View
	content  map[string]*tuf.Targets // of Roles
	uploads  []Change                // whose bytes the store may lack
	order    []string                // of content, whoever delegates after those below
	edits    map[string]Change       // the last change of each delegation, by role
	parents  map[string]string       // who delegates, of edits
	used     map[string]Change       // the last change of a target or of the signatures, by role
	resigned map[string]bool         // roles that lose signatures they need
	renewed  map[string]bool         // roles to be signed again as they are
	started  map[string]bool         // roles signed by keys made for it; known once that is done
	spare    map[string]bool         // roles renewed in case that one below must be started again
	optional bool                    // what cannot be renewed here is left as it is
}

// RolePlan is what happens to one role.
type RolePlan struct {
	Role        string        `json:"role"`
	From        int64         `json:"from"` // the published version, 0 if there is none
	Added       []string      `json:"added,omitempty"`
	Changed     []string      `json:"changed,omitempty"`
	Removed     []string      `json:"removed,omitempty"`
	Delegations []TrustChange `json:"delegations,omitempty"`
	Renewed     bool          `json:"renewed,omitzero"`  // signed again as it is
	Resigned    bool          `json:"resigned,omitzero"` // likewise, because it loses a key that signed it

	KeyIDs    []string `json:"keyids"` // whose signatures it needs, Threshold of them
	Threshold int64    `json:"threshold"`
}

// Empty reports that there is nothing to publish.
func (p *Plan) Empty() bool { return len(p.Roles) == 0 }

// Plan works out what publishing changes on top of v would do. Without any, that
// is to sign every role again of whose life less than a third is left. The error
// is a *ChangeError naming the first change that cannot be applied.
func (v *View) Plan(ctx context.Context, changes []Change) (*Plan, error) {
	p := v.newPlan()
	adds, err := p.applyAll(ctx, changes)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 && !p.First {
		if err := p.renewDue(ctx); err != nil {
			return nil, err
		}
	}
	steps := []func(context.Context) error{p.settle, p.checkTree, p.diff, p.addSigners, p.sort}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	p.collectUploads(adds)
	return p, nil
}

// CheckChanges reports whether changes can be applied one after the other; what
// they leave incomplete may still be staged. The error is a *ChangeError.
func (v *View) CheckChanges(ctx context.Context, changes []Change) error {
	_, err := v.newPlan().applyAll(ctx, changes)
	return err
}

func (v *View) newPlan() *Plan {
	p := &Plan{
		First: !v.Published(), base: v, content: map[string]*tuf.Targets{},
		edits: map[string]Change{}, parents: map[string]string{}, used: map[string]Change{},
		resigned: map[string]bool{}, renewed: map[string]bool{}, started: map[string]bool{}, spare: map[string]bool{},
	}
	if p.First {
		p.content[tuf.RoleTargets] = own(firstTargets(v.loader.Collection))
	}
	return p
}

// applyAll returns the additions of targets that are still in effect.
func (p *Plan) applyAll(ctx context.Context, changes []Change) (map[[2]string]Change, error) {
	adds := map[[2]string]Change{}
	for _, c := range changes {
		if err := p.apply(ctx, c, adds); err != nil {
			return nil, &ChangeError{Change: c, Err: err}
		}
	}
	return adds, nil
}

func (p *Plan) apply(ctx context.Context, c Change, adds map[[2]string]Change) error {
	switch c.Type {
	case TypeTarget:
		return p.applyTarget(ctx, c, adds)
	case TypeDelegation:
		return p.applyDelegation(ctx, c)
	case TypeWitness:
		p.used[c.Role] = c
		delete(p.spare, c.Role)
		if err := p.renew(ctx, c.Role); err != nil {
			return err
		}
		return p.renewForStart(ctx, c.Role)
	}
	return fmt.Errorf("unknown type %q", string(c.Type))
}

func (p *Plan) applyTarget(ctx context.Context, c Change, adds map[[2]string]Change) error {
	t, err := p.role(ctx, c.Role)
	if err != nil {
		return err
	}
	p.used[c.Role] = c
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

// role returns the content of a role, to be changed. One that nobody has signed
// yet is empty.
func (p *Plan) role(ctx context.Context, role string) (*tuf.Targets, error) {
	if _, err := p.find(ctx, role); err != nil {
		return nil, err
	}
	if t := p.content[role]; t != nil {
		return t, nil
	}
	current, err := p.base.current(ctx, role)
	if err != nil {
		return nil, err
	}
	t := firstTargets(p.base.loader.Collection)
	if current != nil {
		t = &current.Signed
	}
	p.content[role] = own(t)
	return p.content[role], p.retire(ctx, p.content[role])
}

// own is a copy that can be changed. It always has a table of delegations.
func own(t *tuf.Targets) *tuf.Targets {
	c := *t
	c.Targets = maps.Clone(t.Targets)
	c.Publisher.Initial = maps.Clone(t.Publisher.Initial)
	d := tuf.Delegations{}
	if t.Delegations != nil {
		d = *t.Delegations
	}
	d.Roles = slices.Clone(d.Roles)
	if d.Keys = maps.Clone(d.Keys); d.Keys == nil {
		d.Keys = map[string]tuf.Key{}
	}
	c.Delegations = &d
	return &c
}

// allowed checks that a role's chain of delegations covers a target. A
// delegation that is not complete yet is looked at when it is published.
func (p *Plan) allowed(ctx context.Context, role, name string) error {
	n, err := p.find(ctx, role)
	if err != nil {
		return err
	}
	if d := outside(n.chain, name); d != nil && len(d.Paths) > 0 {
		return fmt.Errorf("it lies outside the paths of %s: %s", RoleToNotary(d.Name), strings.Join(FoldPaths(d.Paths), ", "))
	}
	return nil
}

// diff compares the changed content with the published one, and drops roles in
// which nothing is different after all.
func (p *Plan) diff(ctx context.Context) error {
	for _, role := range slices.Sorted(maps.Keys(p.content)) {
		current, err := p.base.current(ctx, role)
		if err != nil {
			return err
		}
		r := RolePlan{Role: role, Resigned: p.resigned[role], Renewed: p.renewed[role]}
		before := &tuf.Targets{}
		if current != nil {
			r.From, before = current.Head().Version, &current.Signed
		}
		content := p.content[role]
		r.compare(before.Targets, content.Targets)
		r.Delegations = compareDelegations(delegatedToPeople(before), delegatedToPeople(content), nil, nil)
		if current != nil && r.empty() {
			delete(p.content, role)
			continue
		}
		if err := checkCase(r.Added, content.Targets); err != nil {
			return err
		}
		finish(content)
		p.Roles = append(p.Roles, r)
	}
	return nil
}

func (r *RolePlan) empty() bool {
	return len(r.Added)+len(r.Changed)+len(r.Removed)+len(r.Delegations) == 0 && !r.Resigned && !r.Renewed
}

// addSigners tells for each role whose signatures it needs.
func (p *Plan) addSigners(ctx context.Context) error {
	for i := range p.Roles {
		r := &p.Roles[i]
		who, err := p.people(ctx, r.Role)
		if err != nil {
			return err
		}
		r.KeyIDs, r.Threshold = who.KeyIDs, who.Threshold
	}
	return nil
}

// sort puts the roles to be signed into the order in which that is done.
func (p *Plan) sort(ctx context.Context) error {
	depths := map[string]int{}
	for role := range p.content {
		n, err := p.find(ctx, role)
		if err != nil {
			return err
		}
		depths[role] = len(n.chain)
	}
	p.order = slices.SortedFunc(maps.Keys(depths), func(a, b string) int {
		return cmp.Or(depths[b]-depths[a], strings.Compare(a, b))
	})
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

// listed is the version of a role that the snapshot lists, 0 for none. A role
// once listed stays listed, also while nothing delegates to it.
func (v *View) listed(role string) int64 {
	if !v.Published() {
		return 0
	}
	return v.Snapshot.Signed.Meta[role+".json"].Version
}
