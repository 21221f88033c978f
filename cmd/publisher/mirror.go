package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
)

type mirrorOptions struct {
	root   string
	as     string
	dryRun bool
	prune  bool
	keep   string
}

func newMirror(a *app) *cobra.Command {
	o := mirrorOptions{keep: "30d"}
	cmd := &cobra.Command{
		Use:   "mirror SRC DST",
		Short: "Copy a published collection to another store, verified",
		Long: `Copy what a collection has published to another store: to have a second place to
pull from, or to promote from staging to production the very bytes that were
signed and tested. Nothing is signed, and no key is needed.

SRC is a collection that is trusted here, or the URL of one of any TUF repository
with metadata/ and targets/ below it, whose first or a later root is --root. DST is
the store in which it is kept under the same name: of what another program has
made, that is --as, or the last part of its URL.

Every file is verified from the trusted root before it is written; clients of the
mirror see the version of before or the new one. What is there already is not
copied again: the same command goes on where one was interrupted, and brings the
mirror up to date later.

With --prune it also removes from the mirror what the source does not publish any
more, and what nobody finds there who has read of a version that was in force in the
mirror within thirty days (--keep). Roots stay. What would go is told before, and
asked about unless --yes is given; --dry-run only tells it. It is for places that
mirror writes alone, and one run at a time; where the collection is published, the
verb is publisher gc.`,
		Example: `  publisher mirror example.com/scripts s3://production
  publisher mirror https://updates.example.com/example.com/scripts file:///srv/mirror --root root.json
  publisher mirror https://tuf.example.com file:///srv/mirror --root root.json --as example.com/tools --prune`,
		GroupID:           groupKeep,
		Args:              exactly(2),
		ValidArgsFunction: a.completeCollections,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("keep") && !o.prune {
				return usage("add --prune", "--keep goes with --prune: nothing is removed without it")
			}
			return a.mirror(cmd.Context(), args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "`file` with a root of SRC that is trusted, for a URL")
	f.StringVar(&o.as, "as", "", "`name` of the collection in DST, for a URL")
	f.BoolVar(&o.dryRun, "dry-run", false, "verify the source, show what it has and what would be removed, and write nothing")
	f.BoolVar(&o.prune, "prune", false, "remove from DST what the source does not publish any more")
	f.StringVar(&o.keep, "keep", o.keep, "with --prune: for how `long` what was in force in the mirror stays: at least 2d")
	completeFlag(cmd, "as", a.completeCollections)
	return cmd
}

// mirrored is the result of mirror.
type mirrored struct {
	Collection string `json:"collection"`
	repo.Mirrored
	Garbage []string `json:"garbage,omitempty"` // of the mirror, below the collection, found before
	Removed int      `json:"removed"`           // of that, 0 for a dry run
}

func (a *app) mirror(ctx context.Context, from, to string, o mirrorOptions) error {
	m, err := a.mirrorOf(ctx, from, o)
	if err != nil {
		return err
	}
	if m.Store, err = a.openStore(ctx, to); err != nil {
		return err
	}
	name := m.Loader.Collection
	stop := a.wait("verifying the source")
	view, total, err := m.Load(ctx)
	stop()
	if err != nil {
		return err
	}
	p := &pruning{app: a}
	if o.prune {
		if p, err = a.planPrune(ctx, m, view, from, to, o.keep); err != nil {
			return err
		}
	}
	done := mirrored{Collection: name, Mirrored: repo.Mirrored{Versions: versionsOf(view)}, Garbage: p.keys()}
	if o.dryRun {
		return a.result(done, func(w io.Writer) error { return printMirrorPlan(w, done, total, p) })
	}
	if err := p.ask(name, to); err != nil {
		return err
	}
	if err := a.copyMirror(ctx, m, view, total, &done.Mirrored); err != nil {
		return err
	}
	if done.Removed, err = p.remove(ctx, view); err != nil {
		return hinted(fmt.Errorf("it is copied, and %s removed: %w", counted(done.Removed, "object"), err), "the same command again goes on; to remove objects takes credentials that may")
	}
	return a.result(done, func(w io.Writer) error { return printMirrored(w, done, o.prune) })
}

// copyMirror copies what was verified, and warns of what that means for clients.
func (a *app) copyMirror(ctx context.Context, m *repo.Mirror, view *repo.View, total int64, done *repo.Mirrored) error {
	advance, finish := a.progress("copying", total)
	m.Copying = advance
	copied, err := m.Copy(ctx, view)
	finish()
	if err != nil {
		return err
	}
	*done = *copied
	if done.Moved {
		a.warnf("keys of the source were replaced since the last copy: clients of the mirror may have been refused for a moment; copy within the grace of a rotation to avoid that")
	}
	if done.FirstRoot > 0 {
		a.warnf("the source has no root before %d any more: who trusts an older one cannot pull from it, nor from the mirror", done.FirstRoot)
	}
	return nil
}

func printMirrorPlan(w io.Writer, plan mirrored, total int64, p *pruning) error {
	if _, err := fmt.Fprintf(w, "%s: %s, %s of targets\n", plan.Collection, versionList(plan.Versions), counted(int(total), "byte")); err != nil {
		return err
	}
	for _, key := range plan.Garbage {
		if _, err := fmt.Fprintln(w, printable(key)); err != nil {
			return err
		}
	}
	if p.pruner == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s, %s: would be removed from the mirror\n", counted(len(plan.Garbage), "object"), counted(int(p.garbage.Bytes()), "byte"))
	return err
}

func printMirrored(w io.Writer, done mirrored, prune bool) error {
	if _, err := fmt.Fprintf(w, "%s: %s\n", done.Collection, versionList(done.Versions)); err != nil {
		return err
	}
	removed := ""
	if prune {
		removed = fmt.Sprintf(", %s removed", counted(done.Removed, "object"))
	}
	_, err := fmt.Fprintf(w, "%s and %s copied, %s there already%s\n",
		counted(done.Files, "file"), counted(done.Targets, "target"), counted(done.Present, "target"), removed)
	return err
}

// versionsOf is the versions of what is published.
func versionsOf(v *repo.View) map[string]int64 {
	versions := map[string]int64{
		tuf.RoleRoot: v.Root().Signed.Version, tuf.RoleSnapshot: v.Snapshot.Signed.Version, tuf.RoleTimestamp: v.Timestamp.Signed.Version,
	}
	for role, f := range v.Targets {
		versions[role] = f.Head().Version
	}
	return versions
}
