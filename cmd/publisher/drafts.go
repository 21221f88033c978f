package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

// This file is the drafts that this trust directory and the inbox have: which of
// them are open, and what becomes of the others.

// A desk is where the drafts of one collection are looked at.
type desk struct {
	app   *app
	c     *trust.Collection
	place trust.Settings

	// away has drafts compared with the published version that they carry.
	away   bool
	source storage.Getter // nil until it is asked
	view   *repo.View     // what is published, once it was loaded
}

func (a *app) desk(c *trust.Collection, offline bool) (*desk, error) {
	k := &desk{app: a, c: c}
	var err error
	k.place, err = a.settings(c)
	if errors.Is(err, fs.ErrNotExist) { // a first root, to be signed by somebody who has nothing of the collection
		k.place, err = trust.Settings{Store: a.flags.store, Inbox: a.flags.inbox}, nil
	}
	if err != nil {
		return nil, err
	}
	k.away = offline || k.place.Store == "" && k.place.URL == "" && a.flags.url == ""
	return k, nil
}

// A draft is one that was looked at.
type draft struct {
	trust.Draft
	kept   bool // here, not only in the inbox or in a file
	review *repo.Review
	dead   error // why there is no review
}

// look reviews a draft. What is wrong with the draft stands in it; the error
// is of the way to the store.
func (k *desk) look(ctx context.Context, d trust.Draft, kept bool) (*draft, error) {
	v, err := k.base(ctx, d.Draft)
	if err != nil {
		return nil, err
	}
	looked := &draft{Draft: d, kept: kept}
	looked.review, err = v.Review(ctx, d.Draft, k.source, k.app.now())
	if !isDead(err) {
		return looked, err
	}
	looked.dead = err
	return looked, nil
}

// half is what a publication of the draft that was interrupted lacks, nil if none
// was.
func (d *draft) half() *repo.Submission {
	var half *repo.HalfError
	if errors.As(d.dead, &half) {
		return half.Rest
	}
	return nil
}

// isDead reports that a draft can never be published, whoever signs it.
func isDead(err error) bool {
	return errors.Is(err, repo.ErrDraftPublished) || as[*repo.HalfError](err) || errors.Is(err, repo.ErrPublished) || as[*repo.StaleError](err) || as[*repo.Rejection](err)
}

// base is what a draft is compared with.
func (k *desk) base(ctx context.Context, d *repo.Draft) (*repo.View, error) {
	if k.away {
		return d.Carried(ctx, k.c.Cache(), k.app.now())
	}
	if k.view != nil {
		return k.view, nil
	}
	var err error
	if k.source, err = k.app.ownSource(ctx, k.c.Name(), k.place); err != nil {
		return nil, err
	}
	l, err := k.app.loader(k.c.Name(), k.source, k.c.Cache())
	if err != nil {
		return nil, err
	}
	l.IgnoreExpiry, l.TimestampFirst = true, true
	v, err := l.Load(ctx)
	if errors.Is(err, repo.ErrNoRoot) && d.First() {
		return d.Carried(ctx, k.c.Cache(), k.app.now())
	}
	if err == nil {
		k.view = v
	}
	return v, err
}

// kept is the drafts of this trust directory, with the signatures that others
// have left in the inbox since.
func (k *desk) kept(ctx context.Context) ([]*draft, error) {
	all, err := k.c.Drafts()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing is known of the collection here
	}
	if err != nil {
		return nil, hinted(err, "move the file away: the draft can be made again with publisher publish %s", k.c.Name())
	}
	var looked []*draft
	for _, d := range all {
		if err := k.collect(ctx, d); err != nil {
			return nil, err
		}
		one, err := k.look(ctx, d, true)
		if err != nil {
			return nil, err
		}
		looked = append(looked, one)
	}
	return looked, nil
}

// collect takes over the signatures that a draft has got in the inbox.
func (k *desk) collect(ctx context.Context, d trust.Draft) error {
	if d.Inbox == "" || k.away {
		return nil
	}
	box, err := k.box(ctx, d.Inbox)
	if err != nil {
		return err
	}
	shared, err := box.SharedDraft(ctx, d.ID())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // discarded, or taken out after it was published
	}
	if err != nil {
		return fmt.Errorf("look into the inbox: %w", err)
	}
	return d.Merge(shared)
}

