package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/storage"
	"publisher/trust"
)

func newCheck(a *app) *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:     "check COLLECTION",
		Short:   "Prove that what is published is whole and verifies",
		GroupID: groupKeep,
		Long: `Prove what can be seen of a published collection: every root since the first, what
timestamp, snapshot and targets name, every signature, hash and length, that
nothing is older than what was verified here before, and that a stock TUF client
reads it all. Of a target that is the length, and the hash where the store
vouches for one, which is of what it was given; --deep reads and hashes what it
gives now. All that is wrong is reported; exit code 3 says that there is any.
Works on the store, or on a mirror with --url.`,
		Example: `  publisher check example.com/scripts
  publisher check example.com/scripts --deep --json`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCheck(cmd.Context(), a, args[0], deep)
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "read every target and compare its hash")
	return cmd
}

func runCheck(ctx context.Context, a *app, name string, deep bool) error {
	c, s, err := a.known(name)
	if err != nil {
		return err
	}
	trusted, err := c.Cache().Get(rootFile)
	if err != nil {
		return fmt.Errorf("read trusted root: %w", err)
	}
	// Before the store is read: others may see something newer meanwhile.
	timestamp, err := readCached(c, "timestamp.json")
	if err != nil {
		return err
	}
	snapshot, err := readCached(c, "snapshot.json")
	if err != nil {
		return err
	}
	source, err := a.ownSource(ctx, name, s)
	if err != nil {
		return err
	}
	checker := &repo.Checker{
		Source: source, Collection: name, Trusted: trusted, Timestamp: timestamp, Snapshot: snapshot,
		Now: a.now(), Deep: deep,
	}
	l, err := a.loader(name, source, c.Cache())
	if err != nil {
		return err
	}
	if l.Pin != nil {
		if _, err := l.Roots(ctx); err != nil {
			return err
		}
	}
	if err := neverPublished(ctx, source, name, timestamp); errors.Is(err, repo.ErrNotPublished) {
		return a.notThere(name, s, err)
	} else if err != nil {
		return err
	}
	found, err := checker.Check(ctx)
	if err != nil {
		return err
	}
	if err := a.result(found, func(w io.Writer) error { return printChecked(w, name, found) }); err != nil {
		return err
	}
	if n := len(found.Problems); n > 0 {
		return &cliError{
			err:  fmt.Errorf("%s: %s", name, counted(n, "broken promise")),
			hint: repair(name, found.Problems),
			code: checkCode(found.Problems),
		}
	}
	return nil
}

// neverPublished fails with repo.ErrNotPublished for a collection that has no
// timestamp and, as far as is known here, never had: seen is the one verified
// last. One that is gone is a broken promise.
func neverPublished(ctx context.Context, source storage.Getter, name string, seen []byte) error {
	if seen != nil {
		return nil
	}
	_, err := storage.Stat(ctx, source, repo.MetadataDir(name)+"/timestamp.json")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, repo.ErrNotPublished)
	}
	return err
}

// repair is how what is broken is made whole: if it is nothing but expiries,
// by who signs those roles.
func repair(name string, problems []repo.Problem) string {
	var ways []string
	for _, p := range problems {
		way := "see why the named files cannot be read, and run the same command again"
		switch {
		case p.Access:
		case p.Expired == "":
			return "restore the named files from a backup or a mirror"
		default:
			way = renewal(name, p.Expired)
		}
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return strings.Join(ways, "; ")
}

// checkCode tells what is wrong from what could only not be read.
func checkCode(problems []repo.Problem) int {
	if slices.ContainsFunc(problems, func(p repo.Problem) bool { return !p.Access }) {
		return exitVerification
	}
	return exitFailed
}

// readCached returns nil for what was never verified here.
func readCached(c *trust.Collection, name string) ([]byte, error) {
	data, err := c.Cache().Get(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read cached %s: %w", name, err)
	}
	return data, nil
}

func printChecked(w io.Writer, name string, found *repo.Checked) error {
	for _, p := range found.Problems {
		if _, err := fmt.Fprintf(w, "%s: %s\n", p.File, p.What); err != nil {
			return err
		}
	}
	if len(found.Problems) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s is whole: %s; %s\n", name, versionList(found.Versions), counted(found.Targets, "target"))
	return err
}
