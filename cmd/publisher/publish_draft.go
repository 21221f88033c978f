package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// This file is what publish does with drafts: it goes on with one that says the
// same, gives up one that says something else, and makes one where keys of
// others must sign.

// openDrafts is the open drafts of a collection, for a publish.
type openDrafts struct {
	*desk
	drafts []*draft
	asked  map[string]bool // IDs of those that may be given up
}

func (a *app) openDrafts(ctx context.Context, c *trust.Collection) (*openDrafts, error) {
	k, err := a.desk(c, false)
	if err != nil {
		return nil, err
	}
	kept, err := k.kept(ctx)
	if err != nil {
		return nil, err
	}
	if kept, err = k.settle(ctx, kept); err != nil {
		return nil, err
	}
	open, err := k.bury(ctx, kept)
	if err != nil {
		return nil, err
	}
	for _, d := range open {
		if d.review.Stranger() {
			return nil, hinted(draftError(c.Name(), d.review.Missing()), "publisher sign %s: nothing can be published before the first root is signed", c.Name())
		}
	}
	return &openDrafts{k, open, map[string]bool{}}, nil
}

// attach has a publish go on with an open draft. To export one, or to share it,
// is to ask for one also where no key is at hand.
func (o *openDrafts) attach(p *repo.Publisher, options publishOptions) {
	for _, d := range o.drafts {
		p.Drafts = append(p.Drafts, d.review.Draft)
	}
	p.Replacing = o.replacing
	p.Unsigned = options.export != "" || options.share
}

// replacing asks before signatures are given up that others have made, and before
// a root is: what is staged makes a publish again, and nothing a rotation.
func (o *openDrafts) replacing(d *repo.Draft) error {
	i := slices.IndexFunc(o.drafts, func(open *draft) bool { return open.ID() == d.ID() })
	if i < 0 || o.asked[d.ID()] {
		return nil
	}
	o.asked[d.ID()] = true
	loss := o.loss(o.drafts[i])
	if loss == "" {
		return nil
	}
	o.app.warnf("%s", loss)
	return o.app.insist(fmt.Sprintf("give up draft %s for a new one?", tuf.ShortID(d.ID())))
}

// loss is what is lost with a draft that something else takes the place of, or
// nothing.
func (k *desk) loss(d *draft) string {
	others, root := k.others(d.review), d.nextRoot()
	switch {
	case len(others) > 0:
		return fmt.Sprintf("draft %s says something else: the signatures that it has of the keys %s will be lost", shortID(d), k.app.keyList(others))
	case root != nil:
		return fmt.Sprintf("draft %s makes another root %d: it will be lost", shortID(d), root.Signed.Version)
	}
	return ""
}

