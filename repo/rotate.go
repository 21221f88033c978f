package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is how the keys of snapshot and timestamp change hands. Clients read
// roots first: one that has just read the old root must still be able to verify
// what it reads next, and one with the new root too. So the files in force
// around the change are signed by old and new keys, and the new root comes
// last. For a while, the grace, whoever signs next signs with both.

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

const graceText = "the keys of snapshot and timestamp are being replaced; it goes on at "

func (e *GraceError) Error() string { return graceText + e.Until.UTC().Format(time.RFC3339) }

// ParseGrace reads the text of a GraceError that another process had.
func ParseGrace(text string) (*GraceError, bool) {
	at, ok := strings.CutPrefix(text, graceText)
	until, err := time.Parse(time.RFC3339, at)
	return &GraceError{Until: until}, ok && err == nil
}

// A CosignFunc asks the other party of a rotation for its signatures: on the
// snapshot that the caller has made and signed, and on a timestamp for the
// result.
type CosignFunc func(ctx context.Context, root, snapshot []byte) (cosigned, timestamp []byte, err error)

// HandOver replaces the keys of snapshot and timestamp, of which those now in
// force or the new ones, or both, are held by others behind the committer's
// Cosign. The publisher's keyring holds the root keys. If it is interrupted, to
// run it again completes it; where the root names these keys already the receipt
// is nil.
func (p *Publisher) HandOver(ctx context.Context, keys map[string]tuf.Key, grace time.Duration) (*Receipt, error) {
	for lost := range maxRaces {
		if err := giveWay(ctx, lost); err != nil {
			return nil, err
		}
		base, err := p.loader().Load(ctx)
		if err != nil {
			return nil, err
		}
		if !base.Published() {
			return nil, ErrNotPublished
		}
		if holds(&base.Root().Signed, keys) {
			return nil, nil // an earlier run has done it
		}
		root, err := p.nextRoot(ctx, base, func(r *tuf.Root) {
			for _, role := range slices.Sorted(maps.Keys(keys)) {
				replaceKeys(r, role, keys[role])
			}
			r.Publisher.GraceUntil = p.Now().Add(grace).UTC().Truncate(time.Second)
		})
		if err != nil {
			return nil, err
		}
		sub := &Submission{Collection: p.Collection, Files: map[string][]byte{tuf.RoleRoot: root.Bytes()}}
		receipt, err := p.Commit(ctx, base, sub)
		if !errors.Is(err, storage.ErrConflict) {
			return receipt, err
		}
	}
	return nil, fmt.Errorf("hand over keys: %w, %d times in a row", storage.ErrConflict, maxRaces)
}

