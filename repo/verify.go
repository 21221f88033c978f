package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"publisher/internal/parallel"
	"publisher/repo/tuf"
	"publisher/storage"
)

const (
	// maxJump is how far a version may run ahead of the published one: room for
	// numbers that were burned, none for a role that nobody can follow.
	maxJump = 1000

	// maxDepth is how many delegations may lie between targets and a role.
	maxDepth = 32

	// slack is how far the clocks of those who sign may be apart.
	slack = time.Hour
)

// A proposal is a submission that is being verified, on top of the view that it
// would replace. It is hostile until every check has passed.
type proposal struct {
	base    *View
	root    *tuf.File[tuf.Root]               // nil if it stays
	targets map[string]*tuf.File[tuf.Targets] // those that change
	tree    []node                            // targets and what it delegates to, parents first, if any changes
	now     time.Time
	maxNew  int // targets to look for; 0 for no bound
	renew   bool

	// draft has the thresholds that submitted files must meet put into demands,
	// whether they do or not.
	draft   bool
	demands []demand
}

// A node is a role in the tree of delegations as it will be.
type node struct {
	role    string
	parent  string                 // the role that delegates to it
	file    *tuf.File[tuf.Targets] // nil if it was never published
	chain   []*tuf.DelegatedRole   // the delegations from targets to here
	initial []string               // keys that may sign it as long as it is empty
	touched bool                   // it, or a role above it, is submitted
}

