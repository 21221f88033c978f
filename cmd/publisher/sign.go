package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

type signOptions struct {
	role    string
	draft   string
	export  string
	share   bool
	offline bool
	list    bool
	discard bool
	dryRun  bool
}

func newSign(a *app) *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use:     "sign COLLECTION [ROLE]",
		Short:   "Sign what somebody else has drafted",
		GroupID: groupPublish,
		Long: `Sign a draft: what a publish, or a rotation of keys, has left that needs more
signatures than were at hand. It is checked as the signer would check it and
compared with what is published; what would change is shown, and only then is
anybody asked. Whoever adds the last signature publishes it.

A draft travels as a file (--export writes one, --draft signs one, in place) or
through the inbox (--share). A file carries the published version too, so that a
machine without a network can verify it, from its own trusted root, and show
what would change.

With one open draft, it is that one; with more, --draft tells which, and --list
shows them. Run it again to see who has signed meanwhile. The exit code is 10 if
signatures are missing still, and none was added.`,
		Example: `  publisher sign example.com/scripts --draft release.draft
  publisher sign example.com/scripts targets/releases --share
  publisher sign example.com/scripts --list`,
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				o.role = repo.RoleFromNotary(args[1])
			}
			return a.sign(cmd.Context(), args[0], o)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return completeRoles(cmd, args, word)
			}
			return a.completeCollections(cmd, args, word)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.draft, "draft", "", "the draft to sign: a `file`, or the ID that --list shows")
	f.StringVar(&o.export, "export", "", "write the draft, with what is signed so far, to this `file`")
	f.BoolVar(&o.share, "share", false, "put the draft, or the signatures that are added, into the inbox for the others")
	f.BoolVar(&o.offline, "offline", false, "do not contact the store: go by the published version that the draft carries")
	f.BoolVar(&o.list, "list", false, "show the open drafts, and sign none")
	f.BoolVar(&o.discard, "discard", false, "give the draft up, and the rotation of keys that has made it")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be signed, and change nothing")
	cmd.MarkFlagsMutuallyExclusive("list", "discard", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("share", "offline")
	cmd.MarkFlagsMutuallyExclusive("share", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("export", "dry-run")
	completeFlag(cmd, "draft", a.completeDrafts)
	return cmd
}

// completeDrafts offers the drafts that are kept here, beside files.
func (a *app) completeDrafts(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ids, directive := a.complete(cmd, func() ([]string, error) {
		all, err := a.trust.Collection(args[0]).Drafts()
		var ids []string
		for _, d := range all {
			ids = append(ids, tuf.ShortID(d.ID()))
		}
		return ids, err
	})
	if len(ids) == 0 {
		directive = cobra.ShellCompDirectiveDefault
	}
	return ids, directive
}

func (a *app) sign(ctx context.Context, name string, o signOptions) error {
	c, err := a.collection(name)
	if err != nil {
		return err
	}
	if o.draft == "" && a.flags.inbox == "" {
		if _, _, err := a.known(name); err != nil {
			return err
		}
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	a.inboxAlone = true
	k, err := a.desk(c, o.offline)
	if err != nil {
		return err
	}
	if o.list {
		return k.list(ctx)
	}
	s := &ceremony{desk: k, signOptions: o}
	if err := s.choose(ctx); err != nil || s.d == nil {
		return err
	}
	if o.discard {
		return s.giveUp(ctx)
	}
	return s.run(ctx)
}

// A ceremony is one person's part in signing one draft.
type ceremony struct {
	*desk
	signOptions
	d     *draft
	file  string // that the draft came in, empty if it did not
	added []repo.Signed

	keyless   string // the role whose key is not here, with which it would be published
	published bool
	done      *repo.Receipt // nil if somebody else published it
}

// choose finds the draft to sign, nil if there is none.
func (s *ceremony) choose(ctx context.Context) error {
	if s.draft != "" && !s.isID() {
		return s.read(ctx)
	}
	drafts, err := s.all(ctx)
	if err == nil {
		drafts, err = s.settle(ctx, drafts)
	}
	if err != nil {
		return err
	}
	open := slices.DeleteFunc(slices.Clone(drafts), func(d *draft) bool { return d.dead != nil && d.half() == nil })
	if len(open) == 0 && s.discard {
		open = slices.DeleteFunc(slices.Clone(drafts), func(d *draft) bool { return !d.kept })
	}
	if s.draft != "" {
		open = slices.DeleteFunc(drafts, func(d *draft) bool { return !strings.HasPrefix(d.ID(), s.draft) })
	}
	switch {
	case len(open) == 1:
		s.d = open[0]
		return s.alive()
	case len(open) > 1:
		return usage("publisher sign "+s.c.Name()+" --draft ID; --list shows them", "%d drafts of %s are open", len(open), s.c.Name())
	case s.draft != "":
		return &cliError{err: fmt.Errorf("no draft %s of %s", printable(s.draft), s.c.Name()), hint: "publisher sign " + s.c.Name() + " --list", code: exitNotFound}
	}
	return s.nothing(ctx, drafts)
}

// nothing tells that no draft is open, and what became of the ones that were.
func (s *ceremony) nothing(ctx context.Context, drafts []*draft) error {
	for _, d := range drafts {
		if d.kept {
			return s.deadError(d)
		}
	}
	if s.discard {
		if done, err := s.withoutDraft(ctx); done || err != nil {
			return err
		}
	}
	return s.app.result(newDraftList(nil), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "no draft of %s waits for signatures\n", s.c.Name())
		return err
	})
}

