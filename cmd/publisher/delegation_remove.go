package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

type delegationRemoveOptions struct {
	stageOptions
	paths    []string
	allPaths bool
}

func newDelegationRemove(a *app) *cobra.Command {
	var o delegationRemoveOptions
	cmd := &cobra.Command{
		Use:   "remove COLLECTION ROLE [KEYID…]",
		Short: "Stage the removal of a delegation, or of some of its keys or paths",
		Long: `Stage the removal of a delegation, or of some of its keys or paths.

Without key IDs and paths the whole delegation goes, and what lies below it: it
asks first, unless --yes says so. Key IDs may be cut to their first 7 characters.

A role that one of the removed keys has signed last must be signed again by the
keys that stay. If they are here publish does so; else it makes a draft for those
who have them.`,
		Example: `  publisher delegation remove example.com/scripts targets/releases 1a2b3c4
  publisher delegation remove example.com/scripts targets/releases --paths beta/
  publisher delegation remove example.com/scripts targets/releases --yes -p`,
		Args: atLeast(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDelegationRemove(cmd.Context(), a, args, o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.paths, "paths", nil, "`paths` to remove, as they were added, separated by commas")
	f.BoolVar(&o.allPaths, "all-paths", false, "remove all paths")
	o.add(f)
	a.addYes(f)
	cmd.MarkFlagsMutuallyExclusive("paths", "all-paths")
	cmd.ValidArgsFunction = a.completeRoleFirst
	return cmd
}

func runDelegationRemove(ctx context.Context, a *app, args []string, o delegationRemoveOptions) error {
	c, _, err := a.known(args[0])
	if err != nil {
		return err
	}
	role, err := delegationRole(args[1])
	if err != nil {
		return err
	}
	d, err := a.delegation(ctx, c, role)
	if err != nil {
		return err
	}
	if err := d.CheckName(); err != nil {
		a.warnf("%s: %s: it is %s that changes", repo.RoleToNotary(role), err, repo.RoleToNotary(d.Parent))
	}
	change := repo.Change{Action: repo.Remove, Type: repo.TypeDelegation, Role: role}
	if len(args) == 2 && len(o.paths) == 0 && !o.allPaths {
		ok, err := a.confirm(fmt.Sprintf("remove the delegation to %s of %s, and what lies below it?", repo.RoleToNotary(role), c.Name()))
		if err != nil || !ok {
			return err
		}
	} else {
		change.Action = repo.Update
		if change.Delegation, err = o.change(d, args[2:]); err != nil {
			return err
		}
	}
	return a.stage(ctx, c, o.stageOptions, []repo.Change{change})
}

// change is what is to go of a delegation.
func (o *delegationRemoveOptions) change(d repo.DelegationInfo, ids []string) (*repo.DelegationChange, error) {
	change := &repo.DelegationChange{AllPaths: o.allPaths}
	for _, id := range ids {
		full, err := pickKey(d.KeyIDs, id, &cliError{
			err:  fmt.Errorf("%s has no key %s", repo.RoleToNotary(d.Role), id),
			hint: "its keys are " + strings.Join(d.KeyIDs, ", "),
			code: exitNotFound,
		})
		if err != nil {
			return nil, err
		}
		change.RemoveKeys = append(change.RemoveKeys, full)
	}
	for _, path := range o.paths {
		patterns := repo.PathPatterns(path)
		if !slices.Contains(d.Paths, patterns[0]) {
			return nil, &cliError{
				err:  fmt.Errorf("%s is not delegated %s", repo.RoleToNotary(d.Role), path),
				hint: "its paths are " + strings.Join(repo.FoldPaths(d.Paths), ", "),
				code: exitNotFound,
			}
		}
		change.RemovePaths = append(change.RemovePaths, patterns...)
	}
	return change, nil
}

// pickKey finds the one of the keys that an ID, or its first characters, name;
// none is the error for an ID that names no one.
func pickKey(known []string, id string, none error) (string, error) {
	id = strings.ToLower(id)
	if len(id) < minKeyID || strings.Trim(id, "0123456789abcdef") != "" {
		return "", usage("publisher delegation list COLLECTION shows the key IDs", "%q is not a key ID, nor its first %d characters or more", id, minKeyID)
	}
	found := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !strings.HasPrefix(k, id) })
	switch len(found) {
	case 0:
		return "", none
	case 1:
		return found[0], nil
	}
	return "", usage("give more of the key ID", "%s could be key %s", id, strings.Join(found, " or "))
}

