package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

type mirrorOptions struct {
	root   string
	dryRun bool
}

func newMirror(a *app) *cobra.Command {
	var o mirrorOptions
	cmd := &cobra.Command{
		Use:   "mirror SRC DST",
		Short: "Copy a published collection to another store, verified",
		Long: `Copy what a collection has published to another store: to have a second place to
pull from, or to promote from staging to production the very bytes that were
signed and tested. Nothing is signed, and no key is needed.

SRC is a collection that is trusted here, or the URL of one of any TUF repository
with metadata/ and targets/ below it, whose first or a later root is --root. DST is
the store in which it is kept under the same name.

Every file is verified from the trusted root before it is written; clients of the
mirror see the version of before or the new one. What is there already is not
copied again: the same command goes on where one was interrupted, and brings the
mirror up to date later.`,
		Example: `  publisher mirror example.com/scripts s3://production
  publisher mirror https://updates.example.com/example.com/scripts file:///srv/mirror --root root.json`,
		GroupID: groupKeep,
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.mirror(cmd.Context(), args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "`file` with a root of SRC that is trusted, for a URL")
	f.BoolVar(&o.dryRun, "dry-run", false, "verify the source and show what it has, and write nothing")
	return cmd
}

func (a *app) mirror(ctx context.Context, from, to string, o mirrorOptions) error {
	m, err := a.mirrorOf(ctx, from, o.root)
	if err != nil {
		return err
	}
	if m.Store, err = a.openStore(ctx, to); err != nil {
		return err
	}
	stop := a.wait("verifying the source")
	view, total, err := m.Load(ctx)
	stop()
	if err != nil {
		return err
	}
	if o.dryRun {
		done := &repo.Mirrored{Versions: versionsOf(view)}
		return a.result(done, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s: %s, %s of targets\n", m.Loader.Collection, versionList(done.Versions), counted(int(total), "byte"))
			return err
		})
	}
	advance, finish := a.progress("copying", total)
	m.Copying = advance
	done, err := m.Copy(ctx, view)
	finish()
	if err != nil {
		return err
	}
	if done.Moved {
		a.warnf("keys of the source were replaced since the last copy: clients of the mirror may have been refused for a moment; copy within the grace of a rotation to avoid that")
	}
	return a.result(done, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "%s: %s\n", m.Loader.Collection, versionList(done.Versions)); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s and %s copied, %s there already\n",
			counted(done.Files, "file"), counted(done.Targets, "target"), counted(done.Present, "target"))
		return err
	})
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

// mirrorOf reads a collection that is trusted here, or any by its URL.
func (a *app) mirrorOf(ctx context.Context, from, root string) (*repo.Mirror, error) {
	if strings.Contains(from, "://") {
		return a.mirrorOfURL(ctx, from, root)
	}
	if root != "" {
		return nil, usage("publisher mirror URL DST --root FILE", "--root goes with the URL of a source: %s is trusted here, or not", from)
	}
	c, s, err := a.known(from)
	if err != nil {
		return nil, err
	}
	source, err := a.source(ctx, from, s)
	if err != nil {
		return nil, err
	}
	l, err := a.loader(from, source, c.Cache())
	return &repo.Mirror{Source: source, Loader: l}, err
}

// mirrorOfURL reads what lies at a URL, with trust in a root for this one run.
func (a *app) mirrorOfURL(ctx context.Context, from, file string) (*repo.Mirror, error) {
	if file == "" {
		return nil, usage("publisher mirror URL DST --root FILE", "a source that is given by its URL needs --root: a root of it that is trusted")
	}
	data, err := a.readAtMost(file, repo.MaxRoot)
	if err != nil {
		return nil, fmt.Errorf("read trusted root: %w", err)
	}
	root, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	base, name, err := splitSource(from, root.Signed.Publisher.Collection)
	if err != nil {
		return nil, err
	}
	var source storage.Getter
	if u, _ := url.Parse(base); u.Scheme == "https" || u.Scheme == "http" {
		source, err = a.webSource(a.layers(name, trust.Settings{}), base)
	} else {
		source, err = a.openStore(ctx, base)
	}
	if err != nil {
		return nil, err
	}
	cache := repo.NewMemoryCache(data)
	l, err := a.loader(name, source, cache)
	return &repo.Mirror{Source: source, Loader: l}, err
}

// splitSource tells the place where collections are from the name of one. What
// another program has made is named by the last part of its URL.
func splitSource(from, name string) (base, collection string, err error) {
	u, err := url.Parse(from)
	if err != nil {
		return "", "", usage("publisher mirror https://HOST/COLLECTION DST --root FILE", "source %q is not a URL", from)
	}
	whole := strings.Trim(u.Path, "/")
	if name == "" {
		name = path.Base(whole)
	}
	dir, ok := strings.CutSuffix("/"+whole, "/"+name)
	if !ok {
		return "", "", usage("publisher mirror https://HOST/"+name+" DST --root FILE", "the root is of %s, and the URL of the source ends otherwise", name)
	}
	if err := repo.CheckCollection(name); err != nil {
		return "", "", errors.Join(usage("serve it under another name", "the last part of the URL is to be its name in the mirror"), err)
	}
	u.Path = dir
	return u.String(), name, nil
}