func (k *desk) box(ctx context.Context, url string) (repo.Inbox, error) {
	store, err := openStore(ctx, url)
	if err != nil {
		return repo.Inbox{}, fmt.Errorf("open inbox: %w", err)
	}
	return repo.Inbox{Store: store, Collection: k.c.Name()}, nil
}

// all is the drafts that are kept here, and those of the inbox beside them.
func (k *desk) all(ctx context.Context) ([]*draft, error) {
	looked, err := k.kept(ctx)
	if err != nil || k.place.Inbox == "" || k.away {
		return looked, err
	}
	box, err := k.box(ctx, k.place.Inbox)
	if err != nil {
		return nil, err
	}
	ids, err := box.SharedDrafts(ctx)
	if err != nil {
		return nil, fmt.Errorf("look into the inbox: %w", err)
	}
	for _, id := range ids {
		if slices.ContainsFunc(looked, func(d *draft) bool { return d.ID() == id }) {
			continue
		}
		d, err := box.SharedDraft(ctx, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			k.app.warnf("in the inbox: %s", oneLine(err.Error()))
			continue
		}
		one, err := k.look(ctx, trust.Draft{Draft: d, Inbox: k.place.Inbox}, false)
		if err != nil {
			return nil, err
		}
		looked = append(looked, one)
	}
	return looked, nil
}

// settle forgets the kept drafts that were published, with their staged changes,
// and returns the others.
func (k *desk) settle(ctx context.Context, looked []*draft) ([]*draft, error) {
	var rest []*draft
	for _, d := range looked {
		if !d.kept || !errors.Is(d.dead, repo.ErrDraftPublished) {
			rest = append(rest, d)
			continue
		}
		k.app.infof("draft %s was published by somebody else", shortID(d))
		if err := k.finished(ctx, d.Draft); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// bury forgets the dead ones of kept drafts, and returns the others.
func (k *desk) bury(ctx context.Context, kept []*draft) ([]*draft, error) {
	var open []*draft
	for _, d := range kept {
		if d.dead == nil {
			open = append(open, d)
			continue
		}
		if d.half() != nil {
			return nil, k.deadError(d)
		}
		k.app.warnf("draft %s is dead, and its signatures with it: %s", shortID(d), oneLine(deadReason(d.dead)))
		if err := k.forget(ctx, d.Draft); err != nil {
			return nil, err
		}
	}
	return open, nil
}

// finished forgets a draft that is published: its staged changes first.
func (k *desk) finished(ctx context.Context, d trust.Draft) error {
	if len(d.Changes) > 0 {
		if err := k.c.Changelist().Remove(d.Changes...); err != nil {
			return err
		}
	}
	return k.forget(ctx, d)
}

// forget drops a draft that nobody needs any more. What stays of it in the inbox
// is dead, and does no harm.
func (k *desk) forget(ctx context.Context, d trust.Draft) error {
	if err := k.drop(d.ID()); err != nil || d.Inbox == "" {
		return err
	}
	box, err := k.box(ctx, d.Inbox)
	if err == nil {
		err = box.Tidy(ctx, d.ID())
	}
	if err != nil {
		k.app.debugf("draft %s stays in the inbox: %v", tuf.ShortID(d.ID()), err)
	}
	return nil
}

func (k *desk) drop(id string) error {
	if _, err := k.c.Settings(); errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is kept of the collection
	}
	return k.c.DropDraft(id)
}

func shortID(d *draft) string { return tuf.ShortID(d.ID()) }

// deadReason is why a draft cannot be published, without the words for those who
// submit.
func deadReason(err error) string {
	return strings.TrimPrefix(err.Error(), "submission refused: ")
}

// deadError is what is said to who wants to sign a dead draft.
func (k *desk) deadError(d *draft) error {
	if errors.Is(d.dead, repo.ErrDraftPublished) {
		return &cliError{err: fmt.Errorf("draft %s is published already", shortID(d)), hint: "publisher log " + k.c.Name() + " shows it", code: exitConflict}
	}
	if d.half() != nil {
		return &cliError{err: fmt.Errorf("draft %s: %w", shortID(d), d.dead), hint: "publisher sign " + k.c.Name() + " completes it", code: exitConflict}
	}
	code := exitFailed
	if errors.Is(d.dead, storage.ErrConflict) {
		code = exitConflict
	}
	return &cliError{
		err:  fmt.Errorf("draft %s is dead: %s", shortID(d), deadReason(d.dead)),
		hint: "publisher publish " + k.c.Name() + ", where it was made, makes a new one on top of what is published now",
		code: code,
	}
}
