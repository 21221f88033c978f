package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
)

type logOptions struct {
	most  int
	role  string
	since string
	diff  bool
	all   bool

	from, to int64 // snapshots, 0 for no bound
	after    time.Time
}

func newLog(a *app) *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:     "log COLLECTION [FROM..TO]",
		Short:   "Show who published what, and when",
		GroupID: groupRead,
		Long: `Show the history of a collection, the newest version first: for every snapshot
the roles that came with it, the keys that signed them and what they changed, and
every new root. FROM..TO are numbers of snapshots, of which one can be left out.

Every file is verified: by its hash in the chain of snapshots, and by its
signatures under the roots and delegations of its time. What does not verify is
shown, and the exit code is 3. History ends where old files were removed.

TUF keeps no time of signing. The times are those at which the store took the
files or, where it does not tell ("~" before it), expiry less lifetime. Of the
timestamps nothing is left. Snapshots that were only signed again are counted;
--all shows each. Works on the store, or on a mirror with --url.`,
		Example: `  publisher log example.com/scripts -n 10
  publisher log example.com/scripts 4..7 --diff
  publisher log example.com/scripts --role targets/releases --since 30d --json`,
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(args[1:], a.now()); err != nil {
				return err
			}
			return runLog(cmd.Context(), a, args[0], o)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&o.most, "number", "n", 0, "show at most this `number` of versions (0: all)")
	f.StringVarP(&o.role, "role", "r", "", "show what changed this `role` alone")
	f.StringVar(&o.since, "since", "", "show what came in since a `time`: 7d, 36h, 2026-01-02 or RFC 3339")
	f.BoolVar(&o.diff, "diff", false, "show the names of the targets that changed, and not only how many")
	f.BoolVar(&o.all, "all", false, "show snapshots that were only signed again, too")
	completeFlag(cmd, "role", a.completeDelegations)
	return cmd
}

// parse reads the range and what stands for something else in the flags.
func (o *logOptions) parse(args []string, now time.Time) (err error) {
	if o.most < 0 {
		return usage("-n 10", "-n %d is not a number of versions", o.most)
	}
	if o.since != "" {
		if o.after, err = parseSince(o.since, now); err != nil {
			return err
		}
	}
	if o.role = repo.RoleFromNotary(o.role); o.role == tuf.RoleTimestamp {
		return usage("leave out --role", "timestamps replace one another: there is no history of them")
	}
	if len(args) == 1 {
		o.from, o.to, err = parseRange(args[0])
	}
	return err
}

// parseSince reads a time, or how long ago it was.
func parseSince(text string, now time.Time) (time.Time, error) {
	if ago, err := parseLifetime(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--since 7d, --since 2026-01-02 or --since 2026-01-02T15:04:05Z", "--since %s is not a time", text)
}

// parseRange reads FROM..TO.
func parseRange(text string) (from, to int64, err error) {
	low, high, ok := strings.Cut(text, "..")
	for _, end := range []struct {
		text string
		n    *int64
	}{{low, &from}, {high, &to}} {
		if end.text == "" {
			continue
		}
		n, err := strconv.ParseInt(end.text, 10, 64)
		if *end.n = n; err != nil || n < 1 {
			ok = false
		}
	}
	if !ok || text == ".." || to != 0 && from > to {
		return 0, 0, usage("4..7, 4.. or ..7", "%q is not a range of snapshots", text)
	}
	return from, to, nil
}

// begun reports that a revision is not newer than what is asked for, ended that
// it and all that follow are older.
func (o *logOptions) begun(r *repo.Revision) bool {
	return o.to == 0 || r.Snapshot <= o.to && r.Snapshot > 0
}

func (o *logOptions) ended(r *repo.Revision) bool {
	return r.Time.Before(o.after) || r.Snapshot > 0 && r.Snapshot < o.from
}

// takes keeps of a revision what is asked for, and reports whether that is
// anything.
func (o *logOptions) takes(r *repo.Revision) bool {
	if o.role == "" || o.role == tuf.RoleSnapshot {
		return o.role == "" || r.Snapshot > 0
	}
	var kept []repo.RoleChange
	for _, c := range r.Changes {
		if c.Role == o.role {
			kept = append(kept, c)
		}
	}
	r.Changes = kept
	return len(kept) > 0
}

// folds reports a revision that is counted and not shown.
func (o *logOptions) folds(r *repo.Revision) bool {
	return r.Refresh() && r.Problem == "" && !o.all && o.role != tuf.RoleSnapshot
}

func runLog(ctx context.Context, a *app, name string, o logOptions) error {
	c, s, err := a.known(name)
	if err != nil {
		return err
	}
	v, err := a.loadExpired(ctx, c, s)
	if err != nil {
		return err
	}
	if !v.Published() {
		return a.notThere(name, s, fmt.Errorf("%s: %w", name, repo.ErrNotPublished))
	}
	if left := v.Timestamp.Signed.Expires.Sub(a.now()); left <= 0 {
		a.warnf("timestamp %s: there may be newer versions", expiry(left))
	}
	held, err := a.heldIDs()
	if err != nil {
		return err
	}
	h := v.History()
	p := a.newLogPrinter(name, o, held)
	err = errors.Join(a.logRevisions(ctx, h, o, p), p.end(h.End))
	if err == nil && p.bad > 0 {
		err = &cliError{
			err:  fmt.Errorf("%s: %s of the past that do not verify", name, counted(p.bad, "file")),
			hint: "compare with a backup or a mirror: publisher log " + name + " --url URL", code: exitVerification,
		}
	}
	return err
}

// logRevisions prints those revisions that are asked for; the others cost no
// more than their snapshot.
func (a *app) logRevisions(ctx context.Context, h *repo.History, o logOptions, p *logPrinter) error {
	begun := false
	for r, err := range h.All(ctx) {
		switch {
		case err != nil:
			return err
		case o.ended(r) || o.most > 0 && p.shown == o.most:
			return nil
		}
		if begun = begun || o.begun(r); !begun {
			continue
		}
		if o.folds(r) {
			p.folded++
			continue
		}
		if !o.takes(r) {
			continue
		}
		if err := h.Read(ctx, r); err != nil {
			return err
		}
		if err := p.print(r); err != nil {
			return err
		}
	}
	return nil
}

// heldIDs is the IDs of the keys in the trust directory.
func (a *app) heldIDs() (map[string]bool, error) {
	ids, err := a.trust.Keys().List()
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	held := map[string]bool{}
	for _, id := range ids {
		held[id] = true
	}
	return held, nil
}
