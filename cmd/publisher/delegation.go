package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

func newDelegation(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delegation",
		Short:   "Let others publish some of the targets",
		GroupID: groupPublish,
		Long: `Let others publish some of the targets, with keys of their own.

A delegation is called as in Notary: targets/releases, and below it, delegated by
those who sign targets/releases, targets/releases/ci.`,
	}
	return family(cmd, newDelegationAdd(a), newDelegationRemove(a), newDelegationPurge(a), newDelegationList(a))
}

// addYes lets --yes be -y, as it is in Notary on these verbs alone.
func (a *app) addYes(f *pflag.FlagSet) {
	f.BoolVarP(&a.flags.yes, "yes", "y", false, "answer yes to every question")
}

// delegationRole is the TUF role that a delegation's name means.
func delegationRole(name string) (string, error) {
	role := repo.RoleFromNotary(name)
	if err := repo.CheckDelegation(role); err != nil {
		return "", usage("a delegation is called targets/NAME", "%w", err)
	}
	return role, nil
}

// roleOptions is the roles that a change is for.
type roleOptions struct {
	names []string
}

func (o *roleOptions) add(a *app, cmd *cobra.Command, what string) {
	o.flag(cmd.Flags(), what)
	completeFlag(cmd, "role", a.completeDelegations)
}

func (o *roleOptions) flag(f *pflag.FlagSet, what string) {
	f.StringArrayVarP(&o.names, "role", "r", nil, what+" the `ROLE`, such as targets/releases, in place of targets; can be repeated")
}

// roles is the TUF roles that were named, or targets.
func (o *roleOptions) roles() ([]string, error) {
	if len(o.names) == 0 {
		return []string{tuf.RoleTargets}, nil
	}
	var roles []string
	for _, name := range o.names {
		role := tuf.RoleTargets
		if name != role {
			var err error
			if role, err = delegationRole(name); err != nil {
				return nil, err
			}
		}
		if slices.Contains(roles, role) {
			return nil, usage("give each ROLE once", "%s is given twice", name)
		}
		roles = append(roles, role)
	}
	return roles, nil
}

// inRoles is the changes for each of the roles that were named.
func (o *roleOptions) inRoles(changes []repo.Change) ([]repo.Change, error) {
	roles, err := o.roles()
	if err != nil {
		return nil, err
	}
	var all []repo.Change
	for _, role := range roles {
		for _, c := range changes {
			c.Role = role
			all = append(all, c)
		}
	}
	return all, nil
}

// completeDelegations offers targets and the delegations of the collection that
// the first argument names, as they were seen last.
func (a *app) completeDelegations(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, func() ([]string, error) {
		names := []string{tuf.RoleTargets}
		if len(args) == 0 || repo.CheckCollection(args[0]) != nil {
			return names, nil
		}
		v, err := a.seenBefore(context.Background(), a.trust.Collection(args[0]))
		if err != nil {
			return names, nil
		}
		all, err := v.Delegations(context.Background())
		for _, d := range all {
			names = append(names, repo.RoleToNotary(d.Role))
		}
		return names, err
	})
}

// checkStaging refuses changes that could not be published after those that are
// staged already: roles that are not there, targets outside of their paths.
// Where the store cannot be reached, what was seen last has to do.
func (a *app) checkStaging(ctx context.Context, c *trust.Collection, changes []repo.Change) error {
	if !slices.ContainsFunc(changes, func(c repo.Change) bool { return c.Type != repo.TypeTarget || c.Role != tuf.RoleTargets }) {
		return nil
	}
	v, err := a.toStageOn(ctx, c)
	if err != nil {
		return err
	}
	staged, err := a.staged(c)
	if err != nil {
		return err
	}
	err = v.CheckChanges(ctx, append(staged, changes...))
	if errors.As(err, new(*repo.VerifyError)) || errors.As(err, new(*repo.ChangeError)) {
		return stagingHint(c, err)
	}
	return err
}

