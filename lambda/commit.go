package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// errNoSubmission reports a submission that is not in the inbox: it never was,
// or it is answered.
var errNoSubmission = errors.New("it is not in the inbox")

// commit answers one submission. The receipt may be a refusal; with an error
// there is none, and the submission waits for another run.
func (s *Signer) commit(ctx context.Context, collection, name string) (*repo.Receipt, error) {
	// A sweep and a request for the same submission would sign it twice.
	done, err := s.busy.enter(ctx, collection)
	if err != nil {
		return nil, err
	}
	defer done()
	started := s.Now()
	receipt, again, err := s.tryCommit(ctx, collection, name)
	var p *panicError
	if errors.As(err, &p) || errors.Is(err, errGivenUp) {
		s.fail("submission failed", err, "collection", collection, "submission", name)
		receipt, err = s.putAside(ctx, collection, name)
	}
	s.apart(collection, func() { s.report(collection, name, receipt, again, err, s.Now().Sub(started)) })
	return receipt, err
}

// report says what became of a submission.
func (s *Signer) report(collection, name string, receipt *repo.Receipt, again bool, err error, took time.Duration) {
	log := s.Log.With("collection", collection, "submission", name)
	switch {
	case errors.Is(err, errNoSubmission):
	case err != nil:
		log.Warn("submission not answered", "error", err.Error())
		s.metrics.failure(collection)
	case again:
		log.Info("submission was answered before", "id", receipt.Submission)
	case receipt.Refused != nil:
		log.Info("submission refused", "id", receipt.Submission, "kind", receipt.Refused.Kind, "error", receipt.Refused.Error)
		s.metrics.refusal(collection, receipt.Refused.Kind, took)
	default:
		log.Info("submission committed", "id", receipt.Submission, "versions", receipt.Versions)
		s.metrics.commit(collection, took)
	}
}

// apart does what comes after something that is done: whatever happens to it is
// logged, and changes nothing.
func (s *Signer) apart(collection string, do func()) {
	var err error
	defer func() {
		if err != nil {
			s.fail("not counted", err, "collection", collection)
		}
	}()
	defer caught(&err)
	do()
}

// tryCommit is commit without what is said about it. Again says that there was a
// receipt.
func (s *Signer) tryCommit(ctx context.Context, collection, name string) (receipt *repo.Receipt, again bool, err error) {
	defer caught(&err)
	space, err := s.room.enter(ctx)
	if err != nil {
		return nil, false, err
	}
	defer space.leave()
	box := repo.Inbox{Store: s.private, Collection: collection}
	sub, err := repo.Inbox{Store: limit(s.private, space), Collection: collection}.Submission(ctx, name)
	if sub == nil && errors.Is(err, fs.ErrNotExist) {
		return nil, false, errNoSubmission
	}
	if sub != nil {
		there, readErr := box.Receipt(ctx, sub.ID())
		if readErr == nil {
			s.clear(ctx, box, name)
			s.forgetAttempts(ctx, collection, name)
			return there, true, nil
		}
		if !errors.Is(readErr, fs.ErrNotExist) {
			return nil, false, readErr
		}
	}
	if err == nil {
		receipt, err = s.attemptTo(ctx, collection, name, sub)
	}
	receipt, err = s.answer(ctx, box, name, sub, receipt, err)
	return receipt, false, err
}

// answer writes the receipt of what became of a submission, if that is final.
func (s *Signer) answer(ctx context.Context, box repo.Inbox, name string, sub *repo.Submission, receipt *repo.Receipt, err error) (*repo.Receipt, error) {
	unread := sub == nil
	if unread {
		sub = &repo.Submission{Collection: box.Collection}
	}
	receipt, err = repo.Answered(sub, receipt, err)
	if err != nil {
		return nil, err
	}
	if receipt.Refused != nil {
		receipt.Refused.Hint = hint(receipt)
	}
	if unread {
		// Too large to be read, so it has no hash to name a receipt by.
		receipt.Submission = ""
		return receipt, box.Quarantine(ctx, name)
	}
	if receipt, err = box.Answer(ctx, receipt); err != nil {
		return nil, err
	}
	s.clear(ctx, box, name)
	return receipt, nil
}