// nextRoots is the open drafts that are kept here and make a root of a collection
// that has one.
func (k *desk) nextRoots(ctx context.Context) ([]*draft, error) {
	kept, err := k.kept(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(kept, func(d *draft) bool { return d.dead != nil || d.nextRoot() == nil }), nil
}

// nextRoot is the root that a draft makes of a collection that has one, nil if it
// makes none.
func (d *draft) nextRoot() *tuf.File[tuf.Root] {
	root, err := tuf.Parse[tuf.Root](d.Files[tuf.RoleRoot], repo.MaxRoot)
	if err != nil || d.First() {
		return nil
	}
	return root
}

// others is the keys that signed a draft and are not here. Nobody has those that
// sign a first, empty version: another is as good.
func (k *desk) others(r *repo.Review) []string {
	var ids []string
	for _, role := range r.Roles {
		for _, id := range role.Signed {
			if slices.Contains(r.Initial(role.Role), id) || slices.Contains(ids, id) {
				continue
			}
			if _, err := k.app.heldKey(id); errors.Is(err, fs.ErrNotExist) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// A draftedError reports a draft that was kept in place of a publication.
type draftedError struct {
	*repo.DraftError
	draft  *draft
	export string
}

func (e *draftedError) Unwrap() error { return e.DraftError }

// keep stores a new draft, or new signatures of an old one, and hands it on as
// it was told to. It always returns an error: that something is missing, or what
// else went wrong.
func (o *openDrafts) keep(ctx context.Context, few *repo.DraftError, changes []repo.Change, options publishOptions) error {
	d := trust.Draft{Draft: few.Draft, Made: o.app.now().UTC(), Changes: changeIDs(changes)}
	for _, open := range o.drafts {
		if open.ID() == d.ID() {
			d.Made, d.Inbox = open.Made, open.Inbox
		}
	}
	if err := o.c.KeepDraft(d); err != nil {
		return err
	}
	if err := o.giveUp(ctx, d); err != nil {
		return err
	}
	o.view = nil
	looked, err := o.look(ctx, d, true)
	if err != nil {
		return err
	}
	if looked.dead != nil {
		return o.deadError(looked)
	}
	if err := o.handOn(ctx, looked, options); err != nil {
		return err
	}
	return &draftedError{few, looked, options.export}
}

// handOn exports and shares a draft.
func (o *openDrafts) handOn(ctx context.Context, d *draft, options publishOptions) error {
	if options.export != "" {
		out := d.Bare()
		if err := o.carry(ctx, out); err != nil {
			return err
		}
		if err := writeDraft(options.export, out, o.app.flags.yes); err != nil {
			return err
		}
	}
	if !options.share && d.Inbox == "" {
		return nil
	}
	url, err := o.put(ctx, d.Draft)
	if err != nil || url == d.Inbox {
		return err
	}
	d.Inbox = url
	return o.c.KeepDraft(d.Draft)
}

// giveUp drops the drafts that a new one stands against.
func (o *openDrafts) giveUp(ctx context.Context, next trust.Draft) error {
	for _, d := range o.drafts {
		if d.ID() == next.ID() || !common(d.Roles(), next.Roles()) {
			continue
		}
		if d.Inbox != "" {
			box, err := o.box(ctx, d.Inbox)
			if err != nil {
				return err
			}
			if err := box.Withdraw(ctx, d.ID()); err != nil {
				return err
			}
		}
		if err := o.drop(d.ID()); err != nil {
			return err
		}
		o.app.infof("gave up draft %s for draft %s", shortID(d), tuf.ShortID(next.ID()))
	}
	return nil
}

// overtaken drops the drafts that a publish has completed or left behind.
func (o *openDrafts) overtaken(ctx context.Context, done *repo.Published) error {
	if done.Receipt == nil {
		return nil
	}
	for _, d := range o.drafts {
		if !slices.ContainsFunc(done.Plan.Roles, func(r repo.RolePlan) bool { return slices.Contains(d.Roles(), r.Role) }) {
			continue
		}
		if err := o.forget(ctx, d.Draft); err != nil {
			return err
		}
	}
	return nil
}

// rotated drops the drafts that a new root has left behind.
func (o *openDrafts) rotated(ctx context.Context) error {
	for _, d := range o.drafts {
		if !slices.Contains(d.Roles(), tuf.RoleRoot) {
			continue
		}
		if o.asked[d.ID()] {
			o.app.infof("gave up draft %s", shortID(d))
		}
		if err := o.forget(ctx, d.Draft); err != nil {
			return err
		}
	}
	return nil
}

func common(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// draftError reports what a draft lacks.
func draftError(collection string, missing []*repo.ThresholdError) error {
	return &cliError{
		err:  &repo.DraftError{Missing: missing},
		hint: fmt.Sprintf("publisher sign %s, by those who hold the missing keys", collection),
		code: exitDraft,
	}
}

// printDrafted is the result of a publish that ended in a draft.
func (a *app) printDrafted(e *draftedError, err error) error {
	r := newDraftResult(e.draft)
	r.Exported = e.export
	if err := a.result(r, func(w io.Writer) error { return a.printDraftMade(w, r) }); err != nil {
		return err
	}
	return handOnHint(err, r)
}

// handOnHint tells how a draft gets to the others, or that it is theirs now.
func handOnHint(err error, r draftResult) error {
	switch {
	case r.Exported != "":
		return hinted(err, "publisher sign %s --draft %s, by those who hold the missing keys", r.Collection, r.Exported)
	case r.Inbox != "":
		return hinted(err, "publisher sign %s, by those who hold the missing keys", r.Collection)
	}
	return hinted(err, "publisher sign %s --export FILE, or --share, hands the draft to those who hold the missing keys", r.Collection)
}

func (a *app) printDraftMade(w io.Writer, r draftResult) error {
	if _, err := fmt.Fprintf(w, "draft %s of %s\n", tuf.ShortID(r.Draft), r.Collection); err != nil {
		return err
	}
	return a.printHanded(w, r)
}

// printHanded tells where a draft was put, and what it lacks.
func (a *app) printHanded(w io.Writer, r draftResult) error {
	if r.Exported != "" {
		if _, err := fmt.Fprintf(w, "wrote it to %s\n", r.Exported); err != nil {
			return err
		}
	}
	if r.Inbox != "" {
		if _, err := fmt.Fprintf(w, "shared it in the inbox %s\n", shownStore(r.Inbox)); err != nil {
			return err
		}
	}
	return a.printMissing(w, r.Missing)
}
