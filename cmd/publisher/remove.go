package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

type removeOptions struct {
	stageOptions
	roleOptions
	ignoreMissing bool
}

func newRemove(a *app) *cobra.Command {
	var o removeOptions
	cmd := &cobra.Command{
		Use:     "remove COLLECTION NAME…",
		Short:   "Stage targets to be removed",
		GroupID: groupPublish,
		Long: `Stage targets to be removed from the collection. The objects stay in the store,
where pullers that are in the middle of an update still find them.`,
		Example:           `  publisher remove example.com/scripts install.sh`,
		Args:              atLeast(2),
		ValidArgsFunction: a.completeTargets(math.MaxInt),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRemove(cmd.Context(), a, args[0], args[1:], o)
		},
	}
	cmd.Flags().BoolVar(&o.ignoreMissing, "ignore-missing", false, "accept names that are not there")
	o.roleOptions.add(a, cmd, "remove from")
	o.stageOptions.add(cmd.Flags())
	return cmd
}

func runRemove(ctx context.Context, a *app, name string, names []string, o removeOptions) error {
	c, s, err := a.known(name)
	if err != nil {
		return err
	}
	var changes []repo.Change
	for _, target := range names {
		changes = append(changes, repo.Change{Action: repo.Remove, Name: target})
	}
	if changes, err = o.inRoles(changes); err != nil {
		return err
	}
	if !o.ignoreMissing {
		if err := a.checkThere(ctx, c, s, changes); err != nil {
			return err
		}
	}
	return a.stage(ctx, c, o.stageOptions, changes)
}

// checkThere refuses removals of targets that are neither published nor staged.
func (a *app) checkThere(ctx context.Context, c *trust.Collection, s trust.Settings, removals []repo.Change) error {
	v, err := a.loadExpired(ctx, c, s)
	if err != nil {
		return err
	}
	staged, err := a.staged(c)
	if err != nil {
		return err
	}
	for _, r := range removals {
		there, err := publishedIn(ctx, v, r)
		if err != nil {
			return err
		}
		for _, change := range staged {
			if change.Type == repo.TypeTarget && change.Role == r.Role && change.Name == r.Name {
				there = change.Action == repo.Add
			}
		}
		if !there {
			return hinted(fmt.Errorf("%w: %s", repo.ErrNoTarget, inRole(r)),
				"publisher list %s shows what is there; --ignore-missing accepts this", c.Name())
		}
	}
	return nil
}

// inRole is what a change is about as people are told of it.
func inRole(c repo.Change) string {
	switch {
	case c.Type != repo.TypeTarget:
		return repo.RoleToNotary(c.Role)
	case c.Role == tuf.RoleTargets:
		return c.Name
	}
	return c.Name + " in " + repo.RoleToNotary(c.Role)
}

// publishedIn reports whether the target of a change is published in its role.
func publishedIn(ctx context.Context, v *repo.View, c repo.Change) (bool, error) {
	f, err := v.Role(ctx, c.Role)
	if errors.Is(err, repo.ErrNotPublished) || errors.Is(err, repo.ErrNoRole) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, there := f.Signed.Targets[c.Name]
	return there, nil
}

// loadExpired reads a collection for those who are about to change it: what has
// expired is no obstacle.
func (a *app) loadExpired(ctx context.Context, c *trust.Collection, s trust.Settings) (*repo.View, error) {
	source, err := a.ownSource(ctx, c.Name(), s)
	if err != nil {
		return nil, err
	}
	l, err := a.loader(c.Name(), source, c.Cache())
	if err != nil {
		return nil, err
	}
	l.IgnoreExpiry = true
	return l.Load(ctx)
}