// isID reports whether --draft is an ID, or the start of one, and not a file.
func (s *ceremony) isID() bool {
	if len(s.draft) < 4 || strings.Trim(s.draft, "0123456789abcdef") != "" {
		return false
	}
	_, err := os.Lstat(s.draft)
	return errors.Is(err, fs.ErrNotExist)
}

// read takes the draft from a file, with what is known of it here.
func (s *ceremony) read(ctx context.Context) error {
	data, err := s.app.readAtMost(s.draft, repo.MaxDraft)
	if err != nil {
		return fmt.Errorf("read draft: %w", err)
	}
	d, err := repo.ParseDraft(data)
	if err != nil {
		return hinted(fmt.Errorf("%s: %w", s.draft, err), "ask for the draft again: publisher sign %s --export FILE writes one", s.c.Name())
	}
	if d.Collection != s.c.Name() {
		return usage("publisher sign "+d.Collection+" --draft "+s.draft, "%s is a draft of %s", s.draft, d.Collection)
	}
	one, kept := trust.Draft{Draft: d}, false
	all, err := s.c.Drafts()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, ours := range all {
		if ours.ID() == d.ID() {
			ours.Base = d.Base
			one, kept = ours, true
			if err := one.Merge(d); err != nil {
				return err
			}
		}
	}
	if err := s.collect(ctx, one); err != nil {
		return err
	}
	if s.d, err = s.look(ctx, one, kept); err != nil {
		return s.unreached(err)
	}
	if s.file = s.draft; s.file == "-" {
		s.file = ""
	}
	return s.alive()
}

// unreached tells who cannot reach the store of what works without.
func (s *ceremony) unreached(err error) error {
	var bad *repo.VerifyError
	if s.away && errors.As(err, &bad) {
		return hinted(fmt.Errorf("what the draft says is published: %w", err), "ask for a new draft of %s: it carries what is published then", s.c.Name())
	}
	if s.away || errors.As(err, &bad) || errors.Is(err, context.Canceled) {
		return err
	}
	return hinted(err, "--offline goes by the published version that the draft carries")
}

func (s *ceremony) alive() error {
	if s.d.dead != nil && !s.discard && (s.d.half() == nil || s.away) {
		return s.deadError(s.d)
	}
	return nil
}

// run shows the draft, signs it, and publishes it if that was the last
// signature.
func (s *ceremony) run(ctx context.Context) error {
	if s.d.half() != nil {
		return s.complete(ctx)
	}
	if s.role != "" && !s.d.review.Covers(s.role) {
		return &cliError{
			err: fmt.Errorf("draft %s does not change %s", shortID(s.d), printable(repo.RoleToNotary(s.role))), code: exitNotFound,
			hint: "publisher sign " + s.c.Name() + " without a role signs all it can",
		}
	}
	if err := s.show(); err != nil {
		return err
	}
	if s.dryRun {
		return s.report()
	}
	if err := s.sign(ctx); err != nil {
		return err
	}
	// From here on the signatures are not lost: what fails now can be done again.
	if err := s.keep(ctx); err != nil {
		return err
	}
	if len(s.d.review.Missing()) == 0 && !s.away && s.known() {
		if err := s.publish(ctx); err != nil {
			return err
		}
	}
	if err := s.report(); err != nil {
		return err
	}
	return s.stillMissing()
}

// complete goes on with a publication that was interrupted.
func (s *ceremony) complete(ctx context.Context) error {
	s.app.infof("draft %s: %v", shortID(s.d), s.d.dead)
	if s.dryRun {
		return s.report()
	}
	if err := s.app.insist(fmt.Sprintf("complete the publication of draft %s of %s?", shortID(s.d), s.c.Name())); err != nil {
		return err
	}
	if err := s.publish(ctx); err != nil {
		return err
	}
	if err := s.report(); err != nil {
		return err
	}
	return s.stillMissing()
}

