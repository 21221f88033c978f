package main

import (
	"context"
	"errors"
	"fmt"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
)

// This file is how a rotation that was agreed upon is published, and by whom.

// run publishes, and lets the settings follow what is published.
func (r *rotation) run(ctx context.Context) error {
	var receipt *repo.Receipt
	if !r.finished {
		var err error
		if receipt, err = r.publish(ctx); err != nil {
			return err
		}
	}
	if err := r.follow(); err != nil {
		return err
	}
	return r.report(receipt)
}

// publish goes on with a draft of this rotation, if there is one, and keeps one
// where others must sign.
func (r *rotation) publish(ctx context.Context) (*repo.Receipt, error) {
	drafts, err := r.app.openDrafts(ctx, r.c)
	if err != nil {
		return nil, err
	}
	for _, d := range r.against {
		drafts.asked[d.ID()] = true
	}
	p, err := r.publisher(ctx)
	if err != nil {
		return nil, err
	}
	if r.delegated() {
		return r.publishDelegation(ctx, drafts, p)
	}
	p.Commit = r.watched(p.Commit)
	drafts.attach(p, r.o.draft)
	receipt, err := r.app.outwait(ctx, func() (*repo.Receipt, error) { return p.Rotate(ctx, *r.plan(r.begun.After)) })
	var few *repo.DraftError
	if errors.As(err, &few) {
		return nil, drafts.keep(ctx, few, nil, r.o.draft)
	}
	if errors.Is(err, repo.ErrRotated) {
		return nil, r.overtaken(err)
	}
	if err != nil {
		return nil, r.explain(err)
	}
	return receipt, drafts.rotated(ctx)
}

// watched takes note of the root that is committed: where another is faster, it
// is not the next one to that which was read at first.
func (r *rotation) watched(commit repo.CommitFunc) repo.CommitFunc {
	return func(ctx context.Context, base *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		receipt, err := commit(ctx, base, sub)
		if err != nil {
			return receipt, err
		}
		r.made = base.Root().Signed.Version
		if data, ok := sub.Files[tuf.RoleRoot]; ok {
			root, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
			if err != nil {
				return nil, fmt.Errorf("read the new root: %w", err)
			}
			r.made = root.Signed.Version
		}
		return receipt, nil
	}
}

// explain adds what to do about a rotation that did not come to its end.
func (r *rotation) explain(err error) error {
	again := fmt.Sprintf("publisher key rotate %s %s … again completes it", r.c.Name(), repo.RoleToNotary(r.role))
	if as[*repo.ThresholdError](err) {
		return hinted(err, "publisher key import FILE brings in a missing key; then %s", again)
	}
	return hinted(err, "%s", again)
}

// overtaken forgets what was begun where somebody else has replaced the keys: who
// has agreed to this has not agreed to replace those.
func (r *rotation) overtaken(err error) error {
	if !errors.Is(err, repo.ErrRotated) {
		return err
	}
	if !r.o.dryRun {
		if err := r.c.ClearRotation(); err != nil {
			return err
		}
	}
	return hinted(err, "publisher root %[1]s shows the keys in force; publisher key rotate %[1]s %[2]s replaces them", r.c.Name(), repo.RoleToNotary(r.role))
}

// publisher is set up with the commit that this rotation needs: of the one who
// holds old and new keys, or here, with the signer's signatures beside ours.
func (r *rotation) publisher(ctx context.Context) (*repo.Publisher, error) {
	p, err := r.app.publisher(ctx, r.c)
	if err != nil || r.signer == nil {
		return p, err
	}
	if !r.moves() || r.o.keyLost && r.remote() {
		p.Commit = r.signer.commit
		return p, nil
	}
	committer, err := r.app.committer(ctx, r.c)
	if err != nil {
		return nil, err
	}
	if !r.o.keyLost {
		committer.Cosign = r.signer.cosign
	}
	p.Commit = r.app.patient(committer.Commit)
	return p, nil
}

// cosign is a repo.CosignFunc.
func (o *online) cosign(ctx context.Context, root, snapshot []byte) (cosigned, timestamp []byte, err error) {
	defer o.app.wait("waiting for the signer")()
	var answer lambda.CosignAnswer
	err = o.signer.ask(ctx, lambda.Request{Action: lambda.ActionCosign, Collection: o.c.Name(), Root: root, Snapshot: snapshot}, &answer)
	return answer.Snapshot, answer.Timestamp, err
}

// follow lets the settings say who holds the keys now, and forgets what was
// remembered for a run that is interrupted.
func (r *rotation) follow() error {
	if r.moves() {
		if err := r.c.SetSettings(r.after); err != nil {
			return err
		}
	}
	if r.signer != nil {
		if err := r.c.ClearPending(); err != nil {
			return err
		}
	}
	return r.c.ClearRotation()
}
