package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"publisher/repo/tuf"
)

// This file is the grace: for how long after a new root those who sign do so
// for clients that have just read an older one, too.

// DefaultGrace is long enough for every client that has read the old root to
// finish, and for every commit made from it to fail or be done.
const DefaultGrace = 5 * time.Minute

// maxGrace bounds for how long a rotation can hold up others.
const maxGrace = 24 * time.Hour

// A GraceError reports that a rotation is under way, whose older keys this
// signer does not hold. Nothing was written; it works again after Until.
type GraceError struct {
	Until time.Time
}

const graceText = "keys are being replaced; it goes on at "

func (e *GraceError) Error() string { return graceText + e.Until.UTC().Format(time.RFC3339) }

// ParseGrace reads the text of a GraceError that another process had.
func ParseGrace(text string) (*GraceError, bool) {
	at, ok := strings.CutPrefix(text, graceText)
	until, err := time.Parse(time.RFC3339, at)
	return &GraceError{Until: until}, ok && err == nil
}

// currentOnline is the published version of snapshot or timestamp.
func (p *proposal) currentOnline(role string) (*tuf.Common, []tuf.Signature) {
	switch {
	case !p.base.Published():
		return &tuf.Common{}, nil
	case role == tuf.RoleSnapshot:
		return p.base.Snapshot.Head(), p.base.Snapshot.Signatures
	}
	return p.base.Timestamp.Head(), p.base.Timestamp.Signatures
}

// inGrace is until when the keys that signed the published version of an online
// role go on signing it, zero if they need not.
func (p *proposal) inGrace(role string) time.Time {
	if p.rootFirst() || p.restart(role) > 0 {
		return time.Time{}
	}
	current, _ := p.currentOnline(role)
	return runningGrace(current, p.now)
}

// runningGrace is what a file says of a grace that is not over. More than any
// rotation may ask for is no grace: whoever stole an online key could stop all
// others by it.
func runningGrace(head *tuf.Common, now time.Time) time.Time {
	until := head.Publisher.GraceUntil
	if now.Before(until) && !until.After(now.Add(maxGrace+slack)) {
		return until
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// graceUntil is until when the next snapshot says that the keys of the versions
// before sign too: by the new root, or as long as the version before said,
// whichever is later.
func (p *proposal) graceUntil() time.Time {
	running := p.inGrace(tuf.RoleSnapshot)
	if !p.rootLast() {
		return running
	}
	until := p.now.Add(graceOf(&p.root.Signed)).UTC().Truncate(time.Second)
	if !p.now.Before(until) {
		return running
	}
	return later(until, running)
}

// graceOf is how long the grace of a new root is. It counts from the commit: by
// the time it has all its signatures, what the root says may be over.
func graceOf(root *tuf.Root) time.Duration {
	made := root.Expires.Add(-lifetime(root, tuf.RoleRoot))
	return min(max(0, root.Publisher.GraceUntil.Sub(made)), maxGrace)
}

// signOnline signs a new snapshot or timestamp for every root that clients may
// hold, and during a grace with every key that signed the version before: one
// client may be at the root before the last still.
func signOnline[T tuf.Content](ctx context.Context, ring Keyring, p *proposal, role string, f *tuf.File[T]) error {
	for _, root := range p.roots() {
		if err := sign(ctx, ring, role, root.Roles[role], root.Keys, f); err != nil {
			return err
		}
	}
	until := p.inGrace(role)
	if until.IsZero() {
		return nil
	}
	_, before := p.currentOnline(role)
	missing, err := signAlso(ctx, ring, role, before, f)
	if err == nil && len(missing) > 0 {
		err = &GraceError{Until: until}
	}
	return err
}

// signAlso adds signatures of the keys that signed another version, and returns
// the IDs of those that are not held.
func signAlso[T tuf.Content](ctx context.Context, ring Keyring, role string, before []tuf.Signature, f *tuf.File[T]) (missing []string, err error) {
	for _, s := range before {
		if signedWith(f.Signatures, s.KeyID) {
			continue
		}
		err := signWith(ctx, ring, role, s.KeyID, f)
		switch {
		case errors.Is(err, ErrNoKey):
			missing = append(missing, s.KeyID)
		case err != nil:
			return nil, fmt.Errorf("sign %s with key %s: %w", RoleToNotary(role), tuf.ShortID(s.KeyID), err)
		}
	}
	return missing, nil
}

// roots is those that the finished set must verify under: the newest, and the
// one before it if it is new.
func (p *proposal) roots() []*tuf.Root {
	if p.rootLast() {
		return []*tuf.Root{&p.base.Root().Signed, &p.root.Signed}
	}
	return []*tuf.Root{&p.newest().Signed}
}

// rootFirst reports whether the keys before are lost: nobody can sign for
// clients that have not seen the new root.
func (p *proposal) rootFirst() bool { return p.root != nil && p.root.Signed.Publisher.RootFirst }

// rootLast reports whether there is a new root that comes after the timestamp:
// for clients that have not seen it, the keys of the one before sign too.
func (p *proposal) rootLast() bool {
	return p.root != nil && p.base.Published() && !p.rootFirst()
}

// signInGrace adds the signatures of the keys that signed the published targets,
// as long as clients may be at a root before. The error is a *GraceError if not
// all of them are held.
func (p *Publisher) signInGrace(ctx context.Context, base *View, f *tuf.File[tuf.Targets]) error {
	until := base.grace()
	if until.IsZero() {
		return nil
	}
	left, err := base.leftInGrace(ctx, f)
	if err != nil {
		return err
	}
	missing, err := signAlso(ctx, p.Keys, tuf.RoleTargets, left, f)
	if err == nil && len(missing) > 0 {
		err = &GraceError{Until: until}
	}
	return err
}

// grace is until when clients may be at a root before the newest, as far as
// whoever signs has to mind; zero if none is.
func (v *View) grace() time.Time {
	if !v.Published() {
		return time.Time{}
	}
	return runningGrace(v.Timestamp.Head(), v.loader.Now)
}

// leftInGrace is the signatures of the published targets by keys that have not
// signed f. Only good ones count, of keys that this root or one before it names:
// no client has needed others, which could once be added by anybody, and whose
// keys nobody may have.
func (v *View) leftInGrace(ctx context.Context, f *tuf.File[tuf.Targets]) ([]tuf.Signature, error) {
	current, err := v.current(ctx, tuf.RoleTargets)
	if err != nil || current == nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(current.Signatures), func(s tuf.Signature) bool { return signedWith(f.Signatures, s.KeyID) })
	if len(left) == 0 {
		return nil, nil
	}
	by, err := v.signersBefore(ctx, tuf.RoleTargets)
	if err != nil {
		return nil, err
	}
	root := &v.Root().Signed
	by = append(by, signers{root.Roles[tuf.RoleTargets].KeyIDs, root.Keys})
	return slices.DeleteFunc(left, func(s tuf.Signature) bool { return !isGood(current, s.KeyID, by) }), nil
}

// checkGrace wants targets, in a grace, to be signed by all who signed the
// version before.
func (p *proposal) checkGrace(ctx context.Context) error {
	f, until := p.targets[tuf.RoleTargets], p.base.grace()
	if f == nil || until.IsZero() || p.rootFirst() || p.restart(tuf.RoleTimestamp) > 0 {
		return nil
	}
	left, err := p.base.leftInGrace(ctx, f)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return &GraceError{Until: until}
	}
	return nil
}

func signedWith(all []tuf.Signature, keyID string) bool {
	return slices.ContainsFunc(all, func(s tuf.Signature) bool { return s.KeyID == keyID })
}