// clear takes an answered submission out of the inbox. If that fails the next
// sweep finds its receipt.
func (s *Signer) clear(ctx context.Context, box repo.Inbox, name string) {
	if err := box.Clear(ctx, name); err != nil {
		s.Log.Warn("submission not cleared", "collection", box.Collection, "submission", name, "error", err.Error())
	}
}

// attemptTo is commitTo, counted.
func (s *Signer) attemptTo(ctx context.Context, collection, name string, sub *repo.Submission) (receipt *repo.Receipt, err error) {
	a, err := s.attempt(ctx, collection, name)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, unanswered := repo.Answered(sub, receipt, err)
		a.end(ctx, unanswered == nil)
	}()
	limited, cancel := s.within(ctx)
	defer cancel()
	defer caught(&err)
	return s.commitTo(limited, collection, sub)
}

// commitTo has the submission checked and published.
func (s *Signer) commitTo(ctx context.Context, collection string, sub *repo.Submission) (*repo.Receipt, error) {
	c, err := s.cacheFor(ctx, collection, sub)
	if err != nil {
		return nil, err
	}
	committer, recovers, err := s.committerFor(ctx, collection, c, sub)
	if err != nil {
		return nil, err
	}
	receipt, err := committer.Commit(ctx, nil, sub)
	if err != nil && recovers {
		// Of its files some may be published, with lower versions than are kept here.
		s.caches.forget(collection)
	}
	var short *repo.ThresholdError
	if errors.As(err, &short) {
		return nil, s.keyless(ctx, collection, short.Role)
	}
	if err != nil {
		return nil, err
	}
	s.apart(collection, func() {
		s.caches.keep(c)
		s.remember(ctx, collection, c)
		s.observe(ctx, collection, c)
	})
	return receipt, nil
}

// maxNew is how many new targets a submission may have: each is a request, or
// more, and a function has 15 minutes for all.
const maxNew = 20_000

func (s *Signer) committer(collection string, c *cache, store storage.Store) *repo.Committer {
	last, _ := c.lastSeen()
	return &repo.Committer{
		Store: above(store, collection, last), Collection: collection, Cache: c,
		Keys: &keyring{s, collection}, Now: s.Now, MaxNew: maxNew,
	}
}

// committerFor is the committer of one submission, and whether that is a recovery.
// A recovery goes on from lower versions than were seen, and is published in part
// before its root says so: for that one alone, what it goes on from is not older
// than what was seen.
func (s *Signer) committerFor(ctx context.Context, collection string, c *cache, sub *repo.Submission) (*repo.Committer, bool, error) {
	store := &founding{s.public, s, collection}
	committer := s.committer(collection, c, store)
	restart, err := committer.Restart(ctx, sub)
	if n, ok := restart[tuf.RoleTimestamp]; ok {
		last, _ := c.lastSeen()
		last.Timestamp = min(last.Timestamp, n-1)
		committer.Store = above(store, collection, last)
	}
	return committer, restart != nil, err
}

// cacheFor is where trust in a collection starts: what is in memory, or the
// first root in the public store, where nobody but the signer may write. If
// there is none the submission may bring it; that one is kept in memory only
// after it is published.
func (s *Signer) cacheFor(ctx context.Context, collection string, sub *repo.Submission) (*cache, error) {
	data, ok := sub.Files[tuf.RoleRoot]
	if ok {
		if err := s.forgetDeleted(ctx, collection); err != nil {
			return nil, err
		}
	}
	c, err := s.known(ctx, collection)
	if c != nil || err != nil {
		return c, err
	}
	if !ok {
		return nil, &repo.Rejection{Reason: errors.New("nothing is published under this name: a first publication needs root and targets")}
	}
	if err := s.checkGenesis(ctx, collection, data); err != nil {
		return nil, err
	}
	return s.caches.start(collection, data), nil
}