// sign asks, and adds the signatures of this trust directory, if the draft needs
// any of them.
func (s *ceremony) sign(ctx context.Context) error {
	mine := s.needed()
	complete := len(s.d.review.Missing()) == 0
	var question string
	switch {
	case len(mine) > 0:
		question = fmt.Sprintf("sign %s of %s with key %s?", roleNames(mine), s.c.Name(), keyNames(mine))
	case complete && !s.away && s.known():
		question = fmt.Sprintf("publish draft %s of %s?", shortID(s.d), s.c.Name())
	default:
		return nil
	}
	if s.d.review.Stranger() {
		s.app.warnf("this is the first root of %s, and nobody vouches for it: compare its key IDs with the others who sign it", s.c.Name())
	}
	if err := s.app.insist(question); err != nil {
		return err
	}
	var err error
	s.added, err = s.d.review.Sign(ctx, s.app.keyring(), s.role)
	return err
}

// needed is the keys of this trust directory that the draft lacks.
func (s *ceremony) needed() []repo.Signed {
	var mine []repo.Signed
	for _, m := range s.d.review.Missing() {
		if s.role != "" && m.Role != s.role {
			continue
		}
		for _, id := range m.Missing {
			one := repo.Signed{Role: m.Role, KeyID: id}
			if _, err := s.app.heldKey(id); err == nil && !slices.Contains(mine, one) {
				mine = append(mine, one)
			}
		}
	}
	return mine
}

func roleNames(signed []repo.Signed) string {
	return names(signed, func(s repo.Signed) string { return repo.RoleToNotary(s.Role) })
}

func keyNames(signed []repo.Signed) string {
	return names(signed, func(s repo.Signed) string { return tuf.ShortID(s.KeyID) })
}

func names(signed []repo.Signed, of func(repo.Signed) string) string {
	var all []string
	for _, s := range signed {
		if name := of(s); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}

// keep puts the draft, as it is signed now, where it came from and where it was
// told to go.
func (s *ceremony) keep(ctx context.Context) error {
	d := s.d.Draft
	d.Draft = s.d.review.Draft
	if s.file != "" && len(s.added) > 0 {
		if err := writeDraft(s.file, d.Draft, true); err != nil {
			return err
		}
	}
	if s.export != "" {
		if err := s.carry(ctx, d.Draft); err != nil {
			return err
		}
		if err := writeDraft(s.export, d.Draft, s.app.flags.yes); err != nil {
			return err
		}
	}
	if s.share || d.Inbox != "" && len(s.added) > 0 && !s.away {
		var err error
		if d.Inbox, err = s.put(ctx, d); err != nil {
			return err
		}
	}
	s.d.Draft = d
	if !s.d.kept {
		return nil
	}
	d.Draft = d.Draft.Bare()
	return s.c.KeepDraft(d)
}

// put shares a draft in the inbox, whose URL it returns.
func (k *desk) put(ctx context.Context, d trust.Draft) (url string, err error) {
	if url = d.Inbox; url == "" {
		url = k.place.Inbox
	}
	if url == "" {
		return "", usage("--inbox URL, or --export FILE", "%s has no inbox to share a draft in", k.c.Name())
	}
	box, err := k.box(ctx, url)
	if err != nil {
		return "", err
	}
	return url, box.Share(ctx, d.Draft)
}

// carry puts what is published into a draft that leaves this machine.
func (k *desk) carry(ctx context.Context, d *repo.Draft) error {
	if k.away || d.First() {
		return nil
	}
	v, err := k.base(ctx, d)
	if err != nil {
		return err
	}
	return v.Carry(ctx, d)
}

// writeDraft writes a draft's file, all of it or nothing.
func writeDraft(name string, d *repo.Draft, replace bool) error {
	data, err := d.Encode()
	if err != nil {
		return err
	}
	out, err := toFile(name, replace)
	if errors.Is(err, fs.ErrExist) {
		// Not --yes: that would answer all else that is asked on the way.
		return hinted(err, "--export with the name of another file")
	}
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := out.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return out.keep()
}

// publish publishes the draft, which lacks nothing.
func (s *ceremony) publish(ctx context.Context) error {
	if err := s.adoptRoot(ctx); err != nil {
		return err
	}
	receipt, err := s.app.publishDraft(ctx, s.desk, s.d)
	var few *repo.ThresholdError
	switch {
	case errors.As(err, &few) && slices.Contains(onlineRoles, few.Role):
		s.keyless = few.Role
		return nil
	case err != nil:
		return err
	}
	s.published, s.done = true, receipt
	return s.finished(ctx, s.d.Draft)
}

// adoptRoot trusts the first root of a collection that was initialized here,
// now that it is signed.
func (s *ceremony) adoptRoot(ctx context.Context) error {
	if _, err := s.c.Cache().Get(rootFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	root, err := tuf.Parse[tuf.Root](s.d.Files[tuf.RoleRoot], repo.MaxRoot)
	if err == nil {
		err = s.app.checkPinned(s.c.Name(), root)
	}
	if err == nil {
		err = putRoot(s.c.Cache(), root)
	}
	if err != nil {
		return err
	}
	d, err := s.look(ctx, s.d.Draft, s.d.kept)
	if err == nil && d.dead != nil {
		err = s.deadError(d)
	}
	s.d = d
	return err
}

// known reports whether the collection is: who signs a first root needs nothing
// of it, and hands the draft back.
func (s *ceremony) known() bool {
	_, err := s.c.Settings()
	return err == nil
}

// stillMissing is the error of who could not add anything to a draft that is not
// published yet.
func (s *ceremony) stillMissing() error {
	switch {
	case len(s.added) > 0 || s.published:
		return nil
	case s.keyless != "":
		return &cliError{
			err:  fmt.Errorf("every signature is there, but the key of %s, with which draft %s is published, is not here", s.keyless, shortID(s.d)),
			hint: s.elsewhere(),
			code: exitThreshold,
		}
	case s.d.review == nil || len(s.d.review.Missing()) == 0:
		return nil
	}
	err := draftError(s.c.Name(), s.d.review.Missing())
	if s.file != "" {
		return hinted(err, "publisher sign %s --draft %s, by those who hold the missing keys", s.c.Name(), quoted(s.file))
	}
	return err
}

// elsewhere is how a draft is published by those who have the online keys.
func (s *ceremony) elsewhere() string {
	if s.d.Files[tuf.RoleRoot] != nil {
		return "publisher key rotate " + s.c.Name() + " … again, as it was begun, publishes it"
	}
	return "publisher sign " + s.c.Name() + " on the machine that has it publishes the draft"
}

// giveUp discards the draft, here and in the inbox.
func (s *ceremony) giveUp(ctx context.Context) error {
	if err := s.app.insist(fmt.Sprintf("discard draft %s of %s, and the signatures that it has?", shortID(s.d), s.c.Name())); err != nil {
		return err
	}
	if s.d.Inbox != "" && !s.away {
		box, err := s.box(ctx, s.d.Inbox)
		if err != nil {
			return err
		}
		if err := box.Withdraw(ctx, s.d.ID()); err != nil {
			return err
		}
	}
	if err := s.drop(s.d.ID()); err != nil {
		return err
	}
	rotation, err := s.unbegin()
	if err != nil {
		return err
	}
	return s.app.result(draftResult{Collection: s.c.Name(), Draft: s.d.ID(), Rotation: rotation, State: "discarded"}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "discarded draft %s of %s\n", shortID(s.d), s.c.Name())
		return err
	})
}

