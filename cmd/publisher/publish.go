package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

func newPublish(a *app) *cobra.Command {
	var o publishOptions
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "publish COLLECTION",
		Short:   "Publish what is staged",
		GroupID: groupPublish,
		Long: `Publish what is staged: apply it to the newest version, sign, upload, commit.

If others publish at the same time, the changes are applied to their version and
signed again. If garbage is collected at the same time, what that takes of the
files is sent again. Whatever interrupts it, the collection is at the old version
or at the new one; run it again and it goes on.

With nothing staged it signs every role again of whose life less than a third is
left, root too, as far as the keys are here, and says which are left to others.

Where an online signer holds the keys of snapshot and timestamp, it is left what
was signed here, and asked to commit it.

Where keys of others must sign too, the files are uploaded and a draft is kept:
the exit code is 10, and "publisher sign" goes on. To run publish again with the
same changes keeps the draft and the signatures that it has got meanwhile. The
changes stay staged until the draft is published, by whoever signs last. With no
key at hand that signs any of it, --export or --share makes the draft.`,
		Example: `  publisher publish example.com/scripts --dry-run
  publisher publish example.com/scripts
  publisher publish example.com/scripts --export release.draft`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := a.known(args[0])
			if err != nil {
				return err
			}
			if dryRun {
				return a.dryRun(cmd.Context(), c)
			}
			return a.publish(cmd.Context(), c, o)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be published, and change nothing; fail if a staged file is gone or has changed")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "leave the submission for the online signer, and do not ask it to commit now")
	cmd.Flags().StringVar(&o.export, "export", "", "if signatures of others are missing, write the draft for them to this `file`")
	cmd.Flags().BoolVar(&o.share, "share", false, "if signatures of others are missing, leave the draft for them in the inbox")
	for _, flag := range []string{"no-wait", "export", "share"} {
		cmd.MarkFlagsMutuallyExclusive("dry-run", flag)
	}
	return cmd
}

type publishOptions struct {
	noWait bool
	export string // the file that a draft is written to
	share  bool   // a draft, in the inbox
}

// publish publishes everything that is staged.
func (a *app) publish(ctx context.Context, c *trust.Collection, o publishOptions) error {
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	a.inboxAlone = o.share
	renewed, err := a.renewIdle(ctx, c, o)
	if err != nil {
		return err
	}
	done, err := a.publishLocked(ctx, c, o)
	var drafted *draftedError
	switch {
	case errors.Is(err, errLeft):
		return a.printLeft(c, done)
	case errors.As(err, &drafted):
		return a.printDrafted(drafted, err)
	case err != nil:
		return err
	}
	result := newPublished(c, done)
	result.Root = renewed
	err = a.result(result, func(w io.Writer) error { return printRenewed(w, c, done, result.Root) })
	a.warnExpiring(c.Name())
	return err
}

// renewIdle renews a root that is due, if nothing is staged: an expired one would
// let nothing else be renewed either. It returns its version, or 0.
func (a *app) renewIdle(ctx context.Context, c *trust.Collection, o publishOptions) (int64, error) {
	changes, err := a.staged(c)
	if err != nil || len(changes) > 0 || o.noWait {
		return 0, err
	}
	renewed, err := a.renewDueRoot(ctx, c)
	if err != nil {
		err = fmt.Errorf("sign root again: %w", err)
	}
	return renewed, err
}

// publishLocked is for who holds the collection's lock. The error is errLeft for
// what the signer has been left, and not been asked to commit.
func (a *app) publishLocked(ctx context.Context, c *trust.Collection, o publishOptions) (*repo.Published, error) {
	signer, err := a.online(ctx, c)
	switch {
	case err != nil:
		return nil, err
	case signer != nil:
		signer.noWait = o.noWait
		return a.publishOnline(ctx, c, signer, o)
	case o.noWait:
		return nil, usage("publisher publish "+c.Name(), "--no-wait goes with an online signer, and the keys of %s are here", c.Name())
	}
	drafts, err := a.openDrafts(ctx, c)
	if err != nil {
		return nil, err
	}
	changes, err := a.staged(c)
	if err != nil {
		return nil, err
	}
	p, err := a.publisher(ctx, c)
	if err != nil {
		return nil, err
	}
	done, err := a.publishChanges(ctx, drafts, p, changes, o)
	if err != nil {
		return nil, err
	}
	// Published. If this fails, the next publish finds nothing left to do.
	return done, c.Changelist().Remove(changeIDs(changes)...)
}

