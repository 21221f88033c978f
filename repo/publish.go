package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// A CommitFunc is where commits run: Committer.Commit of a caller who holds the
// snapshot and timestamp keys, or the way to somebody who does. Base is the
// view that the submission was made from; it may be ignored.
type CommitFunc func(ctx context.Context, base *View, sub *Submission) (*Receipt, error)

// A Body is an open file that is about to be uploaded.
type Body interface {
	io.ReadSeeker
	io.Closer
}

// A Publisher publishes staged changes for those who hold the keys of the roles
// that change.
type Publisher struct {
	Store      storage.Store
	Collection string
	Cache      Cache
	Keys       Keyring
	Now        func() time.Time
	Pin        *Pin // what is demanded of the roots; may be nil
	Commit     CommitFunc

	// Drafts is the open ones of the collection. Where one of them is what a
	// publish would have signed, it goes on with that one and the signatures that
	// it has.
	Drafts []*Draft

	// Replacing, if set, is told before one of Drafts is given up for another one
	// of the same roles, with other changes; its error ends the publish.
	Replacing func(*Draft) error

	// Unsigned has Publish make a draft also where it holds no key at all for any
	// role that changes.
	Unsigned bool

	// Open opens the bytes of an added target.
	Open func(Change) (Body, error)

	// Pause, if set, waits in place of a timer for a garbage collection to end.
	Pause func(ctx context.Context, going *CollectedError, d time.Duration) error

	// Uploading, if set, is told of every n bytes that are sent, and of n bytes
	// that need not be sent, as they pass.
	Uploading func(n int64)
}

// A Published tells what a publish did. Without anything to do, Receipt is nil.
type Published struct {
	Plan    *Plan
	Receipt *Receipt
}

// Publish applies changes to the newest version of the collection and publishes
// the result. If others publish meanwhile it starts again from theirs; if garbage
// collection takes a target that it has found in the store, it sends that. Any
// error leaves the published version as it is, or complete; to run it again
// does no harm.
//
// Errors to decide by: *ChangeError for a change that cannot be applied,
// *DraftError where keys of others must sign too, *ThresholdError where no key is
// at hand at all, *CollectedError where a garbage collection does not end,
// *VerifyError for a collection that cannot be trusted, and those of Commit.
func (p *Publisher) Publish(ctx context.Context, changes []Change) (*Published, error) {
	r := &restarts{taken: map[string]int64{}}
	for lost := range maxRaces {
		if err := giveWay(ctx, lost); err != nil {
			return nil, err
		}
		plan, err := p.Plan(ctx, changes)
		if err != nil || plan.Empty() {
			return &Published{Plan: plan}, err
		}
		sub, draft, err := p.signFree(ctx, plan, r.taken)
		if err != nil {
			return nil, err
		}
		if plan.Empty() {
			return &Published{Plan: plan}, nil
		}
		if err := p.upload(ctx, plan); err != nil {
			return nil, err
		}
		if draft != nil {
			return &Published{Plan: plan}, draft
		}
		receipt, err := p.commit(ctx, plan, sub, r.taken)
		again, err := p.again(ctx, r, plan, sub, err)
		if !again || err != nil {
			return &Published{Plan: plan, Receipt: receipt}, err
		}
	}
	return nil, fmt.Errorf("publish: %w, %d times in a row", storage.ErrConflict, maxRaces)
}

// signFree signs a plan. Where signatures are missing it makes a draft, under
// numbers that nobody has taken.
func (p *Publisher) signFree(ctx context.Context, plan *Plan, taken map[string]int64) (sub *Submission, draft *DraftError, err error) {
	sub, err = p.free(ctx, taken, func() (*Submission, error) { return p.sign(ctx, plan, taken) })
	if errors.As(err, &draft) {
		err = nil
	}
	return sub, draft, err
}

// commit submits a plan, signed again under the next number as long as others,
// who are not done, have taken those before.
func (p *Publisher) commit(ctx context.Context, plan *Plan, sub *Submission, taken map[string]int64) (*Receipt, error) {
	for {
		receipt, err := p.Commit(ctx, plan.base, sub)
		var burned *BurnedError
		if !errors.As(err, &burned) {
			return receipt, err
		}
		taken[burned.Role] = burned.Version
		// Ends at the latest with the rejection of a number too far ahead.
		if sub, err = p.sign(ctx, plan, taken); err != nil {
			return nil, err
		}
	}
}

// Plan works out what publishing changes would do now. It changes nothing.
func (p *Publisher) Plan(ctx context.Context, changes []Change) (*Plan, error) {
	base, err := p.loader().Load(ctx)
	if err != nil {
		return nil, p.unlessForeign(ctx, err)
	}
	return base.Plan(ctx, changes)
}

// unlessForeign is ErrPublished in place of the error of a Load that found
// somebody else's collection where ours was to be published: ours was never
// seen there, and the first root is another.
func (p *Publisher) unlessForeign(ctx context.Context, err error) error {
	var bad *VerifyError
	if _, never := p.Cache.Get("timestamp.json"); !errors.As(err, &bad) || never == nil {
		return err
	}
	ours, cacheErr := p.Cache.Get(SlotName(tuf.RoleRoot, 1))
	there, _, readErr := storage.Read(ctx, p.Store, SlotKey(p.Collection, tuf.RoleRoot, 1), MaxRoot)
	if cacheErr != nil || readErr != nil || bytes.Equal(ours, there) {
		return err
	}
	return ErrPublished
}

