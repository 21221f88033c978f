package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

type removeOptions struct {
	stageOptions
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
		Example: `  publisher remove example.com/scripts install.sh`,
		Args:    atLeast(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRemove(cmd.Context(), a, args[0], args[1:], o)
		},
	}
	cmd.Flags().BoolVar(&o.ignoreMissing, "ignore-missing", false, "accept names that are not there")
	o.add(cmd.Flags())
	return cmd
}

func runRemove(ctx context.Context, a *app, name string, names []string, o removeOptions) error {
	c, s, err := a.known(name)
	if err != nil {
		return err
	}
	if !o.ignoreMissing {
		if err := a.checkThere(ctx, c, s, names); err != nil {
			return err
		}
	}
	var changes []repo.Change
	for _, target := range names {
		changes = append(changes, repo.Change{Action: repo.Remove, Role: tuf.RoleTargets, Name: target})
	}
	return a.stage(ctx, c, o.stageOptions, changes)
}

// checkThere refuses names that are neither published nor staged.
func (a *app) checkThere(ctx context.Context, c *trust.Collection, s trust.Settings, names []string) error {
	there, err := a.publishedTargets(ctx, c, s)
	if err != nil {
		return err
	}
	staged, err := a.staged(c)
	if err != nil {
		return err
	}
	for _, change := range staged {
		there[change.Name] = change.Action == repo.Add
	}
	for _, name := range names {
		if !there[name] {
			return hinted(fmt.Errorf("%w: %s", repo.ErrNoTarget, name),
				"publisher list %s shows what is there; --ignore-missing accepts this", c.Name())
		}
	}
	return nil
}

func (a *app) publishedTargets(ctx context.Context, c *trust.Collection, s trust.Settings) (map[string]bool, error) {
	there := map[string]bool{}
	v, err := a.loadExpired(ctx, c, s)
	if err != nil {
		return nil, err
	}
	f, err := v.Role(ctx, tuf.RoleTargets)
	if errors.Is(err, repo.ErrNotPublished) {
		return there, nil
	}
	if err != nil {
		return nil, err
	}
	for name := range f.Signed.Targets {
		there[name] = true
	}
	return there, nil
}

// loadExpired reads a collection for those who are about to change it: what has
// expired is no obstacle.
func (a *app) loadExpired(ctx context.Context, c *trust.Collection, s trust.Settings) (*repo.View, error) {
	source, err := a.ownSource(ctx, c.Name(), s)
	if err != nil {
		return nil, err
	}
	l := &repo.Loader{Source: source, Collection: c.Name(), Cache: c.Cache(), Now: a.now(), IgnoreExpiry: true}
	return l.Load(ctx)
}