// publishOnline first deals with what an earlier run has left.
func (a *app) publishOnline(ctx context.Context, c *trust.Collection, signer *online, o publishOptions) (*repo.Published, error) {
	before, err := a.settlePending(ctx, c, signer)
	if err != nil {
		return nil, err
	}
	drafts, err := a.openDrafts(ctx, c)
	if err != nil {
		return nil, err
	}
	changes, err := a.staged(c)
	if err != nil {
		return nil, err
	}
	if before != nil && len(changes) == 0 {
		return &repo.Published{Plan: &repo.Plan{}, Receipt: before}, nil
	}
	if before != nil {
		a.infof("what was left before is published: %s", versionList(before.Versions))
	}
	p, err := a.publisher(ctx, c)
	if err != nil {
		return nil, err
	}
	signer.changes = changeIDs(changes)
	p.Commit = signer.commit
	done, err := a.publishChanges(ctx, drafts, p, changes, o)
	if err != nil {
		return done, err
	}
	return done, signer.done(trust.Pending{Changes: signer.changes})
}

// settlePending deals with what an earlier run has left for the signer; see settle.
func (a *app) settlePending(ctx context.Context, c *trust.Collection, signer *online) (*repo.Receipt, error) {
	before, err := signer.settle(ctx)
	if errors.Is(err, errWaiting) {
		err = &cliError{err: fmt.Errorf("%w: it was left before", err), hint: "publisher submissions " + c.Name(), code: exitConflict}
	}
	return before, err
}

func (a *app) publishChanges(ctx context.Context, drafts *openDrafts, p *repo.Publisher, changes []repo.Change, o publishOptions) (*repo.Published, error) {
	c := drafts.c
	drafts.attach(p, o)
	advance, finish := a.progress("uploading", uploadSize(changes))
	p.Uploading, p.Pause = advance, a.outlast()
	a.debugf("%s, at most %d bytes to upload", counted(len(changes), "staged change"), uploadSize(changes))
	stop := a.tellEnding(ctx)
	var done *repo.Published
	_, err := a.outwait(ctx, func() (*repo.Receipt, error) {
		var err error
		done, err = p.Publish(ctx, changes)
		return nil, err
	})
	stop()
	finish()
	if done != nil && done.Plan != nil {
		a.warnPlan(c.Name(), done.Plan)
	}
	var few *repo.DraftError
	if errors.As(err, &few) {
		return done, drafts.keep(ctx, few, changes, o)
	}
	if err != nil {
		return done, a.explain(c, drafts.keyless(err))
	}
	if err := drafts.overtaken(ctx, done); err != nil {
		return done, err
	}
	a.debugPublished(done)
	return done, nil
}

// outlast waits for a garbage collection to end, and says so once.
func (a *app) outlast() func(context.Context, *repo.CollectedError, time.Duration) error {
	told := false
	return func(ctx context.Context, going *repo.CollectedError, d time.Duration) error {
		if !told {
			a.infof("%v", going)
		}
		told = true
		return a.sleep(ctx, d)
	}
}

// debugPublished tells from which versions on what was published.
func (a *app) debugPublished(done *repo.Published) {
	for _, r := range done.Plan.Roles {
		a.debugf("%s was at version %d", repo.RoleToNotary(r.Role), r.From)
	}
	if done.Receipt != nil {
		a.debugf("committed: %s", versionList(done.Receipt.Versions))
	}
}

// publisher is set up for a collection whose keys are all at hand.
func (a *app) publisher(ctx context.Context, c *trust.Collection) (*repo.Publisher, error) {
	committer, err := a.committer(ctx, c)
	if err != nil {
		return nil, err
	}
	return &repo.Publisher{
		Pin: committer.Pin, Store: committer.Store, Collection: c.Name(), Cache: committer.Cache,
		Keys: committer.Keys, Now: a.now, Commit: a.patient(committer.Commit), Open: openSource,
	}, nil
}

func (a *app) committer(ctx context.Context, c *trust.Collection) (*repo.Committer, error) {
	store, err := a.publicStore(ctx, c)
	if err != nil {
		return nil, err
	}
	pin, err := a.pin(c.Name())
	if err != nil {
		return nil, err
	}
	return &repo.Committer{
		Pin: pin, Store: repo.Acknowledged(store), Collection: c.Name(), Cache: c.Cache(), Keys: a.keyring(), Now: a.now,
	}, nil
}

