package main

import (
	"io"

	"github.com/spf13/cobra"
)

func newKeyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the private keys at hand",
		Long: `List the private keys in the trust directory. No passphrase is needed: what the
file of a key does not tell is shown as "-".`,
		Aliases:           []string{"ls"},
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return runKeyList(a) },
	}
}

func runKeyList(a *app) error {
	held, err := a.heldKeys()
	if err != nil {
		return err
	}
	if len(held) == 0 {
		a.infof("no keys in %s", a.trust.Path())
	}
	return a.result(held, func(w io.Writer) error {
		if len(held) == 0 {
			return nil
		}
		rows := make([][]string, len(held))
		for i, k := range held {
			rows[i] = []string{orDash(printable(k.Role)), orDash(printable(k.Collection)), k.ID, k.Location, orDash(k.Algorithm)}
		}
		return printTable(w, []string{"ROLE", "COLLECTION", "KEY ID", "LOCATION", "ALGORITHM"}, rows)
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
