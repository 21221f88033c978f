package repo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is how keys of the top-level roles change hands. Clients read roots
// first: one that has just read the old root must still be able to verify what
// it reads next, and one with the new root too. So the files in force around
// the change are signed by old and new keys, and the new root comes last. For a
// while, the grace, whoever signs next signs with both.

// A Rotation is what the next root changes.
type Rotation struct {
	Roles     map[string]Signers // top-level roles; those not there keep their keys
	Lifetimes Lifetimes          // those not there stay

	// Certs is chains of certificates for root keys, new or renewed: see
	// ParseChain. Those of keys that stay, stay.
	Certs [][]*x509.Certificate

	Grace time.Duration // for how long old and new keys sign together

	// After is the version of the root that this was decided on, 0 if that is not
	// known. A newer one that says all of this already is an earlier run's work; one
	// that has replaced the keys of Roles by others, somebody else's.
	After int64

	// Recover lets the versions of snapshot and timestamp fall, which both get new
	// keys: somebody has announced versions that nobody can go on from.
	Recover bool

	// OldKeyLost lets the new root come first: the old keys of its roles, which
	// would have to sign together with the new ones, are not at hand any more.
	// Until the rest has followed, no client takes anything.
	OldKeyLost bool
}

// Signers is who is to sign for a role, and how many of them must.
type Signers struct {
	Keys      []tuf.Key
	Threshold int64
}

// Rotate publishes the next root, together with the roles that its new keys sign.
// The publisher's keyring holds keys of root, old and new, and where the keys of
// targets change, of those. Of snapshot and timestamp, the keys in force or the
// new ones, or both, may be held by others behind the Commit.
//
// If it is interrupted, to run it again completes it; where the root says all
// this already the receipt is nil. The errors are those of Publish, and ErrRotated.
func (p *Publisher) Rotate(ctx context.Context, r Rotation) (*Receipt, error) {
	taken := map[string]int64{} // the last versions known to be taken
	for lost := range maxRaces {
		if err := giveWay(ctx, lost); err != nil {
			return nil, err
		}
		l := p.loader()
		l.Recover = r.Recover
		base, err := l.Load(ctx)
		if err != nil {
			return nil, err
		}
		if !base.Published() {
			return nil, ErrNotPublished
		}
		if done, err := r.Done(ctx, base); done || err != nil {
			return nil, err
		}
		if err := r.Overtaken(ctx, base); err != nil {
			return nil, err
		}
		sub, err := p.free(ctx, taken, func() (*Submission, error) {
			return p.signRotation(ctx, base, r, taken[tuf.RoleTargets])
		})
		if err != nil {
			return nil, err
		}
		receipt, err := p.Commit(ctx, base, sub)
		var burned *BurnedError
		if errors.As(err, &burned) {
			taken[burned.Role] = burned.Version
		}
		if !errors.Is(err, storage.ErrConflict) {
			return receipt, err
		}
	}
	return nil, fmt.Errorf("rotate: %w, %d times in a row", storage.ErrConflict, maxRaces)
}

// Done reports whether an earlier run has published this, all of it.
func (r *Rotation) Done(ctx context.Context, base *View) (bool, error) {
	root := &base.Root().Signed
	if root.Version <= r.After || !r.Says(root) {
		return false, nil
	}
	behind, err := base.behind(ctx)
	return !behind, err
}

// Overtaken is an error that wraps ErrRotated if the keys that this replaces are
// not those any more that it was decided to replace.
func (r *Rotation) Overtaken(ctx context.Context, base *View) error {
	now := &base.Root().Signed
	if r.After == 0 || now.Version <= r.After || len(r.Roles) == 0 || r.Says(now) {
		return nil
	}
	all, err := base.Chain(ctx)
	if err != nil {
		return fmt.Errorf("look for root %d: %w", r.After, err)
	}
	was := &all[r.After-1].Signed
	for _, role := range slices.Sorted(maps.Keys(r.Roles)) {
		before, after := was.Roles[role], now.Roles[role]
		if before.Threshold != after.Threshold || !slices.Equal(slices.Sorted(slices.Values(before.KeyIDs)), slices.Sorted(slices.Values(after.KeyIDs))) {
			return fmt.Errorf("%s was %w: root %d has other keys than root %d", role, ErrRotated, now.Version, was.Version)
		}
	}
	return nil
}

