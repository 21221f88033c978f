package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"publisher/repo"
)

func newLookup(a *app) *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "lookup COLLECTION NAME",
		Short: "Show one target's hashes and size",
		Long: `Show the target that clients get under a name, verified from the trusted root:
its name, hash and size, a line for each hash.`,
		Example:           "  publisher lookup example.com/scripts install.sh",
		GroupID:           groupRead,
		Args:              exactly(2),
		ValidArgsFunction: a.completeTargets(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.lookup(cmd.Context(), args[0], args[1], role)
		},
	}
	cmd.Flags().StringVarP(&role, "role", "r", "", "show what this `ROLE` says, whichever goes before it")
	completeFlag(cmd, "role", a.completeDelegations)
	return cmd
}

func (a *app) lookup(ctx context.Context, collection, name, role string) error {
	view, err := a.view(ctx, collection)
	if err != nil {
		return err
	}
	target, err := lookup(ctx, view, name, role)
	if err != nil {
		return err
	}
	listed := listedAs(target)
	return a.result(listed, func(w io.Writer) error {
		for _, algorithm := range slices.Sorted(maps.Keys(listed.Hashes)) {
			_, err := fmt.Fprintf(w, "%s %s:%s %d\n", printable(listed.Name), printable(algorithm), printable(listed.Hashes[algorithm]), listed.Size)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// lookup finds a target in one role, or, if none is named, where clients do.
func lookup(ctx context.Context, view *repo.View, name, role string) (repo.Target, error) {
	if role == "" {
		return view.Lookup(ctx, name)
	}
	role = repo.RoleFromNotary(role)
	f, err := view.Role(ctx, role)
	if err != nil {
		return repo.Target{}, err
	}
	file, ok := f.Signed.Targets[name]
	if !ok {
		return repo.Target{}, fmt.Errorf("%w: %s in %s", repo.ErrNoTarget, name, repo.RoleToNotary(role))
	}
	return repo.Target{Name: name, Role: role, TargetFile: file}, nil
}
