package main

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
)

func newDelegationList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list COLLECTION",
		Short: "List the delegations of a collection",
		Long: `List the delegations of a collection, verified from the trusted root, in the order
in which clients ask the roles, with the key IDs of those who may sign.`,
		Example: `  publisher delegation list example.com/scripts
  publisher delegation list example.com/scripts --json`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.listDelegations(cmd.Context(), args[0])
		},
	}
}

func (a *app) listDelegations(ctx context.Context, collection string) error {
	view, err := a.view(ctx, collection)
	if err != nil {
		return err
	}
	all, err := view.Delegations(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if err := all[i].CheckName(); err != nil {
			a.warnf("%s: %s", repo.RoleToNotary(all[i].Role), err)
		}
		all[i].Role, all[i].Parent = repo.RoleToNotary(all[i].Role), repo.RoleToNotary(all[i].Parent)
		if all[i].Waiting {
			a.infof("%s has published nothing yet", all[i].Role)
		}
	}
	if len(all) == 0 {
		a.infof("%s has no delegations", collection)
	}
	return a.result(all, func(w io.Writer) error {
		rows := make([][]string, len(all))
		for i, d := range all {
			rows[i] = []string{printable(d.Role), printable(strings.Join(repo.FoldPaths(d.Paths), ",")), strings.Join(d.KeyIDs, ","), strconv.FormatInt(d.Threshold, 10)}
		}
		return printTable(w, []string{"ROLE", "PATHS", "KEY IDS", "THRESHOLD"}, rows)
	})
}