// loader reads the collection for a change.
func (p *Publisher) loader() *Loader {
	return writersLoader(p.Store, p.Collection, p.Cache, p.Pin, p.Now())
}

// sign turns the plan into a submission. Roles come before those that delegate
// to them: starting a role adds to its delegation. The error is a *DraftError if
// keys are missing.
func (p *Publisher) sign(ctx context.Context, plan *Plan, taken map[string]int64) (*Submission, error) {
	drafted, err := p.draftFor(ctx, plan, taken)
	if err != nil {
		return nil, err
	}
	sub := &Submission{Collection: p.Collection, Files: map[string][]byte{}}
	if plan.First {
		sub.Files[tuf.RoleRoot] = plan.base.Root().Bytes()
	}
	s := &signing{ring: p.Keys}
	for _, role := range plan.order {
		if err := p.signAs(ctx, s, plan, role, drafted[role], taken[role], sub); err != nil {
			return nil, err
		}
	}
	if len(s.missing) > 0 && !p.Unsigned && !s.signed {
		return nil, s.missing[0]
	}
	return sub, s.result(sub)
}

// signAs signs the next version of a role into a submission, unless it turns
// out that it need not be there.
func (p *Publisher) signAs(
	ctx context.Context, s *signing, plan *Plan, role string, drafted *tuf.File[tuf.Targets], taken int64, sub *Submission,
) error {
	if plan.needless(role) {
		plan.drop(role)
		return nil
	}
	f, err := p.signRole(ctx, s, plan, role, drafted, taken)
	if err != nil {
		return err
	}
	signed := len(f.Signatures) > 0
	if plan.optional && !signed {
		plan.leave(role, s, sub)
		return nil
	}
	if role == tuf.RoleTargets && signed {
		if err := p.signInGrace(ctx, plan.base, f); err != nil {
			return err
		}
	}
	s.signed = s.signed || signed && !plan.started[role]
	sub.Files[role] = f.Bytes()
	return nil
}

// signRole signs the next version of a role as far as the keyring goes, that of
// an open draft if there is one.
func (p *Publisher) signRole(ctx context.Context, s *signing, plan *Plan, role string, f *tuf.File[tuf.Targets], after int64) (*tuf.File[tuf.Targets], error) {
	if f == nil {
		var err error
		if f, err = p.next(ctx, plan, role, after); err != nil {
			return nil, err
		}
	}
	r, keys, err := plan.signers(ctx, role)
	if err != nil {
		return nil, err
	}
	if _, err := f.KeepSignatures(f.SignedBy(r.KeyIDs, keys, true)); err != nil {
		return nil, err
	}
	before := len(s.missing)
	if err := signInto(ctx, s, role, r, keys, f); err != nil || len(s.missing) == before {
		return f, err
	}
	started, err := p.start(ctx, plan, role, after, len(f.Signatures) > 0)
	if started != nil {
		s.missing, f = s.missing[:before], started
	}
	return f, err
}

// draftFor is the files of an open draft that says what is to be signed now, with
// their signatures; nil if none does.
func (p *Publisher) draftFor(ctx context.Context, plan *Plan, taken map[string]int64) (map[string]*tuf.File[tuf.Targets], error) {
	var first []byte
	if plan.First {
		first = plan.base.Root().Bytes()
	}
	for _, d := range p.Drafts {
		likely := plan.like(d)
		files := map[string]*tuf.File[tuf.Targets]{}
		for _, role := range likely.order {
			f, err := p.next(ctx, likely, role, taken[role])
			if err != nil {
				return nil, err
			}
			files[role] = f
		}
		if drafted := d.says(first, files, p.Now()); drafted != nil {
			*plan = *likely
			return drafted, nil
		}
	}
	return nil, p.replace(plan.order)
}

// replace asks for each draft that what is to be signed now stands against:
// only one of the two can be published.
func (p *Publisher) replace(roles []string) error {
	for _, d := range p.Drafts {
		common := slices.ContainsFunc(d.Roles(), func(role string) bool { return slices.Contains(roles, role) })
		if !common || p.Replacing == nil {
			continue
		}
		if err := p.Replacing(d); err != nil {
			return err
		}
	}
	return nil
}

// next is the next version of a role, not signed yet.
func (p *Publisher) next(ctx context.Context, plan *Plan, role string, after int64) (*tuf.File[tuf.Targets], error) {
	t := *plan.content[role]
	current, err := plan.base.current(ctx, role)
	if err != nil {
		return nil, err
	}
	t.Publisher.Parent = ""
	if current != nil {
		t.Publisher.Parent = current.SHA256()
	}
	t.Version = max(after, plan.base.listed(role)) + 1
	t.Expires = p.Now().Add(lifetime(&plan.base.Root().Signed, role))
	return tuf.New(t)
}
