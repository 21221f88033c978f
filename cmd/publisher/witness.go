package main

import (
	"context"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
)

func newWitness(a *app) *cobra.Command {
	var o stageOptions
	cmd := &cobra.Command{
		Use:     "witness COLLECTION ROLE…",
		Short:   "Stage roles to be signed again as they are",
		GroupID: groupPublish,
		Long: `Stage targets, or delegations, to be signed again as they are, with a new expiry:
also ones that have expired. A role in the last third of its life needs none of
this: publish with nothing staged signs it.`,
		Example: `  publisher witness example.com/scripts targets targets/releases -p`,
		Args:    atLeast(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runWitness(cmd.Context(), a, args[0], args[1:], o)
		},
	}
	o.add(cmd.Flags())
	cmd.ValidArgsFunction = a.completeRolesAfter
	return cmd
}

func runWitness(ctx context.Context, a *app, name string, names []string, o stageOptions) error {
	c, _, err := a.known(name)
	if err != nil {
		return err
	}
	for _, role := range names {
		switch role {
		case tuf.RoleSnapshot, tuf.RoleTimestamp:
			return usage("publisher refresh "+name, "%s is not witnessed: whoever holds its key renews it", role)
		case tuf.RoleRoot:
			return usage("publisher root "+name+" --renew", "root is not witnessed: it is renewed by a new one")
		}
	}
	roles, err := (&roleOptions{names}).roles()
	if err != nil {
		return err
	}
	changes := make([]repo.Change, len(roles))
	for i, role := range roles {
		changes[i] = repo.Change{Action: repo.Update, Type: repo.TypeWitness, Role: role}
	}
	return a.stage(ctx, c, o, changes)
}

// completeRolesAfter offers collections, then roles as often as one likes.
func (a *app) completeRolesAfter(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return a.completeDelegations(cmd, args, word)
	}
	return a.completeCollections(cmd, args, word)
}