// publicStore opens the store that a collection is published to.
func (a *app) publicStore(ctx context.Context, c *trust.Collection) (storage.Store, error) {
	s, err := a.settings(c)
	if err != nil {
		return nil, err
	}
	if s.Store == "" {
		return nil, &cliError{err: fmt.Errorf("no store is known for %s", c.Name()), hint: storeHint, code: exitNotFound}
	}
	a.debugf("%s is published to %s", c.Name(), shownStore(s.Store))
	return a.openStore(ctx, s.Store)
}

func uploadSize(changes []repo.Change) int64 {
	var n int64
	for _, c := range changes {
		if c.Source != "" {
			n += c.Target.Length
		}
	}
	return n
}

func changeIDs(changes []repo.Change) []string {
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.ID
	}
	return ids
}

// explain adds what to do to the errors of a publish that need the collection's
// name.
func (a *app) explain(c *trust.Collection, err error) error {
	var change *repo.ChangeError
	if errors.As(err, &change) {
		var told *cliError
		if errors.As(change.Err, &told) {
			return err
		}
		if errors.Is(err, repo.ErrFileChanged) {
			return hinted(err, "%s", toType("publisher add", c.Name(), change.Change.Name, change.Change.Source))
		}
		if hint := completion(c, change); hint != "" {
			return hinted(err, "%s", hint)
		}
		if _, hint := foreseen(err); hint != "" && !errors.Is(err, fs.ErrNotExist) {
			return err // it is not the change that is wrong, but the store or the disk
		}
		return undo(c, err, 0)
	}
	var refused *repo.Rejection
	switch {
	case !errors.As(err, &refused):
	case slices.Contains(onlineRoles, refused.Role):
		return err // no change is to blame, and the signer has said what to do
	case refused.Untimely():
		return a.clockHint(c, err)
	case a.sends(c, refused):
		return &cliError{err: err, hint: "publisher publish " + c.Name() + " sends it again", code: exitConflict}
	case refused.Role != tuf.RoleRoot:
		if parent, ok := refused.Misnamed(); ok {
			return hinted(err, "publisher delegation add %[1]s %[2]s/NAME: what %[2]s delegates has names below its own", c.Name(), parent)
		}
		return undo(c, err, exitFailed)
	case strings.Contains(refused.Reason.Error(), "expired"):
		return hinted(err, "publisher root %s --renew", c.Name())
	}
	return err
}

// sends reports whether something is refused because the store lost a target whose
// file is here: to run it again helps.
func (a *app) sends(c *trust.Collection, refused *repo.Rejection) bool {
	var missing *repo.MissingError
	if !errors.As(refused, &missing) {
		return false
	}
	staged, err := a.staged(c)
	return err == nil && slices.ContainsFunc(staged, func(change repo.Change) bool {
		return change.Name == missing.Name && change.Source != ""
	})
}

// clockHint is for what was just signed, and has expired or lasts too long by the
// clock of who commits it.
func (a *app) clockHint(c *trust.Collection, err error) error {
	hint := "date -u shows the clock of this machine: set it right, or that of the signer"
	if a.flags.now != "" {
		hint = "leave out --now: the signer goes by its own clock"
	}
	return &cliError{err: err, hint: hint + ", then publisher publish " + c.Name(), code: exitFailed}
}

// undo tells how to take back the staged change that cannot be published.
func undo(c *trust.Collection, err error, code int) error {
	return &cliError{
		err:  err,
		hint: fmt.Sprintf("publisher status %[1]s, then publisher reset %[1]s -n NUMBER", c.Name()),
		code: code,
	}
}

func (a *app) dryRun(ctx context.Context, c *trust.Collection) error {
	changes, err := a.staged(c)
	if err != nil {
		return err
	}
	plan, err := a.plan(ctx, c, changes)
	if err != nil {
		return a.explain(c, err)
	}
	a.warnPlan(c.Name(), plan)
	result := newPublished(c, &repo.Published{Plan: plan})
	if result.Unready, err = a.unready(ctx, c, changes); err != nil {
		return err
	}
	if err := a.result(result, func(w io.Writer) error { return a.printPlan(w, plan) }); err != nil {
		return err
	}
	if len(result.Unready) == 0 {
		return nil
	}
	a.warnUnready(c.Name(), result.Unready[1:])
	return a.explain(c, result.Unready[0].err)
}

