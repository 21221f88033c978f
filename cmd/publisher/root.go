package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot puts the verbs together.
func newRoot(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publisher",
		Short: "Publish updates that nobody can tamper with, from nothing but a bucket",
		Long: `publisher gives software a trusted collection with nothing but an object store:
it signs metadata of The Update Framework (TUF), uploads it with the files to
S3, MinIO or a directory, and any TUF client verifies what it downloads.

` + exitCodesHelp,
		Version:           thisVersion().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.start(cmd) },
	}
	a.flags.add(cmd.PersistentFlags())
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageOf(c, err) })
	cmd.AddGroup(
		&cobra.Group{ID: groupPublish, Title: "Publish:"},
		&cobra.Group{ID: groupRead, Title: "Read and verify:"},
		&cobra.Group{ID: groupKeep, Title: "Keep it running:"},
		&cobra.Group{ID: groupKeys, Title: "Keys and trust:"},
	)
	for _, verb := range verbs {
		cmd.AddCommand(verb(a))
	}
	cmd.InitDefaultCompletionCmd()
	cmd.InitDefaultHelpCmd()
	refuseUnknown(cmd)
	a.completeArguments(cmd)
	return cmd
}

// refuseUnknown makes usage errors of what cobra's own commands take for a
// request for help.
func refuseUnknown(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			family(cmd)
		case "help":
			cmd.Args = func(help *cobra.Command, args []string) error {
				_, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("unknown command %q", strings.Join(args, " "))
				}
				if err != nil {
					return usageOf(root, err)
				}
				return nil
			}
		}
	}
}

const (
	groupPublish = "publish"
	groupRead    = "read"
	groupKeep    = "keep"
	groupKeys    = "keys"
)

// verbs is every command, in the order of the help.
var verbs = []func(*app) *cobra.Command{
	newInit, newImport, newAdd, newAddHash, newRemove, newDelegation, newWitness, newStatus, newReset, newPublish, newSign, newSubmissions,
	newRefresh, newRootRole, newCheck, newDoctor, newGC, newMirror, newSigner, newDelete,
	newList, newLookup, newLog, newVerify, newDownload, newDev,
	newKey, newTrust, newConfig, newVersion,
}

// exactly wants n arguments, and says so as an error of usage.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

// atLeast wants n arguments or more.
func atLeast(n int) cobra.PositionalArgs { return between(n, -1) }

func between(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return usageOf(cmd, fmt.Errorf("%d arguments given, want: %s", len(args), cmd.UseLine()))
		}
		return nil
	}
}
