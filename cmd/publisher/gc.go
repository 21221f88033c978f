package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"publisher/lambda"
	"publisher/repo"
	"publisher/storage"
	"publisher/trust"
)

type gcOptions struct {
	keep      string
	dryRun    bool
	sameStore bool
}

func newGC(a *app) *cobra.Command {
	o := gcOptions{keep: "30d"}
	cmd := &cobra.Command{
		Use:   "gc COLLECTION",
		Short: "Remove what is not published any more, and what was left behind",
		Long: `Remove the versions of roles and the targets that no timestamp of the last thirty
days leads to: what was replaced or removed since, and what publishes have left
that were interrupted. Roots stay, and so does whatever has another name than the
layout gives. In the inbox of an online signer it removes parts, receipts and
drafts of that age.

Nobody has to stop for it. A new timestamp is signed, so that a publish which is
under way starts again and sees what is about to go; a client that is in the
middle of an update finds everything it has read of. The credentials need to
delete objects, which those of publishers cannot: see docs/operations.md.

It collects in the collection's own store, and in no mirror: a timestamp that is
signed there would make that another collection.`,
		Example: `  publisher gc example.com/scripts --dry-run
  publisher gc example.com/scripts --keep 60d --yes`,
		GroupID: groupKeep,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.gc(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.keep, "keep", o.keep, "for how `long` what is not published any more stays: at least 2d")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be removed, and change nothing")
	f.BoolVar(&o.sameStore, "same-store", false, "--store is another address of the collection's own store")
	return cmd
}

// collected is the result of gc.
type collected struct {
	Collection string   `json:"collection"`
	Garbage    []string `json:"garbage"` // below the collection; below inbox/ in that
	Bytes      int64    `json:"bytes"`
	Removed    int      `json:"removed"` // 0 for a dry run
}

func (a *app) gc(ctx context.Context, name string, o gcOptions) error {
	keep, err := parseLifetime(o.keep)
	if err != nil {
		return usage("--keep 30d", "--keep: %w", err)
	}
	if keep < repo.MinKeep {
		return usage("--keep 30d", "--keep %s is less than two days: publishes and updates may take that long", o.keep)
	}
	c, _, err := a.known(name)
	if err != nil {
		return err
	}
	if err := a.ownStore(c, o); err != nil {
		return err
	}
	g, err := a.newGC(ctx, c, keep)
	if err != nil {
		return err
	}
	if err := g.find(ctx); err != nil {
		return g.explain(err)
	}
	done := g.result()
	if o.dryRun || len(done.Garbage) == 0 && !g.marked {
		return a.result(done, func(w io.Writer) error { return printGarbage(w, done, o.keep) })
	}
	if err := a.insist(fmt.Sprintf("remove %s of %s, %s?", counted(len(done.Garbage), "object"), name, counted(int(done.Bytes), "byte"))); err != nil {
		return err
	}
	if done.Removed, err = g.remove(ctx); err != nil {
		return g.explain(err)
	}
	return a.result(done, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "removed %s of %s\n", counted(done.Removed, "object"), name)
		return err
	})
}

// A gc is one run.
type gc struct {
	app       *app
	c         *trust.Collection
	collector *repo.Collector
	box       repo.Inbox // without a Store where there is none
	garbage   repo.Garbage
	mail      repo.Garbage
	marked    bool // by a run that was interrupted

	mailBefore time.Time // what of the mail is older
}

