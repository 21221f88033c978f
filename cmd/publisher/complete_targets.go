package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// maxCompletions is how many names a shell is offered.
const maxCompletions = 1000

// completeTargets offers collections first, and then names of targets of the
// collection, as many as the command takes.
func (a *app) completeTargets(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return a.completeCollections(cmd, args, begun)
		case len(args) > most:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.complete(cmd, func() ([]string, error) {
			return seenTargets(a.trust.Collection(args[0]), begun, args[1:])
		})
	}
}

// seenTargets is the names of targets in the metadata that was verified last,
// and of what is staged: a completion asks no store. Damaged files offer nothing.
func seenTargets(c *trust.Collection, begun string, but []string) ([]string, error) {
	names := map[string]bool{}
	for _, role := range seenRoles(c.Cache()) {
		f, err := seen[tuf.Targets](c.Cache(), role)
		if err != nil {
			continue
		}
		for name := range f.Signed.Targets {
			names[name] = true
		}
	}
	staged, err := c.Changelist().List()
	if err != nil {
		return nil, err
	}
	for _, change := range repo.Effective(staged) {
		names[change.Name] = true
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool {
		return !strings.HasPrefix(name, begun) || slices.Contains(but, name) || printable(name) != name
	})
	sorted := slices.Sorted(maps.Keys(names))
	return sorted[:min(len(sorted), maxCompletions)], nil
}

// seenRoles is the roles that the last snapshot lists.
func seenRoles(cache *trust.Cache) []string {
	snapshot, err := seen[tuf.Snapshot](cache, tuf.RoleSnapshot)
	if err != nil {
		return nil
	}
	var roles []string
	for file := range snapshot.Signed.Meta {
		roles = append(roles, strings.TrimSuffix(file, ".json"))
	}
	return roles
}

// seen is a role's file as it was verified last.
func seen[T tuf.Content](cache *trust.Cache, role string) (*tuf.File[T], error) {
	data, err := cache.Get(role + ".json")
	if err != nil {
		return nil, err
	}
	return tuf.Parse[T](data, int64(len(data)))
}
