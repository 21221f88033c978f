package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"publisher/trust"
)

func newReset(a *app) *cobra.Command {
	var numbers []int
	var all bool
	cmd := &cobra.Command{
		Use:     "reset COLLECTION (-n NUMBER,… | --all)",
		Short:   "Take staged changes back",
		GroupID: groupPublish,
		Long: `Take staged changes back. If they were left for the online signer with
publish --no-wait, their submission is withdrawn from the inbox, with all that is
in it: what is not taken back stays staged. It is too late once the signer has
published it, and while it does. Who may not delete from the inbox is told who can.`,
		Example: `  publisher status example.com/scripts
  publisher reset example.com/scripts -n 0,2`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && len(numbers) > 0 {
				return exclusive("-n", "--all")
			}
			if !all && len(numbers) == 0 {
				return usage("publisher reset COLLECTION -n 0,1 or --all", "either -n or --all is needed")
			}
			c, _, err := a.known(args[0])
			if err != nil {
				return err
			}
			return runReset(cmd.Context(), a, c, numbers, all)
		},
	}
	cmd.Flags().IntSliceVarP(&numbers, "number", "n", nil, "the `numbers` of the changes, as status shows them")
	cmd.Flags().BoolVar(&all, "all", false, "all staged changes")
	return cmd
}

// runReset waits for a publish that is at work: it publishes what it has read,
// whatever is taken back meanwhile.
func runReset(ctx context.Context, a *app, c *trust.Collection, numbers []int, all bool) error {
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	if all {
		return a.resetAll(ctx, c)
	}
	ids, err := a.numbered(c, numbers)
	if err != nil {
		return err
	}
	withdrawn, err := a.takeBack(ctx, c, ids, false)
	if err != nil {
		return err
	}
	if err := c.Changelist().Remove(ids...); err != nil {
		return err
	}
	return a.resetResult(c, "took back "+counted(len(ids), "staged change")+" of "+c.Name(), len(ids), withdrawn)
}

// resetAll also works on a changelist that cannot be read.
func (a *app) resetAll(ctx context.Context, c *trust.Collection) error {
	what := "took back all staged changes of " + c.Name()
	if changes, err := a.staged(c); err == nil && len(changes) == 0 {
		what = "nothing is staged for " + c.Name()
	}
	withdrawn, err := a.takeBack(ctx, c, nil, true)
	if err != nil {
		return err
	}
	if err := c.Changelist().Clear(); err != nil {
		return err
	}
	return a.resetResult(c, what, 0, withdrawn)
}

// numbered is the IDs of the staged changes with these numbers.
func (a *app) numbered(c *trust.Collection, numbers []int) ([]string, error) {
	changes, err := a.staged(c)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range numbers {
		if n < 0 || n >= len(changes) {
			return nil, &cliError{
				err:  fmt.Errorf("there is no staged change %d, only %s", n, counted(len(changes), "change")),
				hint: "publisher status " + c.Name(),
				code: exitNotFound,
			}
		}
		ids = append(ids, changes[n].ID)
	}
	return ids, nil
}

// resetResult tells how many changes were taken back, and the submission that
// they were in. Of all, which perhaps could not even be read, the number is not
// known.
func (a *app) resetResult(c *trust.Collection, what string, n int, withdrawn string) error {
	v := struct {
		Collection string `json:"collection"`
		All        bool   `json:"all"`
		Changes    int    `json:"changes,omitzero"`
		Withdrawn  string `json:"withdrawn,omitempty"` // a submission, by its name in the inbox
	}{c.Name(), n == 0, n, withdrawn}
	if withdrawn != "" {
		what += "\nwithdrew the submission " + withdrawn + " from the inbox"
	}
	left, err := a.staged(c)
	if err != nil {
		return err
	}
	if withdrawn != "" && len(left) > 0 {
		a.infof("next: publisher publish %s, for %s that stay staged", c.Name(), counted(len(left), "change"))
	}
	return a.result(v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, what)
		return err
	})
}