func (a *app) newGC(ctx context.Context, c *trust.Collection, keep time.Duration) (*gc, error) {
	committer, err := a.committer(ctx, c)
	if err != nil {
		return nil, err
	}
	store, err := a.publicStore(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, ok := store.(storage.Deleter); !ok {
		return nil, usage("remove it by the means of that store", "the store cannot delete objects")
	}
	g := &gc{app: a, c: c, collector: &repo.Collector{
		Store: store, Collection: c.Name(), Cache: c.Cache(), Pin: committer.Pin, Now: a.now, Told: a.flags.now != "", Keep: keep,
		Renew: func(ctx context.Context) error { _, err := committer.Renew(ctx, 0); return err },
	}}
	g.collector.Ready = g.collector.Renew
	g.collector.Pending = g.pending
	signer, err := a.online(ctx, c)
	if err != nil || signer == nil {
		return g, err
	}
	g.collector.Renew = func(ctx context.Context) error { _, err := signer.renew(ctx); return err }
	g.collector.Ready = signer.reached
	g.box, err = signer.box(ctx, signer.inbox)
	return g, err
}

// reached fails if the signer cannot be asked, or does not hold the keys.
func (o *online) reached(ctx context.Context) error {
	defer o.app.wait("waiting for the signer")()
	var answer lambda.KeysAnswer
	return o.signer.ask(ctx, lambda.Request{Action: lambda.ActionKeys, Collection: o.c.Name()}, &answer)
}

// explain adds what to do to an error of a run.
func (g *gc) explain(err error) error {
	var cut *repo.CutError
	switch {
	case errors.As(err, &cut):
		return hinted(err, "%s", g.cutHint(cut))
	case errors.Is(err, fs.ErrPermission):
		return hinted(err, "use credentials that may collect garbage, which a publisher's may not: selfhost/policies/gc.json, or the output gc_policy of the Terraform module")
	}
	if _, hint := told(err, 0, ""); hint != "" {
		return err
	}
	if _, hint := foreseen(err); hint != "" {
		return err
	}
	return hinted(err, "publisher gc %s again goes on", quoted(g.c.Name()))
}

// cutHint is how long what is not published can be kept by what is known.
func (g *gc) cutHint(cut *repo.CutError) string {
	const day = 24 * time.Hour
	name := quoted(g.c.Name())
	if days := (cut.Known - 1) / day; days*day >= repo.MinKeep {
		return fmt.Sprintf("publisher gc %s --keep %dd: a day longer every day", name, days)
	}
	from := g.app.now().Add(repo.MinKeep - cut.Known).UTC()
	return fmt.Sprintf("publisher gc %s --keep 2d, after %s", name, from.Format(time.RFC3339))
}

// pending is what drafts that are kept here, or shared, and submissions that wait
// may publish still.
func (g *gc) pending(ctx context.Context) (all []map[string][]byte, err error) {
	if g.box.Store != nil {
		if all, err = g.box.Pending(ctx); err != nil {
			return nil, err
		}
	}
	drafts, err := g.c.Drafts()
	if err != nil {
		return nil, err
	}
	for _, d := range drafts {
		all = append(all, d.Files)
	}
	return all, nil
}

func (g *gc) find(ctx context.Context) (err error) {
	defer g.app.wait("looking for garbage")()
	if g.garbage, err = g.collector.Find(ctx); err != nil {
		return err
	}
	if g.marked, err = g.collector.Marked(ctx); err != nil || g.box.Store == nil {
		return err
	}
	g.mailBefore = g.app.now().Add(-g.collector.Keep)
	g.mail, err = g.box.Garbage(ctx, g.mailBefore)
	return err
}

func (g *gc) result() collected {
	done := collected{Collection: g.c.Name(), Garbage: []string{}, Bytes: g.garbage.Bytes() + g.mail.Bytes()}
	for _, e := range g.garbage {
		done.Garbage = append(done.Garbage, strings.TrimPrefix(e.Key, g.c.Name()+"/"))
	}
	for _, e := range g.mail {
		done.Garbage = append(done.Garbage, "inbox/"+strings.TrimPrefix(e.Key, g.c.Name()+"/"))
	}
	return done
}

func (g *gc) remove(ctx context.Context) (int, error) {
	advance, finish := g.app.progressOf("removing", len(g.garbage)+len(g.mail))
	defer finish()
	g.collector.Removing = advance
	n, err := g.collector.Remove(ctx, g.garbage)
	if err != nil || len(g.mail) == 0 {
		return n, err
	}
	m, err := g.box.Remove(ctx, g.mail, g.mailBefore, advance)
	return n + m, err
}

func printGarbage(w io.Writer, done collected, keep string) error {
	if len(done.Garbage) == 0 {
		_, err := fmt.Fprintf(w, "nothing to remove: all of %s was published within %s\n", done.Collection, keep)
		return err
	}
	for _, key := range done.Garbage {
		if _, err := fmt.Fprintln(w, printable(key)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s, %s: would be removed\n", counted(len(done.Garbage), "object"), counted(int(done.Bytes), "byte"))
	return err
}