// delegation is a delegation as it will be after what is staged.
func (a *app) delegation(ctx context.Context, c *trust.Collection, role string) (repo.DelegationInfo, error) {
	all, err := a.delegations(ctx, c)
	if err != nil {
		return repo.DelegationInfo{}, err
	}
	i := slices.IndexFunc(all, func(d repo.DelegationInfo) bool { return d.Role == role })
	if i < 0 {
		return repo.DelegationInfo{}, hinted(fmt.Errorf("%w: %s", repo.ErrNoRole, repo.RoleToNotary(role)),
			"publisher delegation list %s shows what is there", c.Name())
	}
	return all[i], nil
}

// delegations is all of them as they will be after what is staged.
func (a *app) delegations(ctx context.Context, c *trust.Collection) ([]repo.DelegationInfo, error) {
	v, err := a.toStageOn(ctx, c)
	if err != nil {
		return nil, err
	}
	staged, err := a.staged(c)
	if err != nil {
		return nil, err
	}
	all, err := v.Delegations(ctx, staged...)
	if err != nil {
		return nil, a.explain(c, err)
	}
	return all, nil
}

func newDelegationPurge(a *app) *cobra.Command {
	var o stageOptions
	var ids []string
	cmd := &cobra.Command{
		Use:   "purge COLLECTION --key KEYID",
		Short: "Stage the removal of keys from every delegation",
		Long: `Stage the removal of keys from every delegation that has them, as when a delegate
leaves or a key was stolen. Delegations that would have too few keys left need
others first, or must go.`,
		Example: `  publisher delegation purge example.com/scripts --key 1a2b3c4d5e6f -p`,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDelegationPurge(cmd.Context(), a, args[0], ids, o)
		},
	}
	cmd.Flags().StringSliceVar(&ids, "key", nil, "the `KEYID` of the key, or its first 7 characters or more; can be repeated")
	completeFlag(cmd, "key", a.completeKeys)
	o.add(cmd.Flags())
	a.addYes(cmd.Flags())
	return cmd
}

func runDelegationPurge(ctx context.Context, a *app, name string, ids []string, o stageOptions) error {
	c, _, err := a.known(name)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return usage("publisher delegation purge COLLECTION --key KEYID", "no key to purge")
	}
	all, err := a.delegations(ctx, c)
	if err != nil {
		return err
	}
	full, err := purged(all, ids, c.Name())
	if err != nil {
		return err
	}
	var changes []repo.Change
	for _, d := range all {
		gone := slices.DeleteFunc(slices.Clone(d.KeyIDs), func(id string) bool { return !slices.Contains(full, id) })
		if len(gone) > 0 {
			changes = append(changes, repo.Change{
				Action: repo.Update, Type: repo.TypeDelegation, Role: d.Role,
				Delegation: &repo.DelegationChange{RemoveKeys: gone},
			})
		}
	}
	return a.stage(ctx, c, o, changes)
}

// purged is the full IDs of keys that some delegation has.
func purged(all []repo.DelegationInfo, ids []string, collection string) ([]string, error) {
	var known []string
	for _, d := range all {
		known = append(known, d.KeyIDs...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	var full []string
	for _, id := range ids {
		one, err := pickKey(known, id, &cliError{
			err:  fmt.Errorf("no delegation of %s has a key %s", collection, tuf.ShortID(id)),
			hint: "publisher delegation list " + collection, code: exitNotFound,
		})
		if err != nil {
			return nil, err
		}
		full = append(full, one)
	}
	return full, nil
}