// warnConsequences tells what the staged changes of delegations mean for others,
// before anybody publishes them. Next is what to type then: what they lack, or
// else publish.
func (a *app) warnConsequences(ctx context.Context, c *trust.Collection, staged []repo.Change) (next string, err error) {
	next = "publisher publish " + c.Name()
	if !slices.ContainsFunc(staged, func(c repo.Change) bool { return c.Type == repo.TypeDelegation }) {
		return next, nil
	}
	v, err := a.toStageOn(ctx, c)
	if err != nil {
		return "", err
	}
	all, err := a.staged(c)
	if err != nil {
		return "", err
	}
	plan, err := v.Plan(ctx, all)
	var change *repo.ChangeError
	switch {
	case errors.As(err, &change):
		a.warnf("not to be published like this: %s", oneLine(err.Error()))
		if hint := completion(c, change); hint != "" {
			next = hint
		}
		return next, nil
	case err != nil:
		return "", err
	}
	for _, r := range plan.Roles {
		if r.Resigned && int64(a.heldOf(r.KeyIDs)) >= r.Threshold {
			a.infof("%s was signed last by a key that goes, and is to be signed again with %s", repo.RoleToNotary(r.Role), a.signatures(r))
		}
		a.warnResigned(c.Name(), r)
	}
	return next, nil
}

// stagingHint tells what to do about a change that cannot be applied.
func stagingHint(c *trust.Collection, err error) error {
	if errors.Is(err, repo.ErrNoRole) {
		return hinted(err, "publisher delegation list %s shows what is there", c.Name())
	}
	if change, ok := errors.AsType[*repo.ChangeError](err); ok && errors.As(err, new(*repo.NameError)) {
		return hinted(err, "%s", completion(c, change))
	}
	return hinted(err, "publisher delegation list %[1]s shows roles and paths, publisher status %[1]s what is staged", c.Name())
}

// toStageOn is the collection as it is in the store or, if that cannot be
// reached, as it was seen last.
func (a *app) toStageOn(ctx context.Context, c *trust.Collection) (*repo.View, error) {
	if v := a.onto[c.Name()]; v != nil {
		return v, nil
	}
	s, err := c.Settings()
	if err != nil {
		return nil, err
	}
	v, err := a.loadExpired(ctx, c, s)
	if err != nil && !errors.As(err, new(*repo.VerifyError)) && !errors.Is(err, context.Canceled) {
		why := err
		if v, err = a.seenBefore(ctx, c); err != nil {
			return nil, why
		}
		a.warnf("checked against what was seen last, because the store cannot be reached: %s", oneLine(why.Error()))
	}
	a.onto = map[string]*repo.View{c.Name(): v}
	return v, err
}

// seenBefore is a collection as far as the cache knows it.
func (a *app) seenBefore(ctx context.Context, c *trust.Collection) (*repo.View, error) {
	l := &repo.Loader{Source: cached{c}, Collection: c.Name(), Cache: c.Cache(), Now: a.now(), IgnoreExpiry: true, Stale: true}
	return l.Load(ctx)
}

// cached is a source that has nothing but the timestamp that was seen last: all
// else that it names is in the cache too.
type cached struct{ c *trust.Collection }

func (s cached) Get(_ context.Context, key string) (storage.Object, error) {
	if key != repo.TimestampKey(s.c.Name()) {
		return storage.Object{}, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	data, err := s.c.Cache().Get("timestamp.json")
	if err != nil {
		return storage.Object{}, err
	}
	return storage.Object{Body: io.NopCloser(bytes.NewReader(data)), Size: int64(len(data))}, nil
}

// changePath is what a staged change is about, beside its role.
func changePath(c repo.Change) string {
	if c.Delegation == nil {
		return c.Name
	}
	d, parts := c.Delegation, []string{}
	for _, key := range d.Keys {
		parts = append(parts, "+key "+tuf.ShortID(key.ID()))
	}
	for _, id := range d.RemoveKeys {
		parts = append(parts, "-key "+tuf.ShortID(id))
	}
	switch {
	case d.AllPaths && c.Action == repo.Update:
		parts = append(parts, "-<all paths>")
	case d.AllPaths:
		parts = append(parts, "<all paths>")
	}
	for _, p := range repo.FoldPaths(d.Paths) {
		parts = append(parts, "+"+p)
	}
	for _, p := range repo.FoldPaths(d.RemovePaths) {
		parts = append(parts, "-"+p)
	}
	if d.Threshold > 0 {
		parts = append(parts, fmt.Sprintf("threshold %d", d.Threshold))
	}
	if d.Terminating != nil {
		parts = append(parts, fmt.Sprintf("terminating %t", *d.Terminating))
	}
	return strings.Join(parts, " ")
}
