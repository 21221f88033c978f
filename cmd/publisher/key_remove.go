package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newKeyRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "remove KEY-ID…",
		Short:             "Remove private keys for good",
		Aliases:           []string{"rm"},
		Args:              atLeast(1),
		ValidArgsFunction: a.completeKeys,
		RunE:              func(_ *cobra.Command, args []string) error { return runKeyRemove(a, args) },
	}
}

func runKeyRemove(a *app, ids []string) error {
	found, err := a.findKeys(ids)
	if err != nil {
		return err
	}
	names := make([]string, len(found))
	for i, id := range found {
		names[i] = keyOf("", id, "")
		if held, err := a.heldKey(id); err == nil { // a damaged key can be removed too
			names[i] = held.String()
		}
	}
	if err := a.insist(fmt.Sprintf("remove the %s? if there is no copy elsewhere, nothing brings it back", strings.Join(names, " and the "))); err != nil {
		return err
	}
	for i, id := range found {
		if err := a.trust.Keys().Remove(id); err != nil {
			return fmt.Errorf("remove the %s: %w", names[i], err)
		}
		a.infof("removed the %s", names[i])
	}
	return nil
}

// insist fails unless the user confirms.
func (a *app) insist(question string) error {
	yes, err := a.confirm(question)
	if err == nil && !yes {
		err = hinted(errors.New("not confirmed, nothing was done"), "answer y, or add --yes")
	}
	return err
}
