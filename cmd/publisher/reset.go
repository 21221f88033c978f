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
	list := c.Changelist()
	if all {
		what := "took back all staged changes of " + c.Name()
		if changes, err := a.staged(c); err == nil && len(changes) == 0 {
			what = "nothing is staged for " + c.Name()
		}
		if err := list.Clear(); err != nil {
			return err
		}
		return a.resetResult(c.Name(), what, 0)
	}
	changes, err := a.staged(c)
	if err != nil {
		return err
	}
	var ids []string
	for _, n := range numbers {
		if n < 0 || n >= len(changes) {
			return &cliError{
				err:  fmt.Errorf("there is no staged change %d, only %s", n, counted(len(changes), "change")),
				hint: "publisher status " + c.Name(),
				code: exitNotFound,
			}
		}
		ids = append(ids, changes[n].ID)
	}
	if err := list.Remove(ids...); err != nil {
		return err
	}
	return a.resetResult(c.Name(), "took back "+counted(len(ids), "staged change")+" of "+c.Name(), len(ids))
}

// resetResult tells how many changes were taken back. Of all, which perhaps
// could not even be read, the number is not known.
func (a *app) resetResult(name, what string, n int) error {
	v := struct {
		Collection string `json:"collection"`
		All        bool   `json:"all"`
		Changes    int    `json:"changes,omitzero"`
	}{name, n == 0, n}
	return a.result(v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, what)
		return err
	})
}
