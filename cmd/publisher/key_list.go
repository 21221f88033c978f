package main

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
)

type keyListOptions struct{ collection, role string }

func newKeyList(a *app) *cobra.Command {
	var o keyListOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the private keys at hand",
		Long: `List the private keys in the trust directory, by collection and role. No
passphrase is needed: what the file of a key does not tell is shown as "-". If a
file is damaged, the exit code is 8 after all others are listed.`,
		Aliases:           []string{"ls"},
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return runKeyList(a, o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.collection, "collection", "g", "", "only the keys of this `collection`")
	f.StringVarP(&o.role, "role", "r", "", "only the keys of this `role`: root, targets, snapshot, timestamp, targets/NAME, or delegation for all but the first four")
	acceptGUN(f)
	completeFlag(cmd, "collection", a.completeCollections)
	completeFlag(cmd, "role", completeRoles)
	return cmd
}

func (o keyListOptions) check() error {
	if o.collection != "" {
		if err := repo.CheckCollection(o.collection); err != nil {
			return err
		}
	}
	if o.role != "" {
		return checkKeyRole(o.role)
	}
	return nil
}

// takes reports whether a key is to be listed. Nobody knows what a damaged one is
// for.
func (o keyListOptions) takes(k heldKey) bool {
	if o.collection != "" && k.Collection != o.collection {
		return false
	}
	if o.role == anyDelegation {
		return k.Role == anyDelegation || strings.HasPrefix(k.Role, "targets/")
	}
	return o.role == "" || k.Role == shownRole(o.role)
}

func runKeyList(a *app, o keyListOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	all, err := a.heldKeys()
	if err != nil {
		return err
	}
	slices.SortFunc(all, compareKeys)
	held := slices.DeleteFunc(slices.Clone(all), func(k heldKey) bool { return !o.takes(k) })
	if len(held) == 0 {
		a.infof("no keys in %s", a.trust.Path())
	}
	a.warnOfDamaged(all, held)
	if err := a.result(held, func(w io.Writer) error { return printKeys(w, held) }); err != nil {
		return err
	}
	return damagedKeys(held)
}

// compareKeys orders keys by collection and, within one, as trust flows.
func compareKeys(a, b heldKey) int {
	return cmp.Or(
		strings.Compare(a.Collection, b.Collection),
		cmp.Compare(roleRank(a.Role), roleRank(b.Role)),
		strings.Compare(a.Role, b.Role),
		strings.Compare(a.ID, b.ID),
	)
}

func roleRank(role string) int {
	order := []string{tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp}
	if i := slices.Index(order, role); i >= 0 {
		return i
	}
	return len(order)
}

// warnOfDamaged warns of damaged keys that may belong to those selected by what
// they are for.
func (a *app) warnOfDamaged(all, selected []heldKey) {
	for _, k := range all {
		if k.Error != "" && !slices.ContainsFunc(selected, func(s heldKey) bool { return s.ID == k.ID }) {
			a.warnf("key %s is damaged: nobody can tell what it is for", tuf.ShortID(k.ID))
		}
	}
}

func printKeys(w io.Writer, held []heldKey) error {
	if len(held) == 0 {
		return nil
	}
	rows := make([][]string, len(held))
	for i, k := range held {
		algorithm := orDash(k.Algorithm)
		if k.Error != "" {
			algorithm = "damaged"
		}
		rows[i] = []string{orDash(printable(k.Role)), orDash(printable(k.Collection)), k.ID, k.Location, algorithm}
	}
	return printTable(w, []string{"ROLE", "COLLECTION", "KEY ID", "LOCATION", "ALGORITHM"}, rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