// verifySubmission proves that a submission may be published. Nothing is
// written before all of it passes.
func verifySubmission(ctx context.Context, base *View, sub *Submission, store storage.Getter, now time.Time, maxNew int) (*proposal, error) {
	p := &proposal{base: base, targets: map[string]*tuf.File[tuf.Targets]{}, now: now, maxNew: maxNew, renew: sub.renew}
	steps := []func() error{
		func() error { return p.parse(sub) },
		p.dropRoot,
		func() error { return p.checkParents(ctx) },
		func() error { return p.checkVersions() },
		func() error { return p.checkRoot() },
		p.checkRestart,
		func() error { return p.checkRoles(ctx) },
		func() error { return p.checkSignatures(ctx) },
		func() error { return p.checkGrace(ctx) },
		func() error { return p.checkPaths() },
		func() error { return p.checkObjects(ctx, store) },
		func() error { return p.checkExpiries() },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// newest is the root that will be in force.
func (p *proposal) newest() *tuf.File[tuf.Root] {
	if p.root != nil {
		return p.root
	}
	return p.base.Root()
}

// parse reads the files through the strict gate and the profile.
func (p *proposal) parse(sub *Submission) error {
	if sub.Collection != p.base.loader.Collection {
		return reject("", "it is for the collection %q", sub.Collection)
	}
	for role, data := range sub.Files {
		var err error
		switch {
		case role == tuf.RoleRoot:
			p.root, err = parseForm[tuf.Root](data, sub.Collection, maxFile(role))
		case role == tuf.RoleSnapshot || role == tuf.RoleTimestamp:
			err = errors.New("it is made by commit itself")
		case role != tuf.RoleTargets && CheckDelegation(role) != nil:
			err = CheckDelegation(role)
		default:
			p.targets[role], err = parseForm[tuf.Targets](data, sub.Collection, maxFile(role))
			if err == nil {
				err = checkTargets(&p.targets[role].Signed)
			}
		}
		if err != nil {
			return &Rejection{Role: role, Reason: err}
		}
	}
	if !p.base.Published() && (p.root == nil || p.targets[tuf.RoleTargets] == nil) {
		return reject("", "a first publication needs root and targets")
	}
	return nil
}

// dropRoot leaves out a root that is in force already, and comes with files that
// are to follow it: a run of this submission was interrupted.
func (p *proposal) dropRoot() error {
	if p.root != nil && p.base.Published() && bytes.Equal(p.root.Bytes(), p.base.Root().Bytes()) {
		p.root = nil
	}
	return nil
}

func parseForm[T tuf.Content](data []byte, collection string, max int64) (*tuf.File[T], error) {
	f, err := tuf.Parse[T](data, max)
	if err != nil {
		return nil, err
	}
	return f, checkForm(f, collection)
}

// checkParents finds out whether somebody else's publish came first.
func (p *proposal) checkParents(ctx context.Context) error {
	if p.root != nil && p.base.Published() && p.root.Signed.Version == 1 && p.root.Head().Publisher.Parent == "" {
		return ErrPublished
	}
	if p.root != nil && p.root.Head().Publisher.Parent != p.base.rootParent() {
		return &StaleError{Role: tuf.RoleRoot}
	}
	for role, f := range p.targets {
		parent := ""
		current, err := p.base.current(ctx, role)
		if err != nil {
			return err
		}
		if current != nil {
			parent = current.SHA256()
		}
		if f.Head().Publisher.Parent != parent {
			return &StaleError{Role: role}
		}
	}
	return nil
}

// current is the published file of a role, nil if there is none.
func (v *View) current(ctx context.Context, role string) (*tuf.File[tuf.Targets], error) {
	f, err := v.Role(ctx, role)
	if errors.Is(err, ErrNoRole) || errors.Is(err, ErrNotPublished) {
		return nil, nil
	}
	return f, err
}

// rootParent is what the parent of the next root must be.
func (v *View) rootParent() string {
	if !v.Published() {
		return ""
	}
	return v.Root().SHA256()
}

func (p *proposal) checkVersions() error {
	for role, f := range p.targets {
		before := p.base.listed(role)
		switch version := f.Head().Version; {
		case version <= before:
			return reject(role, "version %d is not greater than %d, the published one", version, before)
		case version > before+maxJump:
			return reject(role, "version %d is more than %d ahead of %d", version, maxJump, before)
		}
	}
	return nil
}

// checkRoot checks a new root by itself and as a successor.
func (p *proposal) checkRoot() error {
	if p.root == nil {
		return nil
	}
	err := checkRoot(p.root)
	switch {
	case err != nil:
	case p.draft:
		err = p.demandRoot()
	case p.base.Published():
		err = verifySuccessor(p.base.Root(), p.root)
	default:
		err = checkGenesis(p.root)
	}
	if err == nil && !p.draft {
		err = checkSalt(p.root, tuf.RoleRoot, p.root.Signed.Roles[tuf.RoleRoot], p.root.Signed.Keys)
	}
	if err != nil {
		return &Rejection{Role: tuf.RoleRoot, Reason: err}
	}
	return nil
}

// checkSalt checks the threshold once more with only those signatures that
// every client takes.
func checkSalt[T tuf.Content](f *tuf.File[T], name string, role tuf.Role, keys map[string]tuf.Key) error {
	if good := f.SignedBy(role.KeyIDs, keys, true); int64(len(good)) < role.Threshold {
		return fmt.Errorf("%s: %d of %d required signatures have the RSA salt length that every client takes", name, len(good), role.Threshold)
	}
	return nil
}

// checkRoles walks the finished tree of delegations from the top: every role is
// signed as its delegator asks, has one delegator only, and is not too deep.
// Submitted roles that the walk does not meet belong to nobody.
func (p *proposal) checkRoles(ctx context.Context) error {
	if p.root == nil && len(p.targets) == 0 {
		return nil
	}
	top := node{role: tuf.RoleTargets, parent: tuf.RoleRoot}
	root := &p.newest().Signed
	if err := p.checkNode(ctx, top, root.Roles[tuf.RoleTargets], root.Keys); err != nil {
		return err
	}
	for role := range p.targets {
		if !p.inTree(role) {
			return reject(role, "no role delegates to it")
		}
	}
	return p.checkOldRoot()
}

// checkSignatures refuses signatures that are not good, or whose key nobody names
// for the role, in force or as submitted: whoever can write the inbox could add
// them to what others have signed.
func (p *proposal) checkSignatures(ctx context.Context) error {
	if p.draft {
		return nil // those are sorted out before it is committed
	}
	if p.root != nil {
		if err := checkSigners(p.root, p.rootSigners(tuf.RoleRoot)); err != nil {
			return &Rejection{Role: tuf.RoleRoot, Reason: err}
		}
	}
	for _, n := range p.tree {
		f := p.targets[n.role]
		if f == nil {
			continue
		}
		err := checkSigners(f, p.signersOf(n))
		if err != nil && n.role == tuf.RoleTargets {
			before, readErr := p.base.signersBefore(ctx, n.role)
			if readErr != nil {
				return readErr
			}
			err = checkSigners(f, append(p.signersOf(n), before...))
		}
		if err != nil {
			return &Rejection{Role: n.role, Reason: err}
		}
	}
	return nil
}

// signers is the keys that may sign a role, by one of its delegators.
type signers struct {
	ids  []string
	keys map[string]tuf.Key
}

// rootSigners is who may sign a top-level role by the root in force, and the one
// that is submitted.
func (p *proposal) rootSigners(role string) []signers {
	var all []signers
	for _, root := range []*tuf.File[tuf.Root]{p.newest(), p.base.Root()} {
		all = append(all, signers{root.Signed.Roles[role].KeyIDs, root.Signed.Keys})
	}
	return all
}

// graceRoots is how many roots before the one in force have keys that may sign
// still: as many rotations may come within one grace.
const graceRoots = 16

// signersBefore is who may sign a top-level role for clients that are at a root
// before the one in force. It asks for no grace: that may be over since.
func (v *View) signersBefore(ctx context.Context, role string) ([]signers, error) {
	var all []signers
	root := v.Root()
	for range graceRoots {
		before, _, err := v.predecessor(ctx, root)
		if err != nil || before == nil {
			return all, err
		}
		all = append(all, signers{before.Signed.Roles[role].KeyIDs, before.Signed.Keys})
		root = before
	}
	return all, nil
}

// signersOf is who may sign a role by its delegator, and by the one before.
func (p *proposal) signersOf(n node) []signers {
	if n.role == tuf.RoleTargets {
		return p.rootSigners(n.role)
	}
	var all []signers
	for _, above := range []*tuf.File[tuf.Targets]{p.targets[n.parent], p.base.Targets[n.parent]} {
		if above == nil {
			continue
		}
		if d := findDelegation(&above.Signed, n.role); d != nil {
			all = append(all, signers{d.KeyIDs, above.Signed.Delegations.Keys})
		}
	}
	return all
}

// checkSigners refuses a signature that none of these keys has made.
func checkSigners[T tuf.Content](f *tuf.File[T], all []signers) error {
	for _, s := range f.Signatures {
		if !isGood(f, s.KeyID, all) {
			return fmt.Errorf("its signature of key %.12q is not a good one of a key that is named for it", s.KeyID)
		}
	}
	return nil
}

// isGood reports whether one of these has made the file's signature of a key.
func isGood[T tuf.Content](f *tuf.File[T], keyID string, all []signers) bool {
	return slices.ContainsFunc(all, func(by signers) bool {
		return slices.Contains(by.ids, keyID) && len(f.SignedBy([]string{keyID}, by.keys, false)) > 0
	})
}

// checkOldRoot wants targets to verify also under the root before a new one:
// clients may have read that, and no newer one.
func (p *proposal) checkOldRoot() error {
	if !p.rootLast() {
		return nil
	}
	old := &p.base.Root().Signed
	return p.checkSigned(p.tree[0].file, tuf.RoleTargets, old.Roles[tuf.RoleTargets], old.Keys)
}

func (p *proposal) inTree(role string) bool {
	return slices.ContainsFunc(p.tree, func(n node) bool { return n.role == role })
}

// checkNode checks a role and what lies below it.
func (p *proposal) checkNode(ctx context.Context, n node, signers tuf.Role, keys map[string]tuf.Key) error {
	switch {
	case p.inTree(n.role):
		return reject(n.role, "it is delegated to twice, or by a role below it")
	case len(n.chain) > maxDepth:
		return reject(n.role, "it lies more than %d delegations deep", maxDepth)
	}
	err := p.checkName(n)
	if err != nil {
		return err
	}
	if n.file, err = p.file(ctx, n.role); err != nil {
		return err
	}
	n.touched = n.touched || p.targets[n.role] != nil
	p.tree = append(p.tree, n)
	if n.file == nil {
		return p.checkOld(n)
	}
	if ok, err := p.mayStart(ctx, n, keys); err != nil {
		return err
	} else if !ok {
		signers.KeyIDs = without(signers.KeyIDs, n.initial)
	}
	if err := p.checkSigned(n.file, n.role, signers, keys); err != nil {
		return err
	}
	for d := range delegationsOf(&n.file.Signed) {
		if err := p.checkOffline(n, d); err != nil {
			return err
		}
		child := node{
			role: d.Name, parent: n.role, chain: append(slices.Clip(n.chain), d), touched: n.touched,
			initial: n.file.Signed.Publisher.Initial[d.Name],
		}
		role := tuf.Role{KeyIDs: d.KeyIDs, Threshold: d.Threshold}
		if err := p.checkNode(ctx, child, role, n.file.Signed.Delegations.Keys); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses a new delegation from another role than the name says. One that
// is published may stay, change and go: nobody else can use that name anyway.
func (p *proposal) checkName(n node) error {
	if n.role == tuf.RoleTargets || p.delegatedBefore(n) {
		return nil
	}
	if err := checkNamed(n.parent, n.role); err != nil {
		return &Rejection{Role: n.role, Reason: err}
	}
	return nil
}

// mayStart reports whether initial keys may sign a role: as long as it is empty,
// and its people have published nothing, which an empty version would take back.
func (p *proposal) mayStart(ctx context.Context, n node, keys map[string]tuf.Key) (bool, error) {
	if len(n.initial) == 0 || !isEmpty(&n.file.Signed) {
		return false, nil
	}
	current, err := p.base.current(ctx, n.role)
	if err != nil || current == nil || p.targets[n.role] == nil {
		return err == nil, err
	}
	return isEmpty(&current.Signed) && p.started(n, current, keys), nil
}

// started reports whether initial keys have signed the published version of a
// role: those in force now, or before.
func (p *proposal) started(n node, current *tuf.File[tuf.Targets], keys map[string]tuf.Key) bool {
	if len(current.SignedBy(n.initial, keys, false)) > 0 {
		return true
	}
	above := p.base.Targets[n.parent]
	if above == nil || above.Signed.Delegations == nil {
		return false
	}
	return len(current.SignedBy(above.Signed.Publisher.Initial[n.role], above.Signed.Delegations.Keys, false)) > 0
}

// checkOffline keeps online keys out of delegations, whichever of the two files
// is new.
func (p *proposal) checkOffline(n node, d *tuf.DelegatedRole) error {
	if p.root == nil && p.targets[n.role] == nil {
		return nil
	}
	for _, id := range d.KeyIDs {
		if err := checkOffline(&p.newest().Signed, id); err != nil {
			return reject(n.role, "delegation %s: %w", RoleToNotary(d.Name), err)
		}
	}
	return nil
}

// checkOld lets a delegation without a file stay that another writer has
// published: clients fail there as it is.
func (p *proposal) checkOld(n node) error {
	if !p.delegatedBefore(n) {
		return reject(n.role, "its delegation comes without its first version, and no client passes over a delegation whose role has no file")
	}
	return nil
}

// delegatedBefore reports whether the delegation is published already.
func (p *proposal) delegatedBefore(n node) bool {
	before := p.base.Targets[n.parent]
	return before != nil && findDelegation(&before.Signed, n.role) != nil
}

// file is the role's file in the finished set, nil if it has none. One that the
// snapshot still lists, though nothing delegated to the role any more, is what
// clients get again as soon as something does: it comes as it lies there, to be
// verified by the new delegator's keys.
func (p *proposal) file(ctx context.Context, role string) (*tuf.File[tuf.Targets], error) {
	if f := p.targets[role]; f != nil {
		return f, nil
	}
	f, err := p.base.current(ctx, role)
	if err != nil || f != nil || !p.base.Published() {
		return f, err
	}
	meta, listed := p.base.Snapshot.Signed.Meta[role+".json"]
	if !listed {
		return nil, nil
	}
	return loadListed(ctx, p.base, role, meta, maxTargets, func(*tuf.File[tuf.Targets]) error { return nil })
}

func (p *proposal) checkSigned(f *tuf.File[tuf.Targets], name string, role tuf.Role, keys map[string]tuf.Key) error {
	if p.draft && f == p.targets[name] {
		p.demands = append(p.demands, demand{name, role, keys})
		return nil
	}
	err := f.Verify(name, role, keys)
	if err == nil {
		err = checkSalt(f, name, role, keys)
	}
	if err != nil {
		return &Rejection{Role: name, Reason: err}
	}
	return nil
}

// checkPaths checks that each role that is submitted, or lies below one, lists
// only targets inside its own chain of delegations: one client refuses the whole
// repository otherwise.
func (p *proposal) checkPaths() error {
	for _, n := range p.tree {
		if !n.touched || n.file == nil {
			continue
		}
		for name := range n.file.Signed.Targets {
			if i := slices.IndexFunc(n.chain, func(d *tuf.DelegatedRole) bool { return !Delegates(d, name) }); i >= 0 {
				return reject(n.role, "target %q lies outside the paths of %s", name, RoleToNotary(n.chain[i].Name))
			}
		}
	}
	return nil
}

// checkObjects checks that every target that is new in its role lies in the
// public store, with its length, and with its hash where the store vouches for
// one.
func (p *proposal) checkObjects(ctx context.Context, store storage.Getter) error {
	var added []Target
	for role, f := range p.targets {
		current, err := p.base.current(ctx, role)
		if err != nil {
			return err
		}
		for name, file := range f.Signed.Targets {
			if current == nil || !sameContent(current.Signed.Targets[name], file) {
				added = append(added, Target{name, role, file})
			}
		}
	}
	if p.maxNew > 0 && len(added) > p.maxNew {
		return reject("", "it has %d new targets, at most %d are taken at once: take some of the staged changes back with publisher reset %s, publish, and add them again", len(added), p.maxNew, p.base.loader.Collection)
	}
	return parallel.Each(ctx, 16, len(added), func(ctx context.Context, i int) error {
		return p.checkObject(ctx, store, added[i])
	})
}

func sameContent(a, b tuf.TargetFile) bool {
	return a.Length == b.Length && a.Hashes["sha256"] != "" && a.Hashes["sha256"] == b.Hashes["sha256"]
}

// checkObject refuses what the store has, or has not; a store that does not
// answer says nothing about the submission.
func (p *proposal) checkObject(ctx context.Context, store storage.Getter, t Target) error {
	key := TargetKey(p.base.loader.Collection, t.Name, t.Hashes["sha256"])
	info, err := p.lookAt(ctx, store, key, t)
	// Of what nobody knows the age of, nothing is removed.
	if err != nil || info.Modified.IsZero() || p.now.Sub(info.Modified) < burnAfter {
		return err
	}
	// It may be garbage, and about to be removed. Where no mark says so, the whole of
	// that may have happened since the look at it.
	if err := checkMark(ctx, store, p.base.loader.Collection, t.Name, key); err != nil {
		return err
	}
	_, err = p.lookAt(ctx, store, key, t)
	return err
}

func (p *proposal) lookAt(ctx context.Context, store storage.Getter, key string, t Target) (storage.Info, error) {
	info, wrong, err := compareObject(ctx, store, key, t.Name, t.TargetFile, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return info, &Rejection{Role: t.Role, Reason: &MissingError{t.Name, err}}
	case err != nil:
		return info, fmt.Errorf("look at target %q: %w", t.Name, err)
	case wrong != nil:
		return info, &Rejection{Role: t.Role, Reason: wrong}
	}
	return info, nil
}

// checkExpiries holds new signatures to the policy in the root.
func (p *proposal) checkExpiries() error {
	if p.root != nil {
		if err := p.checkExpiry(tuf.RoleRoot, p.root.Head()); err != nil {
			return err
		}
		if grace := p.root.Head().Publisher.GraceUntil; grace.After(p.now.Add(maxGrace)) {
			return reject(tuf.RoleRoot, "its grace lasts until %s, more than %v", grace.Format(time.RFC3339), maxGrace)
		}
	}
	for role, f := range p.targets {
		if err := p.checkExpiry(role, f.Head()); err != nil {
			return err
		}
	}
	// A refresh may go on: whoever makes a new root finds the rest in order.
	if root := p.newest().Head(); len(p.targets) > 0 && !p.now.Before(root.Expires) {
		return reject(tuf.RoleRoot, "it expired at %s"+rootExpired, root.Expires.Format(time.RFC3339))
	}
	return nil
}

func (p *proposal) checkExpiry(role string, head *tuf.Common) error {
	life := lifetime(&p.newest().Signed, role)
	switch {
	case !p.now.Before(head.Expires):
		return reject(role, "it expired at %s", head.Expires.Format(time.RFC3339))
	case head.Expires.After(p.now.Add(life + slack)):
		return reject(role, "it expires at %s, more than %v from now", head.Expires.Format(time.RFC3339), life)
	}
	return nil
}
