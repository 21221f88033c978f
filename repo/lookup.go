package repo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"publisher/repo/tuf"
)

// maxVisits is how many delegated roles one lookup visits: three clients stop
// there.
const maxVisits = 32

// Target is a target and the role that vouches for it.
type Target struct {
	Name string
	Role string
	tuf.TargetFile
}

// Key is the object that holds the target's bytes.
func (v *View) Key(t Target) (string, error) {
	if !v.Root().Signed.ConsistentSnapshot {
		return TargetsDir(v.loader.Collection) + "/" + t.Name, nil
	}
	for _, algorithm := range []string{"sha256", "sha512"} {
		if sum, ok := t.Hashes[algorithm]; ok {
			return TargetKey(v.loader.Collection, t.Name, sum), nil
		}
	}
	return "", unverified(t.Name, errors.New("neither a sha256 nor a sha512 is listed"))
}

// Role returns the verified file of a targets role. Its delegators are loaded
// as they are needed. The error wraps ErrNoRole if nothing delegates to it, or
// if it was never published.
func (v *View) Role(ctx context.Context, role string) (*tuf.File[tuf.Targets], error) {
	if f := v.Targets[role]; f != nil {
		return f, nil
	}
	if role == tuf.RoleTargets {
		return v.load(ctx, role, func(f *tuf.File[tuf.Targets]) error {
			return verifyPublished(ctx, v, role, f)
		})
	}
	for name, err := range v.walk(ctx) {
		if err != nil {
			return nil, err
		}
		if d := findDelegation(&v.Targets[name].Signed, role); d != nil {
			return v.delegated(ctx, v.Targets[name], d)
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNoRole, RoleToNotary(role))
}

// A voucher is a delegator that has vouched for a role with keys of its own.
type voucher struct {
	parent *tuf.File[tuf.Targets]
	role   string
}

// delegated returns the file of a role if this delegator vouches for it: that
// another one does says nothing about the paths of this one.
func (v *View) delegated(ctx context.Context, parent *tuf.File[tuf.Targets], d *tuf.DelegatedRole) (*tuf.File[tuf.Targets], error) {
	if err := checkDelegatedName(d.Name); err != nil {
		return nil, unverified("the delegations", err)
	}
	verify := func(f *tuf.File[tuf.Targets]) error {
		return f.Verify(d.Name, tuf.Role{KeyIDs: d.KeyIDs, Threshold: d.Threshold}, parent.Signed.Delegations.Keys)
	}
	f, who := v.Targets[d.Name], voucher{parent, d.Name}
	var err error
	switch {
	case f == nil:
		f, err = v.load(ctx, d.Name, verify)
	case !v.vouched[who]:
		if err = verify(f); err != nil {
			err = unverified(SlotName(d.Name, f.Head().Version), err)
		}
	}
	if err != nil {
		return nil, err
	}
	v.vouched[who] = true
	return f, nil
}

// checkDelegatedName refuses a delegation whose file would take the place of a
// top-level role's in a cache.
func checkDelegatedName(name string) error {
	if role, _, ok := ParseSlot(name + ".json"); isTopLevel(name) || ok && role == tuf.RoleRoot {
		return fmt.Errorf("one of them is called %s", name)
	}
	return nil
}

// load verifies one targets role; section 5.6.
func (v *View) load(ctx context.Context, role string, verify func(*tuf.File[tuf.Targets]) error) (*tuf.File[tuf.Targets], error) {
	if !v.Published() {
		return nil, ErrNotPublished
	}
	meta, ok := v.Snapshot.Signed.Meta[role+".json"]
	if !ok {
		return nil, fmt.Errorf("%w: the snapshot does not list %s", ErrNoRole, RoleToNotary(role))
	}
	f, err := loadListed(ctx, v, role, meta, maxTargets, verify)
	if err != nil {
		return nil, err
	}
	if err := v.checkExpiry(role, f.Head()); err != nil {
		return nil, err
	}
	v.Targets[role] = f
	return f, v.keep(role+".json", f.Bytes())
}

// walk yields the targets role and every role below it that was published, by
// name, parents first, each once, in the order in which clients ask them.
func (v *View) walk(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if _, err := v.Role(ctx, tuf.RoleTargets); !yield(tuf.RoleTargets, err) || err != nil {
			return
		}
		v.walkBelow(ctx, tuf.RoleTargets, map[string]bool{tuf.RoleTargets: true}, yield)
	}
}

