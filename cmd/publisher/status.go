package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

func newStatus(a *app) *cobra.Command {
	var failWithin string
	cmd := &cobra.Command{
		Use:     "status COLLECTION",
		Short:   "Show what is staged, what publish would do, and when roles expire",
		GroupID: groupPublish,
		Long: `Show what is staged, what publish would do with it, and when each role expires.
With --fail-within it exits with 7 if a role expires within that time, with 5 if
nothing is published yet: for cron and monitoring. Where the store cannot be
reached it shows what is staged.`,
		Example: `  publisher status example.com/scripts
  publisher status example.com/scripts --fail-within 72h`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var within time.Duration
			if failWithin != "" {
				var err error
				if within, err = parseLifetime(failWithin); err != nil {
					return usage("--fail-within 72h", "--fail-within: %w", err)
				}
			}
			return runStatus(cmd.Context(), a, args[0], within)
		},
	}
	cmd.Flags().StringVar(&failWithin, "fail-within", "", "exit with 7 if a role expires within this `duration`, such as 72h or 7d")
	return cmd
}

// state is the result of status.
type state struct {
	Collection string          `json:"collection"`
	Staged     []repo.Change   `json:"staged"`
	Plan       []repo.RolePlan `json:"plan,omitempty"`
	Expiries   []repo.Expiry   `json:"expiries,omitempty"`
	Published  bool            `json:"published"`
}

func runStatus(ctx context.Context, a *app, name string, within time.Duration) error {
	c, _, err := a.known(name)
	if err != nil {
		return err
	}
	s := state{Collection: name}
	if s.Staged, err = a.staged(c); err != nil {
		return err
	}
	err = a.remoteState(ctx, c, &s)
	var untrusted *repo.VerifyError
	switch {
	case err == nil:
	case within > 0 || errors.As(err, &untrusted) || errors.Is(err, context.Canceled):
		return err
	default:
		a.warnf("what publish would do is not known: %s", oneLine(err.Error()))
	}
	if err := a.result(s, func(w io.Writer) error { return a.printState(w, s) }); err != nil {
		return err
	}
	return a.checkWithin(s, within)
}

// remoteState adds what only the store knows.
func (a *app) remoteState(ctx context.Context, c *trust.Collection, s *state) error {
	settings, err := c.Settings()
	if err != nil {
		return err
	}
	v, err := a.loadExpired(ctx, c, settings)
	if err != nil {
		return err
	}
	s.Published = v.Published()
	if s.Expiries, err = v.Expiries(ctx); err != nil {
		return err
	}
	plan, err := v.Plan(ctx, s.Staged)
	if err != nil {
		return a.explain(c, err)
	}
	s.Plan = plan.Roles
	return nil
}

// checkWithin fails if a role expires before it should.
func (a *app) checkWithin(s state, within time.Duration) error {
	if within == 0 {
		return nil
	}
	if !s.Published {
		return fmt.Errorf("%s: %w", s.Collection, repo.ErrNotPublished)
	}
	for _, e := range s.Expiries {
		left := e.Expires.Sub(a.now())
		if left > within {
			continue
		}
		return &cliError{
			err:  fmt.Errorf("%s %s, at %s", repo.RoleToNotary(e.Role), expiry(left), e.Expires.Format(time.RFC3339)),
			hint: renewal(s.Collection, e.Role),
			code: exitExpiring,
		}
	}
	return nil
}

// renewal is how a role of a collection is signed again.
func renewal(collection, role string) string {
	switch role {
	case tuf.RoleSnapshot, tuf.RoleTimestamp:
		return "publisher refresh " + collection
	case tuf.RoleTargets:
		return "publisher publish " + collection
	case tuf.RoleRoot:
		return "publisher key list shows who holds the root keys: they must make a new root"
	}
	return "who holds the keys of " + repo.RoleToNotary(role) + " must sign it again"
}

func (a *app) printState(w io.Writer, s state) error {
	if len(s.Staged) == 0 {
		if _, err := fmt.Fprintf(w, "nothing is staged for %s\n", s.Collection); err != nil {
			return err
		}
	} else if err := printStaged(w, s.Staged); err != nil {
		return err
	}
	if len(s.Plan) > 0 {
		if _, err := fmt.Fprintln(w, "\npublish would change:"); err != nil {
			return err
		}
		if err := printRoles(w, s.Plan); err != nil {
			return err
		}
	}
	if len(s.Expiries) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return a.printExpiries(w, s)
}

func printStaged(w io.Writer, staged []repo.Change) error {
	rows := make([][]string, len(staged))
	for i, c := range staged {
		rows[i] = []string{strconv.Itoa(i), string(c.Action), repo.RoleToNotary(c.Role), "target", c.Name}
	}
	return printTable(w, []string{"#", "ACTION", "SCOPE", "TYPE", "PATH"}, rows)
}

func (a *app) printExpiries(w io.Writer, s state) error {
	rows := make([][]string, len(s.Expiries))
	for i, e := range s.Expiries {
		left := e.Expires.Sub(a.now())
		in := "in " + days(left)
		if left <= 0 {
			in = days(-left) + " ago"
		}
		rows[i] = []string{repo.RoleToNotary(e.Role), strconv.FormatInt(e.Version, 10), e.Expires.Format(time.RFC3339), in}
	}
	return printTable(w, []string{"ROLE", "VERSION", "EXPIRES", ""}, rows)
}

// expiry says when something expires that has so much time left.
func expiry(left time.Duration) string {
	if left <= 0 {
		return "expired " + days(-left) + " ago"
	}
	return "expires in " + days(left)
}

// days is a duration as people plan with it.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return counted(int(d.Hours()/24), "day")
}
