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
	"publisher/trust"
)

func newStatus(a *app) *cobra.Command {
	var failWithin string
	cmd := &cobra.Command{
		Use:     "status COLLECTION",
		Short:   "Show what is staged, what publish would do, and who must sign what until when",
		GroupID: groupPublish,
		Long: `Show what is staged, what publish would do with it, and for each role, delegations
too, until when its signatures last, whose keys must sign it, and where those are:
here, with the online signer, or elsewhere. It warns of roles in the last third
of their life.

With --fail-within it exits with 7 if a role expires within that time, with 5 if
nothing is published yet: for cron and monitoring. Where the store cannot be
reached it shows what is staged. Drafts are shown with who must still sign them,
and until when, and what waits for the online signer, with the numbers of the
staged changes that it publishes.`,
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
	Expiries   []roleExpiry    `json:"expiries,omitempty"`
	Drafts     []draftResult   `json:"drafts,omitempty"`
	Left       *leftBehind     `json:"left,omitempty"` // the submission that the last publish has left
	Published  bool            `json:"published"`
	Unready    []unready       `json:"unready,omitempty"` // what publish would fail on, as far as is seen here
}

// shown is the state with the roles called as people call them.
func (s state) shown() state {
	s.Staged, s.Plan = shownChanges(s.Staged), shownRoles(s.Plan)
	return s
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
	if s.Left, err = leftHere(c, s.Staged); err != nil {
		return err
	}
	s.Unready = changedSources(s.Staged)
	a.warnUnready(name, s.Unready)
	err = a.remoteState(ctx, c, &s)
	var untrusted *repo.VerifyError
	switch {
	case err == nil:
	case within > 0 || errors.As(err, &untrusted) || errors.Is(err, context.Canceled):
		return err
	default:
		a.warnf("what publish would do is not known: %s", oneLine(err.Error()))
	}
	if err := a.result(s.shown(), func(w io.Writer) error { return a.printState(w, s) }); err != nil {
		return err
	}
	a.warnDue(s.Collection, s.Expiries)
	a.warnRotation(c)
	return a.checkWithin(s, within)
}

// remoteState adds what only the store knows.
func (a *app) remoteState(ctx context.Context, c *trust.Collection, s *state) error {
	settings, err := c.Settings()
	if err != nil {
		return err
	}
	if err := a.draftState(ctx, c, s); err != nil {
		return err
	}
	if s.Left != nil {
		if err := s.Left.ask(ctx, a, c); err != nil {
			return err
		}
	}
	v, err := a.loadExpired(ctx, c, settings)
	if err != nil {
		return err
	}
	s.Published = v.Published()
	if s.Expiries, err = a.expiries(ctx, v, settings); err != nil {
		return err
	}
	plan, err := v.Plan(ctx, s.Staged)
	if err != nil {
		return a.explain(c, err)
	}
	s.Plan = plan.Roles
	a.warnPlan(c.Name(), plan)
	return nil
}

// draftState adds the drafts, and takes away what was staged for those that are
// published by now.
func (a *app) draftState(ctx context.Context, c *trust.Collection, s *state) (err error) {
	if s.Drafts, err = a.draftsOf(ctx, c); err != nil {
		return err
	}
	if s.Staged, err = a.staged(c); err != nil {
		return err
	}
	s.Left, err = leftHere(c, s.Staged)
	return err
}

func (a *app) printState(w io.Writer, s state) error {
	if len(s.Staged) == 0 {
		if _, err := fmt.Fprintf(w, "nothing is staged for %s\n", s.Collection); err != nil {
			return err
		}
	} else if err := printStaged(w, s.Staged); err != nil {
		return err
	}
	if s.Left != nil {
		if err := s.Left.print(w, s.Collection); err != nil {
			return err
		}
	}
	if len(s.Drafts) > 0 {
		if _, err := fmt.Fprintln(w, "\ndrafts that wait for signatures:"); err != nil {
			return err
		}
		if err := a.printDrafts(w, s.Drafts); err != nil {
			return err
		}
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
	return a.printExpiries(w, s.Expiries)
}

func printStaged(w io.Writer, staged []repo.Change) error {
	rows := make([][]string, len(staged))
	for i, c := range staged {
		rows[i] = []string{strconv.Itoa(i), string(c.Action), repo.RoleToNotary(c.Role), c.Type.String(), changePath(c)}
	}
	return printTable(w, []string{"#", "ACTION", "SCOPE", "TYPE", "PATH"}, rows)
}