func (v *View) walkBelow(ctx context.Context, parent string, seen map[string]bool, yield func(string, error) bool) bool {
	f := v.Targets[parent]
	for d := range delegationsOf(&f.Signed) {
		if seen[d.Name] {
			continue
		}
		seen[d.Name] = true
		_, err := v.delegated(ctx, f, d)
		if errors.Is(err, ErrNoRole) {
			continue // delegated, but nothing published yet
		}
		if !yield(d.Name, err) || err != nil || !v.walkBelow(ctx, d.Name, seen, yield) {
			return false
		}
	}
	return true
}

// Lookup finds the target that a client gets under this name: the roles are
// asked in order, a terminating delegation ends the search; section 5.6.7. The
// error wraps ErrNoTarget if there is none.
func (v *View) Lookup(ctx context.Context, name string) (Target, error) {
	if _, err := v.Role(ctx, tuf.RoleTargets); err != nil {
		return Target{}, err
	}
	s := &search{view: v, name: name, seen: map[string]bool{}}
	found, err := s.visit(ctx, v.Targets[tuf.RoleTargets], tuf.RoleTargets)
	switch {
	case err != nil:
		return Target{}, err
	case found == nil:
		return Target{}, fmt.Errorf("%w: %s", ErrNoTarget, name)
	}
	return *found, nil
}

type search struct {
	view *View
	name string
	seen map[string]bool
	done bool // a terminating delegation was followed to its end
}

func (s *search) visit(ctx context.Context, f *tuf.File[tuf.Targets], role string) (*Target, error) {
	s.seen[role] = true
	if t, ok := f.Signed.Targets[s.name]; ok {
		return &Target{Name: s.name, Role: role, TargetFile: t}, nil
	}
	for d := range delegationsOf(&f.Signed) {
		if !Delegates(d, s.name) {
			continue
		}
		found, err := s.follow(ctx, f, d)
		if found != nil || err != nil || s.done {
			return found, err
		}
		if d.Terminating {
			s.done = true
			return nil, nil
		}
	}
	return nil, nil
}

func (s *search) follow(ctx context.Context, parent *tuf.File[tuf.Targets], d *tuf.DelegatedRole) (*Target, error) {
	if s.seen[d.Name] || len(s.seen) > maxVisits {
		return nil, nil
	}
	child, err := s.view.delegated(ctx, parent, d)
	if errors.Is(err, ErrNoRole) {
		// What other roles have of that name is not for us to say: no client goes on.
		err = unverified(d.Name+".json", errors.New("a role delegates to it, and the snapshot does not list it"))
	}
	if err != nil {
		return nil, err
	}
	return s.visit(ctx, child, d.Name)
}

// List returns every target of every role, in the order in which clients ask
// the roles, sorted by name within a role. With roles, of those alone.
func (v *View) List(ctx context.Context, roles ...string) ([]Target, error) {
	if len(roles) == 0 {
		for role, err := range v.walk(ctx) {
			if err != nil {
				return nil, err
			}
			roles = append(roles, role)
		}
	}
	var all []Target
	for _, role := range roles {
		f, err := v.Role(ctx, role)
		if err != nil {
			return nil, err
		}
		all = append(all, sortedTargets(role, f)...)
	}
	return all, nil
}

func sortedTargets(role string, f *tuf.File[tuf.Targets]) []Target {
	targets := make([]Target, 0, len(f.Signed.Targets))
	for _, name := range slices.Sorted(maps.Keys(f.Signed.Targets)) {
		targets = append(targets, Target{Name: name, Role: role, TargetFile: f.Signed.Targets[name]})
	}
	return targets
}