// unready is what publish would fail on after the plan.
func (a *app) unready(ctx context.Context, c *trust.Collection, changes []repo.Change) ([]unready, error) {
	store, err := a.publicStore(ctx, c)
	if err != nil {
		return nil, err
	}
	p := &repo.Publisher{Store: store, Collection: c.Name(), Open: openSource}
	found, err := p.Ready(ctx, changes)
	all := make([]unready, len(found))
	for i, e := range found {
		all[i] = newUnready(e.Change, e.Err)
	}
	return all, err
}

// plan works out what a publish would do; it needs no keys.
func (a *app) plan(ctx context.Context, c *trust.Collection, changes []repo.Change) (*repo.Plan, error) {
	store, err := a.publicStore(ctx, c)
	if err != nil {
		return nil, err
	}
	pin, err := a.pin(c.Name())
	if err != nil {
		return nil, err
	}
	p := &repo.Publisher{Pin: pin, Store: store, Collection: c.Name(), Cache: c.Cache(), Now: a.now}
	return p.Plan(ctx, changes)
}

// published is the result of publish, and of its dry run.
type published struct {
	Collection string           `json:"collection"`
	Published  bool             `json:"published"`
	Root       int64            `json:"root_version,omitzero"` // the next root, signed again by the same keys
	Roles      []repo.RolePlan  `json:"roles"`
	Skipped    []string         `json:"skipped,omitempty"`
	NotRenewed []string         `json:"not_renewed,omitempty"` // due, and their keys are elsewhere
	Versions   map[string]int64 `json:"versions,omitempty"`
	Submission string           `json:"submission,omitempty"`
	Left       string           `json:"left,omitempty"`    // the name of a submission that waits in the inbox
	Unready    []unready        `json:"unready,omitempty"` // of a dry run: what publish would fail on
}

func newPublished(c *trust.Collection, done *repo.Published) published {
	p := published{Collection: c.Name(), Roles: shownRoles(done.Plan.Roles)}
	for _, skipped := range done.Plan.Skipped {
		p.Skipped = append(p.Skipped, inRole(skipped))
	}
	for _, left := range done.Plan.Left {
		p.NotRenewed = append(p.NotRenewed, repo.RoleToNotary(left.Role))
	}
	if r := done.Receipt; r != nil {
		p.Published, p.Versions, p.Submission = true, map[string]int64{}, r.Submission
		for role, version := range r.Versions {
			p.Versions[repo.RoleToNotary(role)] = version
		}
	}
	return p
}

func printPublished(w io.Writer, c *trust.Collection, done *repo.Published) error {
	if done.Receipt == nil {
		_, err := fmt.Fprintf(w, "nothing to publish: %s has everything that is staged\n", c.Name())
		return err
	}
	if _, err := fmt.Fprintf(w, "published %s: %s\n", c.Name(), versionList(done.Receipt.Versions)); err != nil {
		return err
	}
	return printRoles(w, done.Plan.Roles)
}

// printRenewed also tells of a root that was signed again; root is 0 if none was.
func printRenewed(w io.Writer, c *trust.Collection, done *repo.Published, root int64) error {
	if root == 0 {
		return printPublished(w, c, done)
	}
	if done.Receipt != nil {
		if err := printPublished(w, c, done); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "root %d of %s: signed again\n", root, c.Name())
	return err
}

// printLeft tells of a submission that waits for the signer's own time.
func (a *app) printLeft(c *trust.Collection, done *repo.Published) error {
	pending, err := c.Pending()
	if err != nil {
		return err
	}
	v := newPublished(c, done)
	v.Left, v.Submission = pending.Name, pending.Submission
	a.infof("next: publisher submissions %s shows what becomes of it", c.Name())
	return a.result(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "left %s in the inbox of %s\n", pending.Name, c.Name())
		return err
	})
}

// versionList is versions by role, as people read them.
func versionList(versions map[string]int64) string {
	var parts []string
	for _, role := range slices.Sorted(maps.Keys(versions)) {
		parts = append(parts, fmt.Sprintf("%s %d", repo.RoleToNotary(role), versions[role]))
	}
	return strings.Join(parts, ", ")
}