// Says reports whether a root is what this asks for.
func (r *Rotation) Says(root *tuf.Root) bool {
	for role, want := range r.Roles {
		have := root.Roles[role]
		if have.Threshold != want.Threshold || !slices.Equal(slices.Sorted(slices.Values(have.KeyIDs)), want.ids()) {
			return false
		}
	}
	for role, life := range r.Lifetimes {
		if lifetime(root, role) != life {
			return false
		}
	}
	return hasCerts(root, r.Certs)
}

// ids is the IDs of the keys, sorted.
func (s Signers) ids() []string {
	ids := make([]string, len(s.Keys))
	for i, key := range s.Keys {
		ids[i] = key.ID()
	}
	slices.Sort(ids)
	return ids
}

// signRotation makes the submission. The error is a *DraftError if keys are
// missing.
func (p *Publisher) signRotation(ctx context.Context, base *View, r Rotation, taken int64) (*Submission, error) {
	if base.Root().Signed.Version > r.After && r.Says(&base.Root().Signed) {
		return p.signRest(ctx, base, r, taken)
	}
	next, err := r.Next(base, p.Now())
	if err != nil {
		return nil, err
	}
	targets, err := p.nextTargets(ctx, base, r, next, taken)
	if err != nil {
		return nil, err
	}
	next, targets, drafted := p.drafted(next, targets)
	s := &signing{ring: p.Keys}
	roots := r.signedFor(base, next)
	for _, by := range []*tuf.Root{&base.Root().Signed, &next.Signed} {
		if err := signInto(ctx, s, tuf.RoleRoot, by.Roles[tuf.RoleRoot], by.Keys, next); err != nil {
			return nil, err
		}
	}
	if len(next.Signatures) == 0 && !p.Unsigned {
		return nil, s.missing[0]
	}
	if !drafted {
		if err := p.replace(rotatedFiles(targets)); err != nil {
			return nil, err
		}
	}
	sub := &Submission{Collection: p.Collection, Files: map[string][]byte{tuf.RoleRoot: next.Bytes()}}
	if targets != nil {
		if err := p.signForAll(ctx, s, base, roots, targets); err != nil {
			return nil, err
		}
		sub.Files[tuf.RoleTargets] = targets.Bytes()
	}
	return sub, s.result(sub)
}

// signRest makes the submission of what must follow a root that came first.
func (p *Publisher) signRest(ctx context.Context, base *View, r Rotation, taken int64) (*Submission, error) {
	s := &signing{ring: p.Keys}
	sub := &Submission{Collection: p.Collection, Files: map[string][]byte{}}
	if !base.lagging[tuf.RoleTargets] {
		return sub, nil
	}
	root := base.Root()
	f, err := p.nextTargets(ctx, base, r, root, taken)
	if err != nil {
		return nil, err
	}
	if err := signInto(ctx, s, tuf.RoleTargets, root.Signed.Roles[tuf.RoleTargets], root.Signed.Keys, f); err != nil {
		return nil, err
	}
	sub.Files[tuf.RoleTargets] = f.Bytes()
	return sub, s.result(sub)
}

// signedFor is the roots that the files of a rotation are to verify under.
func (r *Rotation) signedFor(base *View, next *tuf.File[tuf.Root]) []*tuf.Root {
	if r.OldKeyLost {
		return []*tuf.Root{&next.Signed}
	}
	return []*tuf.Root{&base.Root().Signed, &next.Signed}
}

// Next is the root after base's, not signed yet. The error is a *Rejection for one
// that could not be published.
func (r *Rotation) Next(base *View, now time.Time) (*tuf.File[tuf.Root], error) {
	old := base.Root()
	root := old.Signed
	root.Keys, root.Roles = maps.Clone(root.Keys), maps.Clone(root.Roles)
	for role, signers := range r.Roles {
		setSigners(&root, role, signers)
	}
	dropCerts(&root)
	if err := certify(&root, r.Certs); err != nil {
		return nil, &Rejection{Role: tuf.RoleRoot, Reason: err}
	}
	root.Publisher.Lifetimes = r.lifetimes(root.Publisher.Lifetimes)
	root.Publisher.Parent = old.SHA256()
	root.Publisher.RootFirst = r.OldKeyLost
	root.Publisher.Restart = nil
	if r.Recover {
		root.Publisher.Restart = base.Restart()
	}
	root.Publisher.GraceUntil = time.Time{}
	if !r.OldKeyLost && len(r.Roles) > 0 {
		root.Publisher.GraceUntil = now.Add(r.Grace).UTC().Truncate(time.Second)
	}
	root.Version++
	root.Expires = now.Add(lifetime(&root, tuf.RoleRoot))
	f, err := tuf.New(root)
	if err == nil {
		err = checkRoot(f)
	}
	if err != nil {
		return nil, &Rejection{Role: tuf.RoleRoot, Reason: err}
	}
	return f, nil
}

