package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/oklog/ulid/v2"

	"publisher/lambda"
	"publisher/repo"
	"publisher/storage"
	"publisher/trust"
)

// This file is how a submission gets to an online signer, and its receipt back.
// It is remembered before it can be a submission, and until its receipt has
// been dealt with: whatever is interrupted, the next run finds the receipt and
// does not publish twice.

// An online is the way to the signer of a collection.
type online struct {
	app    *app
	c      *trust.Collection
	inbox  string // URL
	signer *signerClient

	changes []string // IDs of the staged changes that the next submission publishes
	noWait  bool     // leave it, and no more
}

// online returns nil for a collection whose online keys are here.
func (a *app) online(ctx context.Context, c *trust.Collection) (*online, error) {
	s, err := a.settings(c)
	if err != nil || s.Online == "" {
		return nil, err
	}
	return a.onlineBy(ctx, c, s)
}

func (a *app) onlineBy(ctx context.Context, c *trust.Collection, s trust.Settings) (*online, error) {
	signer, err := a.signer(ctx, s.Online)
	if err != nil {
		return nil, err
	}
	return &online{app: a, c: c, inbox: s.Inbox, signer: signer}, nil
}

// box opens the collection's part of an inbox.
func (o *online) box(ctx context.Context, url string) (repo.Inbox, error) {
	return o.app.inbox(ctx, o.c, url)
}

// inbox opens a collection's part of an inbox.
func (a *app) inbox(ctx context.Context, c *trust.Collection, url string) (repo.Inbox, error) {
	store, err := a.openStore(ctx, url)
	if err != nil {
		return repo.Inbox{}, fmt.Errorf("open inbox: %w", err)
	}
	return repo.Inbox{Store: store, Collection: c.Name()}, nil
}

// errLeft ends a publish that does not wait.
var errLeft = errors.New("left in the inbox")

// commit is a repo.CommitFunc.
func (o *online) commit(ctx context.Context, _ *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
	box, err := o.box(ctx, o.inbox)
	if err != nil {
		return nil, err
	}
	p := trust.Pending{Name: ulid.Make().String(), Submission: sub.ID(), Inbox: o.inbox, Changes: o.changes}
	if err := o.leave(ctx, box, p, sub); err != nil {
		return nil, err
	}
	if o.noWait {
		return nil, errLeft
	}
	receipt, err := o.answer(ctx, box, p)
	if err != nil {
		return nil, err
	}
	return receipt, o.judge(receipt)
}

// leave puts the submission into the inbox. Where pending.json is not, it has
// not become one.
func (o *online) leave(ctx context.Context, box repo.Inbox, p trust.Pending, sub *repo.Submission) error {
	box.Store = &leaving{
		Store: box.Store, manifest: repo.SubmissionKey(box.Collection, p.Name),
		remember: func() error { return o.c.SetPending(p) },
	}
	return box.Leave(ctx, p.Name, sub)
}

// leaving calls remember before the manifest is written, which makes parts a
// submission.
type leaving struct {
	storage.Store
	manifest string
	remember func() error
}

func (l *leaving) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if key == l.manifest {
		if err := l.remember(); err != nil {
			return storage.Absent, err
		}
	}
	return l.Store.Put(ctx, key, body, prev)
}