// forgetDeleted forgets a collection whose first root is gone, and the note that
// there was one: its owner has deleted it, and may make another of the same name.
func (s *Signer) forgetDeleted(ctx context.Context, collection string) error {
	if s.caches.of(collection) == nil {
		return nil
	}
	_, err := storage.Stat(ctx, s.public, repo.SlotKey(collection, tuf.RoleRoot, 1))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	last, _, err := s.readSeen(ctx, collection)
	if err == nil && last.Root == 0 {
		s.caches.forget(collection)
	}
	return err
}

// known returns nil for a collection that has no first root.
func (s *Signer) known(ctx context.Context, collection string) (*cache, error) {
	if c := s.caches.of(collection); c != nil {
		return c, nil
	}
	last, noted, err := s.readSeen(ctx, collection)
	if err != nil {
		return nil, err
	}
	name := repo.SlotKey(collection, tuf.RoleRoot, 1)
	data, _, err := storage.Read(ctx, s.public, name, repo.MaxRoot)
	switch {
	case errors.Is(err, fs.ErrNotExist) && last.Root > 0:
		return nil, lost(repo.SlotName(tuf.RoleRoot, 1), 0, 1)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := s.checkHash(collection, data); err != nil {
		return nil, &repo.VerifyError{File: repo.SlotName(tuf.RoleRoot, 1), Err: err}
	}
	c := s.caches.start(collection, data)
	c.see(last, noted)
	return c, nil
}

// checkGenesis decides whether a root may start a collection here. What is wrong
// with it as a root, repo finds.
func (s *Signer) checkGenesis(ctx context.Context, collection string, data []byte) error {
	rejection := func(err error) error { return &repo.Rejection{Role: tuf.RoleRoot, Reason: err} }
	if s.Create == nil {
		return rejection(errors.New("no collections are created here"))
	}
	if err := s.Create(collection); err != nil {
		return rejection(fmt.Errorf("%s may not be created: %w", collection, err))
	}
	if err := s.checkHash(collection, data); err != nil {
		return rejection(err)
	}
	root, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
	if err != nil {
		return rejection(err)
	}
	// Unverified, it would be refused as the trusted root, not as a submission.
	if err := root.Verify(tuf.RoleRoot, root.Signed.Roles[tuf.RoleRoot], root.Signed.Keys); err != nil {
		return rejection(err)
	}
	return s.checkHeld(ctx, collection, &root.Signed)
}

// checkHash compares with the configuration.
func (s *Signer) checkHash(collection string, root []byte) error {
	if s.Genesis == nil {
		return nil
	}
	want, ok := s.Genesis(collection)
	if sum := hashOf(root); ok && sum != want {
		return fmt.Errorf("the first root has the sha256 %s, not %s, the one that is configured", sum, want)
	}
	return nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// checkHeld wants all keys of the online roles to be the signer's: with one that
// is somewhere else too, it could not answer for what is published.
func (s *Signer) checkHeld(ctx context.Context, collection string, root *tuf.Root) error {
	for _, role := range onlineRoles {
		for _, id := range root.Roles[role].KeyIDs {
			k, err := s.ownKey(ctx, collection, role, id)
			if k == nil && err == nil {
				err = &repo.Rejection{Role: tuf.RoleRoot, Reason: fmt.Errorf("its %s key %.12s is not one that the signer holds", role, id)}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// newest is what is published, nil for a collection that is not there.
func (s *Signer) newest(ctx context.Context, collection string) (*repo.View, error) {
	if err := s.forgetDeleted(ctx, collection); err != nil {
		return nil, err
	}
	c, err := s.known(ctx, collection)
	if c == nil || err != nil {
		return nil, err
	}
	l := &repo.Loader{
		Source: s.public, Collection: collection, Cache: c,
		Now: s.Now(), IgnoreExpiry: true, TimestampFirst: true,
	}
	v, err := l.Load(ctx)
	if err != nil {
		return nil, err
	}
	s.caches.keep(c)
	return v, nil
}

// maxManifest is what repo reads of a manifest.
const maxManifest = 64 << 10

// putAside answers a submission that the signer failed on. It may have failed
// after the submission was published: then that is the answer.
func (s *Signer) putAside(ctx context.Context, collection, name string) (*repo.Receipt, error) {
	s.caches.forget(collection)
	receipt, err := s.published(ctx, collection, name)
	var p *panicError
	switch {
	case errors.As(err, &p):
		// It cannot even be looked at, now or later.
	case err != nil:
		return nil, err
	case receipt != nil:
		box := repo.Inbox{Store: s.private, Collection: collection}
		if receipt, err = box.Answer(ctx, receipt); err == nil {
			s.clear(ctx, box, name)
			s.forgetAttempts(ctx, collection, name)
		}
		return receipt, err
	}
	return s.quarantine(ctx, collection, name)
}

// published is the receipt of a submission that is what is published, or nil.
func (s *Signer) published(ctx context.Context, collection, name string) (receipt *repo.Receipt, err error) {
	defer caught(&err)
	space, err := s.room.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer space.leave()
	sub, err := repo.Inbox{Store: limit(s.private, space), Collection: collection}.Submission(ctx, name)
	var rejection *repo.Rejection
	if errors.As(err, &rejection) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := s.known(ctx, collection)
	if c == nil || err != nil {
		return nil, err
	}
	return s.committer(collection, c, s.public).Published(ctx, sub)
}

// quarantine refuses a submission and moves it away: the signer would fail on it
// again.
func (s *Signer) quarantine(ctx context.Context, collection, name string) (receipt *repo.Receipt, err error) {
	defer caught(&err)
	box := repo.Inbox{Store: s.private, Collection: collection}
	data, _, err := storage.Read(ctx, s.private, repo.SubmissionKey(collection, name), maxManifest)
	if err != nil {
		return nil, err
	}
	receipt = &repo.Receipt{Collection: collection, Submission: hashOf(data), Refused: &repo.Refusal{
		Kind: kindRejected, Error: "the signer failed on it, and has put it aside",
		Hint: "tell whoever runs the signer: " + repo.QuarantineKey(collection, name),
	}}
	if receipt, err = box.Answer(ctx, receipt); err != nil {
		return nil, err
	}
	s.Log.Error("submission quarantined", "collection", collection, "submission", name)
	s.metrics.quarantine(collection)
	if err := box.Quarantine(ctx, name); err != nil {
		return nil, err
	}
	s.forgetAttempts(ctx, collection, name)
	return receipt, nil
}

// kindRejected is the kind of a refusal that is not about somebody else having
// been faster.
const kindRejected = "rejected"

// hint is what to do about a refusal, as the command line would say it.
func hint(r *repo.Receipt) string {
	switch r.Err().(type) {
	case *repo.StaleError, *repo.BurnedError:
		return "publisher publish " + r.Collection + " makes it again from what is published now"
	}
	if errors.Is(r.Err(), repo.ErrPublished) {
		return "publisher trust add " + r.Collection + " --root FILE to use the one that is there, or choose another name"
	}
	if r.Refused.Missing != "" {
		return "publisher publish " + r.Collection + " sends the target again"
	}
	switch r.Refused.Error {
	case keysMoved:
		return "what is staged stays: ask the owner of " + r.Collection + " who signs it now, then publisher trust set " + r.Collection + " --online SIGNER; or have the owner publish it"
	case keysLost:
		return "what is staged stays: ask whoever runs the signer for its keys; if they are lost, publisher key rotate " + r.Collection + " " + r.Refused.Role + " --local --old-key-lost"
	}
	return "publisher status " + r.Collection + " shows what is staged; correct it and publish again"
}
