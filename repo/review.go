package repo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo/tuf"
	"publisher/storage"
)

// A Review is a draft that has passed every check of commit but for the
// signatures that it lacks: it may be shown to those who are to sign it.
type Review struct {
	Draft   *Draft       // with good signatures only
	Roles   []RoleReview // in the order of Draft.Roles
	Ignored []Signed     // signatures that are not good, or nobody's who may sign

	p *proposal
}

// Signed names a key that signed a role.
type Signed struct {
	Role  string `json:"role"`
	KeyID string `json:"key_id"`
}

// A RoleReview is what signing one role of a draft would say.
type RoleReview struct {
	Role    string    `json:"role"`
	From    int64     `json:"from"` // the published version, 0 if there is none
	To      int64     `json:"to"`
	Expires time.Time `json:"expires"`
	Before  time.Time `json:"expires_before,omitzero"` // of the published version
	Signed  []string  `json:"signed,omitempty"`        // key IDs

	// RootFirst says of a root that old keys are lost: clients take nothing from
	// its publication until the rest has followed.
	RootFirst bool `json:"root_first,omitempty"`

	Difference

	// Other is what changed beside all this.
	Other []OtherField `json:"other,omitempty"`

	// Targets is those added or changed, as the role describes them now.
	Targets map[string]tuf.TargetFile `json:"targets,omitempty"`
}

// A demand is a threshold that a file of a draft has to meet.
type demand struct {
	role string
	by   tuf.Role
	keys map[string]tuf.Key
}

// demandRoot is verifySuccessor, or checkGenesis, for a root that is not signed
// yet.
func (p *proposal) demandRoot() error {
	want := int64(1)
	if p.base.Published() {
		before := &p.base.Root().Signed
		want = before.Version + 1
		p.demands = append(p.demands, demand{tuf.RoleRoot, before.Roles[tuf.RoleRoot], before.Keys})
	}
	if v := p.root.Signed.Version; v != want {
		return fmt.Errorf("version %d, not %d", v, want)
	}
	root := &p.root.Signed
	p.demands = append(p.demands, demand{tuf.RoleRoot, root.Roles[tuf.RoleRoot], root.Keys})
	return nil
}

// Review checks a draft on top of the published version, as hostile as a
// submission. Where store is nil, the bytes of targets are not looked for.
//
// The error is ErrDraftPublished if the draft is published, a *StaleError if
// somebody else's publish came first, ErrPublished if the draft starts a
// collection that has another root, a *Rejection if it cannot be published
// whoever signs it: it is dead in all these cases. It is a *HalfError if a
// publication of the draft is to be completed.
func (v *View) Review(ctx context.Context, d *Draft, store storage.Getter, now time.Time) (*Review, error) {
	r, err := v.review(ctx, d, store, now)
	var stale *StaleError
	if !errors.As(err, &stale) && !errors.Is(err, ErrPublished) {
		return r, err
	}
	there, lookErr := v.partsOf(ctx, d)
	switch {
	case lookErr != nil:
		return nil, errors.Join(err, lookErr)
	case len(there) == len(d.Files):
		return nil, ErrDraftPublished
	case v.isHalf(d, there):
		rest, restErr := v.rest(d, there)
		if restErr != nil {
			return nil, errors.Join(err, restErr)
		}
		return nil, &HalfError{Rest: rest}
	}
	return nil, err
}

// rest is what is to be committed after an interruption: what is there, as it is
// there, and the other files with all good signatures that the draft has.
func (v *View) rest(d *Draft, there map[string][]byte) (*Submission, error) {
	p := &proposal{base: v, targets: map[string]*tuf.File[tuf.Targets]{}, draft: true}
	r := &Review{Draft: d.copy(), p: p}
	if err := p.parse(d.Submission()); err != nil {
		return nil, err
	}
	newest := &v.Root().Signed
	if there[tuf.RoleRoot] == nil {
		if err := p.demandRoot(); err != nil {
			return nil, err
		}
	} else if p.targets[tuf.RoleTargets] != nil {
		p.demands = append(p.demands, demand{tuf.RoleTargets, newest.Roles[tuf.RoleTargets], newest.Keys})
	}
	if err := r.sift(); err != nil {
		return nil, err
	}
	sub := r.Draft.Submission()
	maps.Copy(sub.Files, there)
	return sub, nil
}

// isHalf reports whether a publication of the draft, of which these files are
// published, was interrupted before its end.
func (v *View) isHalf(d *Draft, there map[string][]byte) bool {
	_, root := there[tuf.RoleRoot]
	if root {
		newest := v.Root()
		return len(there) == 1 && newest.Signed.Publisher.RootFirst && bytes.Equal(there[tuf.RoleRoot], newest.Bytes())
	}
	return len(there) > 0 && len(there) == len(d.Files)-1 && d.Files[tuf.RoleRoot] != nil
}

