package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"publisher/repo/tuf"
)

// This file is how two parties sign together, of whom one takes the keys of
// snapshot and timestamp over from the other.

// A CosignFunc asks the other party of a rotation for its signatures: on the
// snapshot that the caller has made and signed, and on a timestamp for the
// result.
type CosignFunc func(ctx context.Context, root, snapshot []byte) (cosigned, timestamp []byte, err error)

// cosigned signs snapshot and timestamp together with the other party.
func (c *Committer) cosigned(ctx context.Context, p *proposal, next ready) (ready, error) {
	if err := signWhatIsHeld(ctx, c.Keys, p, tuf.RoleSnapshot, next.snapshot); err != nil {
		return next, err
	}
	snapshot, timestamp, err := c.Cosign(ctx, p.root.Bytes(), next.snapshot.Bytes())
	if err != nil {
		return next, fmt.Errorf("ask for the other party's signatures: %w", err)
	}
	signed, err := parseForm[tuf.Snapshot](snapshot, c.Collection, maxMetadata)
	if err != nil {
		return next, unverified("the cosigned snapshot", err)
	}
	if !bytes.Equal(signed.Payload(), next.snapshot.Payload()) {
		return next, unverified("the cosigned snapshot", errors.New("it is not the one that was to be signed"))
	}
	next.snapshot = signed
	if next.timestamp, err = c.cosignedTimestamp(p, next.snapshot, timestamp); err != nil {
		return next, err
	}
	if err := signOnline(ctx, c.Keys, p, tuf.RoleSnapshot, next.snapshot); err != nil {
		return next, err
	}
	return next, signOnline(ctx, c.Keys, p, tuf.RoleTimestamp, next.timestamp)
}

// cosignedTimestamp checks that a timestamp is the one that would be made here.
func (c *Committer) cosignedTimestamp(p *proposal, snapshot *tuf.File[tuf.Snapshot], data []byte) (*tuf.File[tuf.Timestamp], error) {
	ts, err := parseForm[tuf.Timestamp](data, c.Collection, MaxTimestamp)
	if err != nil {
		return nil, unverified("the cosigned timestamp", err)
	}
	if ts.Signed.Publisher.Parent != p.base.Timestamp.SHA256() {
		return nil, &StaleError{Role: tuf.RoleTimestamp}
	}
	want, err := p.newTimestamp(snapshot)
	if err != nil {
		return nil, err
	}
	if err := sameBut(want, ts, func(want, got *tuf.Timestamp) {
		want.Publisher.RefreshAfter = got.Publisher.RefreshAfter
	}); err != nil {
		return nil, unverified("the cosigned timestamp", err)
	}
	return ts, p.checkExpiry(tuf.RoleTimestamp, ts.Head())
}

// sameBut reports whether got is what want would be with got's expiry, and with
// what else adopt takes over.
func sameBut[T tuf.Content](want, got *tuf.File[T], adopt func(want, got *T)) error {
	again := want.Signed
	tuf.Head(&again).Expires = got.Head().Expires
	adopt(&again, &got.Signed)
	f, err := tuf.New(again)
	if err != nil {
		return err
	}
	if !bytes.Equal(f.Payload(), got.Payload()) {
		return errors.New("it is not what follows from the published version")
	}
	return nil
}

// signWhatIsHeld signs for every root, and in a grace for those before, as far as
// the keyring goes.
func signWhatIsHeld[T tuf.Content](ctx context.Context, ring Keyring, p *proposal, role string, f *tuf.File[T]) error {
	for _, root := range p.roots() {
		if _, err := signHeld(ctx, ring, role, root.Roles[role], root.Keys, f); err != nil {
			return err
		}
	}
	if p.inGrace(role).IsZero() {
		return nil
	}
	_, before := p.currentOnline(role)
	_, err := signAlso(ctx, ring, role, before, f)
	return err
}

// CosignFor is the other end of a CosignFunc: it signs, with the keys held
// here, the snapshot of somebody who replaces the keys of snapshot and
// timestamp by a new root, and makes a timestamp for it. The new root, signed by
// the root keys in force, is what allows it. Nothing is written.
func (c *Committer) CosignFor(ctx context.Context, root, draft []byte) (snapshot, timestamp []byte, err error) {
	base, err := c.loader().Load(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !base.Published() {
		return nil, nil, ErrNotPublished
	}
	sub := &Submission{Collection: c.Collection, Files: map[string][]byte{tuf.RoleRoot: root}}
	p, err := verifySubmission(ctx, base, sub, c.Store, c.Now(), c.MaxNew)
	if err != nil {
		return nil, nil, err
	}
	s, err := p.checkDraft(draft)
	var stale *StaleError
	if errors.As(err, &stale) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, &Rejection{Role: tuf.RoleSnapshot, Reason: err}
	}
	if err := signWhatIsHeld(ctx, c.Keys, p, tuf.RoleSnapshot, s); err != nil {
		return nil, nil, err
	}
	t, err := p.newTimestamp(s)
	if err != nil {
		return nil, nil, err
	}
	if err := signWhatIsHeld(ctx, c.Keys, p, tuf.RoleTimestamp, t); err != nil {
		return nil, nil, err
	}
	if len(s.Signatures) == 0 || len(t.Signatures) == 0 {
		return nil, nil, fmt.Errorf("cosign: %w: neither the old nor the new keys of snapshot and timestamp", ErrNoKey)
	}
	return s.Bytes(), t.Bytes(), nil
}

// sameClock takes over until when the other party wants the grace to last, if
// that is what the root allows.
func (p *proposal) sameClock(want, got *tuf.Snapshot) {
	until := got.Publisher.GraceUntil
	if !until.Before(p.inGrace(tuf.RoleSnapshot)) && !until.After(p.now.Add(graceOf(&p.root.Signed)+slack)) {
		want.Publisher.GraceUntil = until
	}
}

// checkDraft checks that a snapshot to be cosigned says what the published one
// says.
func (p *proposal) checkDraft(data []byte) (*tuf.File[tuf.Snapshot], error) {
	s, err := parseForm[tuf.Snapshot](data, p.base.loader.Collection, maxMetadata)
	if err != nil {
		return nil, err
	}
	if s.Signed.Publisher.Parent != p.base.Snapshot.SHA256() {
		return nil, &StaleError{Role: tuf.RoleSnapshot}
	}
	before := p.base.Snapshot.Signed.Version
	if v := s.Signed.Version; v <= before || v > before+maxJump {
		return nil, fmt.Errorf("version %d does not follow %d", v, before)
	}
	want, err := p.newSnapshot(s.Signed.Version - 1)
	if err != nil {
		return nil, err
	}
	if err := sameBut(want, s, p.sameClock); err != nil {
		return nil, err
	}
	return s, p.checkExpiry(tuf.RoleSnapshot, s.Head())
}