func (r *Rotation) lifetimes(before map[string]int64) map[string]int64 {
	if len(r.Lifetimes) == 0 {
		return before
	}
	all := map[string]int64{}
	maps.Copy(all, before)
	for role, life := range r.Lifetimes {
		all[role] = int64(life / time.Second)
	}
	return all
}

// setSigners gives a role its keys, and forgets keys that no role has any more.
func setSigners(r *tuf.Root, role string, s Signers) {
	for _, key := range s.Keys {
		r.Keys[key.ID()] = key
	}
	r.Roles[role] = tuf.Role{KeyIDs: s.ids(), Threshold: s.Threshold, Unknown: r.Roles[role].Unknown}
	maps.DeleteFunc(r.Keys, func(id string, _ tuf.Key) bool {
		for _, other := range r.Roles {
			if slices.Contains(other.KeyIDs, id) {
				return false
			}
		}
		return true
	})
}

// nextTargets is targets as it is, to be signed by its new keys; nil if it keeps
// those that it has.
func (p *Publisher) nextTargets(ctx context.Context, base *View, r Rotation, next *tuf.File[tuf.Root], taken int64) (*tuf.File[tuf.Targets], error) {
	if _, changes := r.Roles[tuf.RoleTargets]; !changes {
		return nil, nil
	}
	current, err := base.Role(ctx, tuf.RoleTargets)
	if err != nil {
		return nil, err
	}
	t := current.Signed
	t.Publisher.Parent = current.SHA256()
	t.Version = max(taken, t.Version) + 1
	t.Expires = p.Now().Add(lifetime(&next.Signed, tuf.RoleTargets))
	return tuf.New(t)
}

// drafted is the root and targets of an open draft that says the same, with the
// signatures that it has; where there is none, what it is given, and false.
func (p *Publisher) drafted(root *tuf.File[tuf.Root], targets *tuf.File[tuf.Targets]) (*tuf.File[tuf.Root], *tuf.File[tuf.Targets], bool) {
	for _, d := range p.Drafts {
		r, err := tuf.Parse[tuf.Root](d.Files[tuf.RoleRoot], MaxRoot)
		if err != nil || !asGood(r.Head(), root.Head(), p.Now()) || sameBut(root, r, sameGrace) != nil {
			continue
		}
		t := d.Files[tuf.RoleTargets]
		switch {
		case targets == nil && len(d.Files) == 1:
			return r, nil, true
		case targets == nil || t == nil || len(d.Files) != 2:
			continue
		}
		f, err := tuf.Parse[tuf.Targets](t, maxMetadata)
		if err == nil && asGood(f.Head(), targets.Head(), p.Now()) &&
			sameBut(targets, f, func(want, got *tuf.Targets) { want.Version = got.Version }) == nil {
			return r, f, true
		}
	}
	return root, targets, false
}

// rotatedFiles is the roles that a rotation signs beside the online ones.
func rotatedFiles(targets *tuf.File[tuf.Targets]) []string {
	if targets == nil {
		return []string{tuf.RoleRoot}
	}
	return []string{tuf.RoleRoot, tuf.RoleTargets}
}

// sameGrace takes over until when a grace was to last: a draft is older.
func sameGrace(want, got *tuf.Root) { want.Publisher.GraceUntil = got.Publisher.GraceUntil }

// signForAll signs targets for each of the roots that clients may hold, and in a
// grace with every key that signed the version before.
func (p *Publisher) signForAll(ctx context.Context, s *signing, base *View, roots []*tuf.Root, f *tuf.File[tuf.Targets]) error {
	for _, root := range roots {
		if err := signInto(ctx, s, tuf.RoleTargets, root.Roles[tuf.RoleTargets], root.Keys, f); err != nil {
			return err
		}
	}
	if len(roots) == 1 {
		return nil
	}
	return p.signInGrace(ctx, base, f)
}