// submission is what is committed to publish the draft.
func (d *draft) submission() *repo.Submission {
	if half := d.half(); half != nil {
		return half
	}
	return d.review.Draft.Submission()
}

func (d *draft) commit(ctx context.Context, p *repo.Publisher) (*repo.Receipt, error) {
	if half := d.half(); half != nil {
		return p.Commit(ctx, nil, half)
	}
	return p.PublishDraft(ctx, d.review)
}

// publishDraft commits a draft that lacks nothing. The receipt is nil if
// somebody else publishes it at the same time.
func (a *app) publishDraft(ctx context.Context, k *desk, d *draft) (*repo.Receipt, error) {
	p, err := a.publisher(ctx, k.c)
	if err != nil {
		return nil, err
	}
	signer, err := a.online(ctx, k.c)
	if err != nil {
		return nil, err
	}
	if signer != nil {
		if receipt, err := a.settlePending(ctx, k.c, signer); err != nil || receipt != nil && receipt.Submission == d.submission().ID() {
			return receipt, err
		}
		signer.changes = d.Changes
		p.Commit = signer.commit
	}
	receipt, err := d.commit(ctx, p)
	if errors.Is(err, storage.ErrConflict) {
		k.view = nil
		if again, lookErr := k.look(ctx, d.Draft, d.kept); lookErr == nil && errors.Is(again.dead, repo.ErrDraftPublished) {
			return nil, nil
		}
	}
	if as[*repo.BurnedError](err) {
		return nil, hinted(err, "publisher publish %s, where the draft was made, makes a new one under the next number", k.c.Name())
	}
	if err != nil {
		return nil, a.explain(k.c, err)
	}
	if signer != nil {
		return receipt, signer.done(trust.Pending{Changes: d.Changes})
	}
	return receipt, nil
}