// answer asks for the receipt of a submission, again if garbage collection is to
// end first: then what it has removed is missing, or it has spared it.
func (o *online) answer(ctx context.Context, box repo.Inbox, p trust.Pending) (*repo.Receipt, error) {
	for tries := 0; ; tries++ {
		r, err := o.answerNow(ctx, box, p)
		var going *collectedError
		pause, ok := repo.CollectionPause(tries)
		if !errors.As(err, &going) || !ok {
			return r, err
		}
		if tries == 0 {
			o.app.infof("%v", going)
		}
		if err := o.app.sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// answerNow asks once. Where asking fails, it may have been answered all the same.
func (o *online) answerNow(ctx context.Context, box repo.Inbox, p trust.Pending) (*repo.Receipt, error) {
	return o.app.outwait(ctx, func() (*repo.Receipt, error) {
		defer o.app.wait("waiting for the signer")()
		r := &repo.Receipt{}
		err := o.signer.ask(ctx, lambda.Request{Action: lambda.ActionCommit, Collection: o.c.Name(), Submission: p.Name}, r)
		if err == nil && r.Collection != o.c.Name() {
			err = fmt.Errorf("the signer %s answered with the receipt of another collection", o.signer.ref.function)
		}
		if err == nil && r.Refused == nil && r.Submission != p.Submission {
			err = fmt.Errorf("the signer %s answered with the receipt of another submission", o.signer.ref.function)
		}
		if err == nil {
			return r, nil
		}
		there, readErr := o.app.receipt(ctx, box, p)
		if readErr == nil {
			return there, nil
		}
		if errors.Is(readErr, repo.ErrReceipt) {
			return nil, readErr // what the signer fails on, too
		}
		return nil, err
	})
}

// receipt reads that of a submission, and says what to do about one that cannot
// be read: the signer does not get past it either.
func (a *app) receipt(ctx context.Context, box repo.Inbox, p trust.Pending) (*repo.Receipt, error) {
	r, err := box.Receipt(ctx, p.Submission)
	if errors.Is(err, repo.ErrReceipt) {
		key := repo.ReceiptKey(box.Collection, p.Submission)
		err = hinted(fmt.Errorf("%s: %w", key, err),
			"move that object out of the inbox %s, or ask whoever runs the signer to; then the same command again", shownStore(p.Inbox))
	}
	return r, err
}

// judge is the error of a refused submission, which is forgotten at once: it
// will never be committed.
func (o *online) judge(r *repo.Receipt) error {
	err := r.Err()
	if err == nil {
		return nil
	}
	if r.Refused.Hint != "" {
		err = hinted(err, "%s", r.Refused.Hint)
	}
	return errors.Join(err, o.c.ClearPending())
}

// done forgets what is published: its staged changes first.
func (o *online) done(p trust.Pending) error {
	if err := o.c.Changelist().Remove(p.Changes...); err != nil {
		return err
	}
	return o.c.ClearPending()
}

// errWaiting reports a submission without a receipt, to those who do not wait
// for one.
var errWaiting = errors.New("a submission is waiting for the signer")

// settle deals with what an earlier run has left: it returns the receipt of
// what is published by now, nil if nothing is. What another was faster than, and
// what lacked a target, is forgotten: the changes are staged still, and the target
// is sent again.
func (o *online) settle(ctx context.Context) (*repo.Receipt, error) {
	p, ok, err := pending(o.c)
	if err != nil || !ok {
		return nil, err
	}
	receipt, err := o.find(ctx, p)
	if receipt == nil || err != nil {
		return nil, err
	}
	err = o.judge(receipt)
	if errors.Is(err, storage.ErrConflict) || as[*repo.MissingError](err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what was left in the inbox before: %w", err)
	}
	return receipt, o.done(p)
}

// find returns the receipt of an earlier submission, asking the signer if there
// is none yet. Both are nil for one that never got into the inbox.
func (o *online) find(ctx context.Context, p trust.Pending) (*repo.Receipt, error) {
	box, err := o.box(ctx, p.Inbox)
	if err != nil {
		return nil, err
	}
	receipt, err := o.app.receipt(ctx, box, p)
	if !errors.Is(err, fs.ErrNotExist) {
		return receipt, err
	}
	_, err = storage.Stat(ctx, box.Store, repo.SubmissionKey(box.Collection, p.Name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Cleared by the signer just now, which leaves a receipt first; or never there.
		receipt, err = o.app.receipt(ctx, box, p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, o.c.ClearPending()
		}
		return receipt, err
	case err != nil:
		return nil, err
	case o.noWait:
		return nil, errWaiting
	}
	o.app.infof("going on with the submission %s, which was left before", p.Name)
	return o.answer(ctx, box, p)
}

// longestGrace is how long a command waits for a rotation to end.
const longestGrace = repo.DefaultGrace + time.Minute

// outwait runs commit again after the grace of a rotation, if that is not too
// long.
func (a *app) outwait(ctx context.Context, commit func() (*repo.Receipt, error)) (*repo.Receipt, error) {
	until := a.now().Add(longestGrace)
	for {
		receipt, err := commit()
		var grace *repo.GraceError
		if !errors.As(err, &grace) {
			return receipt, err
		}
		wake := grace.Until.Add(time.Second)
		if soon := a.now().Add(time.Second); wake.Before(soon) {
			wake = soon // clocks differ
		}
		if wake.After(until) {
			return nil, err
		}
		a.infof("%s", grace)
		if err := a.sleep(ctx, wake.Sub(a.now())); err != nil {
			return nil, err
		}
	}
}

func (a *app) sleep(ctx context.Context, d time.Duration) error {
	defer a.wait("waiting")()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// patient is a commit that waits for a rotation to end.
func (a *app) patient(commit repo.CommitFunc) repo.CommitFunc {
	return func(ctx context.Context, base *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		return a.outwait(ctx, func() (*repo.Receipt, error) { return commit(ctx, base, sub) })
	}
}