// nextRoot makes the root after base's, signed by the old and the new root keys.
func (p *Publisher) nextRoot(ctx context.Context, base *View, edit func(*tuf.Root)) (*tuf.File[tuf.Root], error) {
	old := base.Root()
	r := old.Signed
	r.Keys, r.Roles = maps.Clone(r.Keys), maps.Clone(r.Roles)
	r.Version++
	r.Publisher.Parent = old.SHA256()
	r.Publisher.GraceUntil = time.Time{}
	edit(&r)
	r.Expires = p.Now().Add(lifetime(&r, tuf.RoleRoot))
	f, err := tuf.New(r)
	if err != nil {
		return nil, err
	}
	for _, by := range []*tuf.Root{&old.Signed, &r} {
		if err := sign(ctx, p.Keys, tuf.RoleRoot, by.Roles[tuf.RoleRoot], by.Keys, f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// holds reports whether each role has just this key.
func holds(r *tuf.Root, keys map[string]tuf.Key) bool {
	for role, key := range keys {
		if ids := r.Roles[role].KeyIDs; len(ids) != 1 || ids[0] != key.ID() {
			return false
		}
	}
	return true
}

// replaceKeys gives a role one key, and forgets keys that no role has any more.
func replaceKeys(r *tuf.Root, role string, key tuf.Key) {
	id := key.ID()
	r.Keys[id] = key
	r.Roles[role] = tuf.Role{KeyIDs: []string{id}, Threshold: 1, Unknown: r.Roles[role].Unknown}
	maps.DeleteFunc(r.Keys, func(id string, _ tuf.Key) bool {
		for _, other := range r.Roles {
			if slices.Contains(other.KeyIDs, id) {
				return false
			}
		}
		return true
	})
}

// current is the published file of snapshot or timestamp.
func (p *proposal) currentOnline(role string) (*tuf.Common, []tuf.Signature) {
	switch {
	case !p.base.Published():
		return &tuf.Common{}, nil
	case role == tuf.RoleSnapshot:
		return p.base.Snapshot.Head(), p.base.Snapshot.Signatures
	}
	return p.base.Timestamp.Head(), p.base.Timestamp.Signatures
}

// graceUntil is until when the next version of an online role says that the
// keys of the version before sign too: by the new root, or as long as the
// version before said.
func (p *proposal) graceUntil(role string) time.Time {
	if p.root != nil && p.base.Published() {
		return p.root.Signed.Publisher.GraceUntil
	}
	if current, _ := p.currentOnline(role); p.now.Before(current.Publisher.GraceUntil) {
		return current.Publisher.GraceUntil
	}
	return time.Time{}
}

// signOnline signs a new snapshot or timestamp for every root that clients may
// hold, and during a grace with every key that signed the version before.
func signOnline[T tuf.Content](ctx context.Context, ring Keyring, p *proposal, role string, f *tuf.File[T]) error {
	for _, root := range p.roots() {
		if err := sign(ctx, ring, role, root.Roles[role], root.Keys, f); err != nil {
			return err
		}
	}
	current, signatures := p.currentOnline(role)
	if p.root != nil || !p.now.Before(current.Publisher.GraceUntil) {
		return nil
	}
	for _, s := range signatures {
		if slices.ContainsFunc(f.Signatures, func(have tuf.Signature) bool { return have.KeyID == s.KeyID }) {
			continue
		}
		err := signWith(ctx, ring, role, s.KeyID, f)
		if errors.Is(err, ErrNoKey) {
			return &GraceError{Until: current.Publisher.GraceUntil}
		}
		if err != nil {
			return fmt.Errorf("sign %s with key %s: %w", role, tuf.ShortID(s.KeyID), err)
		}
	}
	return nil
}

// roots is those that the finished set must verify under: the newest, and the
// one before it if it is new.
func (p *proposal) roots() []*tuf.Root {
	if p.root != nil && p.base.Published() {
		return []*tuf.Root{&p.base.Root().Signed, &p.root.Signed}
	}
	return []*tuf.Root{&p.newest().Signed}
}

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

// signWhatIsHeld signs for every root as far as the keyring goes.
func signWhatIsHeld[T tuf.Content](ctx context.Context, ring Keyring, p *proposal, role string, f *tuf.File[T]) error {
	for _, root := range p.roots() {
		if _, err := signHeld(ctx, ring, role, root.Roles[role], root.Keys, f); err != nil {
			return err
		}
	}
	return nil
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
	p, err := verifySubmission(ctx, base, sub, c.Store, c.Now())
	if err != nil {
		return nil, nil, err
	}
	s, err := p.checkDraft(draft)
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

// checkDraft checks that a snapshot to be cosigned says what the published one
// says.
func (p *proposal) checkDraft(data []byte) (*tuf.File[tuf.Snapshot], error) {
	s, err := parseForm[tuf.Snapshot](data, p.base.loader.Collection, maxMetadata)
	if err != nil {
		return nil, err
	}
	before := p.base.Snapshot.Signed.Version
	if v := s.Signed.Version; v <= before || v > before+maxJump {
		return nil, fmt.Errorf("version %d does not follow %d", v, before)
	}
	want, err := p.newSnapshot(s.Signed.Version - 1)
	if err != nil {
		return nil, err
	}
	if err := sameBut(want, s, func(_, _ *tuf.Snapshot) {}); err != nil {
		return nil, err
	}
	return s, p.checkExpiry(tuf.RoleSnapshot, s.Head())
}

// stillCurrent looks once more at what a commit is built on, if that was loaded
// long ago: targets may have been uploaded for hours since.
func (c *Committer) stillCurrent(ctx context.Context, base *View) error {
	if c.Now().Sub(base.loader.Now) < freshFor || !base.Published() {
		return nil
	}
	_, version, err := base.read(ctx, "timestamp.json", MaxTimestamp)
	if err != nil || version != base.version {
		return errors.Join(err, errRace)
	}
	_, _, err = base.read(ctx, SlotName(tuf.RoleRoot, base.Root().Signed.Version+1), MaxRoot)
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, errRace)
	}
	return nil
}
