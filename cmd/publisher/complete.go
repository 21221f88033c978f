package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo/keys"
	"publisher/repo/tuf"
)

var (
	completeAlgorithms = cobra.FixedCompletions([]cobra.Completion{keys.Ed25519, keys.ECDSA, keys.RSA}, cobra.ShellCompDirectiveNoFileComp)
	completeRoles      = cobra.FixedCompletions(tuf.TopLevel, cobra.ShellCompDirectiveNoFileComp)
)

// completeCollections offers the collections of the trust directory for the
// first argument, and files for those after it.
func (a *app) completeCollections(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return a.complete(cmd, func() ([]string, error) { return a.trust.Collections() })
}

// completeArguments offers collections to every command that takes one first and
// offers nothing of its own.
func (a *app) completeArguments(cmd *cobra.Command) {
	if _, args, _ := strings.Cut(cmd.Use, " "); strings.HasPrefix(args, "COLLECTION") && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = a.completeCollections
	}
	for _, verb := range cmd.Commands() {
		a.completeArguments(verb)
	}
}

// completeKeys offers the IDs of the keys of the trust directory.
func (a *app) completeKeys(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, func() ([]string, error) { return a.trust.Keys().List() })
}

// complete offers names from the trust directory, which nobody has opened yet.
func (a *app) complete(cmd *cobra.Command, names func() ([]string, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	if err := a.start(cmd); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found, err := names()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completeFlag sets how a flag's values are completed.
func completeFlag(cmd *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(fmt.Sprintf("complete --%s of %s: %v", flag, cmd.Name(), err)) // no such flag: wrong for every user
	}
}
