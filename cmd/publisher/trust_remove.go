package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newTrustRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove COLLECTION",
		Short: "Trust a collection no more",
		Long: `Trust a collection no more: remove what the trust directory knows of it. Private
keys stay, and so does everything that is published.`,
		Aliases: []string{"rm"},
		Args:    exactly(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runTrustRemove(cmd.Context(), a, args[0]) },
	}
}

// runTrustRemove leaves staged changes alone, also with --yes, which says yes
// to losing trust and not to losing work.
func runTrustRemove(ctx context.Context, a *app, name string) error {
	c, _, err := a.known(name)
	if err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	staged, err := c.Changelist().List()
	if err == nil && len(staged) > 0 {
		err = fmt.Errorf("%s has %s", name, counted(len(staged), "staged change"))
	}
	if err != nil {
		return &cliError{
			err:  err,
			hint: fmt.Sprintf("publisher publish %[1]s, or publisher reset %[1]s --all", name),
			code: exitConflict,
		}
	}
	if err := a.insist(fmt.Sprintf("remove what %s knows of %s? keys, and what is published, stay", a.trust.Path(), name)); err != nil {
		return err
	}
	if err := c.Delete(); err != nil {
		return err
	}
	a.infof("%s is no longer trusted here", name)
	return nil
}