func (v *View) review(ctx context.Context, d *Draft, store storage.Getter, now time.Time) (*Review, error) {
	p := &proposal{base: v, targets: map[string]*tuf.File[tuf.Targets]{}, now: now, draft: true}
	steps := []func() error{
		func() error { return p.parse(d.Submission()) },
		func() error { return p.checkFirst() },
		func() error { return p.checkParents(ctx) },
		p.checkVersions,
		p.checkRoot,
		p.checkRestart,
		func() error { return p.checkRoles(ctx) },
		p.checkPaths,
		func() error { return p.checkDraftObjects(ctx, store) },
		p.checkExpiries,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	r := &Review{Draft: d.copy(), p: p}
	if err := r.sift(); err != nil {
		return nil, err
	}
	return r, r.compare(ctx)
}

// checkFirst holds a first root to the one that is trusted already, if any is.
func (p *proposal) checkFirst() error {
	if p.base.Published() || p.root == nil || len(p.base.Roots) == 0 {
		return nil
	}
	if !bytes.Equal(p.root.Payload(), p.base.Root().Payload()) {
		return reject(tuf.RoleRoot, "it is not the root that is trusted here")
	}
	return nil
}

func (p *proposal) checkDraftObjects(ctx context.Context, store storage.Getter) error {
	if store == nil {
		return nil
	}
	return p.checkObjects(ctx, store)
}

// sift keeps of the files' signatures, and takes of those beside them, what is
// good. The rest is told.
func (r *Review) sift() error {
	for _, role := range r.Draft.Roles() {
		var err error
		if role == tuf.RoleRoot {
			err = sift(r, role, r.p.root)
		} else {
			err = sift(r, role, r.p.targets[role])
		}
		if err != nil {
			return err
		}
	}
	r.Draft.Signatures = nil
	return nil
}

func sift[T tuf.Content](r *Review, role string, f *tuf.File[T]) error {
	removed, err := f.KeepSignatures(r.signedBy(role, f.SignedBy))
	if err != nil {
		return err
	}
	for _, id := range removed {
		r.Ignored = append(r.Ignored, Signed{role, id})
	}
	for _, s := range r.Draft.Signatures {
		if s.Role != role || slices.Contains(r.signedBy(role, f.SignedBy), s.KeyID) {
			continue
		}
		sig, err := hex.DecodeString(s.Sig)
		if err != nil || !r.verifies(role, s.KeyID, f.Payload(), sig) {
			r.Ignored = append(r.Ignored, Signed{role, s.KeyID})
			continue
		}
		if err := f.AddSignature(s.KeyID, sig); err != nil {
			return err
		}
	}
	r.Draft.Files[role] = f.Bytes()
	return nil
}

// signedBy is the keys, of all that are asked for a role, that have signed it.
func (r *Review) signedBy(role string, signed func([]string, map[string]tuf.Key, bool) []string) []string {
	var ids []string
	for _, d := range r.demands(role) {
		for _, id := range signed(d.by.KeyIDs, d.keys, true) {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// verifies reports whether a signature is good, and of a key that may sign.
func (r *Review) verifies(role, keyID string, payload, sig []byte) bool {
	return slices.ContainsFunc(r.demands(role), func(d demand) bool {
		key, ok := d.keys[keyID]
		return ok && slices.Contains(d.by.KeyIDs, keyID) && key.Verify(payload, sig, true) == nil
	})
}

func (r *Review) demands(role string) []demand {
	return slices.DeleteFunc(slices.Clone(r.p.demands), func(d demand) bool { return d.role != role })
}

// Missing is what signatures the draft lacks, nothing if it can be published.
func (r *Review) Missing() []*ThresholdError {
	s := &signing{ring: noKeys{}}
	for _, role := range r.Draft.Roles() {
		// A keyring without keys never fails otherwise.
		_ = r.signRole(context.Background(), s, role)
	}
	return s.missing
}

// noKeys is the keyring of nobody.
type noKeys struct{}

func (noKeys) Signer(context.Context, string, string) (signature.Signer, error) { return nil, ErrNoKey }

// Sign adds the signatures of a keyring, as many as the thresholds need, to one
// role or, if it is empty, to all. It returns those that it added.
func (r *Review) Sign(ctx context.Context, ring Keyring, only string) ([]Signed, error) {
	s := &signing{ring: ring}
	var added []Signed
	for i := range r.Roles {
		role := &r.Roles[i]
		if only != "" && only != role.Role {
			continue
		}
		if err := r.signRole(ctx, s, role.Role); err != nil {
			return nil, err
		}
		now := r.signers(role.Role)
		for _, id := range without(now, role.Signed) {
			added = append(added, Signed{role.Role, id})
		}
		role.Signed = now
	}
	return added, nil
}

func (r *Review) signRole(ctx context.Context, s *signing, role string) error {
	for _, d := range r.demands(role) {
		var err error
		if role == tuf.RoleRoot {
			err = signInto(ctx, s, role, d.by, d.keys, r.p.root)
			r.Draft.Files[role] = r.p.root.Bytes()
		} else {
			err = signInto(ctx, s, role, d.by, d.keys, r.p.targets[role])
			r.Draft.Files[role] = r.p.targets[role].Bytes()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// signers is the keys that have signed a role.
func (r *Review) signers(role string) []string {
	if role == tuf.RoleRoot {
		return r.signedBy(role, r.p.root.SignedBy)
	}
	return r.signedBy(role, r.p.targets[role].SignedBy)
}

// Initial is the keys that sign a first, empty version of a role in this draft and
// were thrown away.
func (r *Review) Initial(role string) []string {
	var ids []string
	for _, above := range r.p.targets {
		ids = append(ids, above.Signed.Publisher.Initial[role]...)
	}
	return ids
}

// Covers reports whether the draft has a file of that role.
func (r *Review) Covers(role string) bool { return r.Draft.Files[role] != nil }

// Stranger reports whether nothing that is trusted here vouches for the draft:
// it starts a collection that is not known.
func (r *Review) Stranger() bool { return len(r.p.base.Roots) == 0 }

// compare works out what the draft changes.
func (r *Review) compare(ctx context.Context) error {
	for _, role := range r.Draft.Roles() {
		review := RoleReview{Role: role, Signed: r.signers(role)}
		if role == tuf.RoleRoot {
			if err := r.compareRoot(&review); err != nil {
				return err
			}
		} else if err := r.compareTargets(ctx, &review); err != nil {
			return err
		}
		r.Roles = append(r.Roles, review)
	}
	return nil
}

func (r *Review) compareRoot(review *RoleReview) (err error) {
	var before *tuf.Root
	if r.p.base.Published() {
		before = &r.p.base.Root().Signed
		review.From, review.Before = before.Version, before.Expires
	}
	after := &r.p.root.Signed
	review.To, review.Expires, review.RootFirst = after.Version, after.Expires, after.Publisher.RootFirst
	review.Difference = compareRoots(before, after)
	review.Other, err = otherInRoot(before, after, review.Difference)
	return err
}

func (r *Review) compareTargets(ctx context.Context, review *RoleReview) error {
	current, err := r.p.base.current(ctx, review.Role)
	if err != nil {
		return err
	}
	var before *tuf.Targets
	if current != nil {
		before = &current.Signed
		review.From, review.Before = before.Version, before.Expires
	}
	after := &r.p.targets[review.Role].Signed
	review.To, review.Expires = after.Version, after.Expires
	review.Difference = compareTargets(before, after)
	if review.Other, err = otherInTargets(before, after); err != nil {
		return err
	}
	review.Targets = map[string]tuf.TargetFile{}
	for _, name := range slices.Concat(review.Added, review.Changed) {
		review.Targets[name] = after.Targets[name]
	}
	return nil
}

// PublishDraft commits a draft that was reviewed on top of what is published now
// and lacks nothing any more; otherwise the error is a *DraftError. It may be
// that somebody else publishes the same draft at the same time, with signatures
// of others: then theirs stand.
func (p *Publisher) PublishDraft(ctx context.Context, r *Review) (*Receipt, error) {
	if missing := r.Missing(); len(missing) > 0 {
		return nil, &DraftError{Draft: r.Draft, Missing: missing}
	}
	base := r.p.base
	for range len(r.Draft.Files) {
		receipt, err := p.Commit(ctx, base, r.Draft.Submission())
		var burned *BurnedError
		if !errors.As(err, &burned) {
			return receipt, err
		}
		if ours, adoptErr := r.adopt(ctx, p.Store, burned); adoptErr != nil || !ours {
			return nil, errors.Join(err, adoptErr)
		}
		base = nil
	}
	return p.Commit(ctx, nil, r.Draft.Submission())
}

// adopt takes over the signatures of what is in a slot, if it says what the
// draft says and is as well signed: an unfinished publish of the same draft.
func (r *Review) adopt(ctx context.Context, store storage.Getter, burned *BurnedError) (bool, error) {
	ours := r.p.targets[burned.Role]
	if ours == nil {
		return false, nil
	}
	data, _, err := storage.Read(ctx, store, SlotKey(r.Draft.Collection, burned.Role, burned.Version), maxFile(burned.Role))
	if err != nil {
		return false, err
	}
	theirs, err := tuf.Parse[tuf.Targets](data, maxFile(burned.Role))
	if err != nil || !bytes.Equal(theirs.Payload(), ours.Payload()) {
		return false, nil
	}
	for _, d := range r.demands(burned.Role) {
		if int64(len(theirs.SignedBy(d.by.KeyIDs, d.keys, true))) < d.by.Threshold {
			return false, nil
		}
	}
	taken := bytes.Equal(r.Draft.Files[burned.Role], data) // it is there too long to be built on
	r.Draft.Files[burned.Role] = data
	return !taken, nil
}
