package main

import (
	"context"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"publisher/repo"
)

func newList(a *app) *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use:   "list COLLECTION",
		Short: "List the targets of a collection",
		Long: `List what a client of the collection can get, verified from the trusted root:
the targets of every role, in the order in which clients ask the roles. Where
several roles have a target of one name, it shows the one that clients get.`,
		Example: "  publisher list example.com/scripts\n  publisher list example.com/scripts -r targets/releases --json",
		GroupID: groupRead,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.list(cmd.Context(), args[0], roles)
		},
	}
	cmd.Flags().StringArrayVarP(&roles, "role", "r", nil, "list the targets of this `ROLE` alone; can be repeated")
	completeFlag(cmd, "role", a.completeDelegations)
	return cmd
}

func (a *app) list(ctx context.Context, collection string, roles []string) error {
	view, err := a.view(ctx, collection)
	if err != nil {
		return err
	}
	for i, role := range roles {
		roles[i] = repo.RoleFromNotary(role)
	}
	targets, err := view.List(ctx, roles...)
	if err != nil {
		return err
	}
	listed := describe(targets)
	return a.result(listed, func(w io.Writer) error {
		rows := make([][]string, len(listed))
		for i, t := range listed {
			rows[i] = []string{printable(t.Name), t.digest(), strconv.FormatInt(t.Size, 10), printable(t.Role)}
		}
		return printTable(w, []string{"NAME", "DIGEST", "SIZE", "ROLE"}, rows)
	})
}

// listedTarget is how a target is shown.
type listedTarget struct {
	Name   string            `json:"name"`
	Role   string            `json:"role"`
	Size   int64             `json:"size"`
	Hashes map[string]string `json:"hashes"`
	Custom jsontext.Value    `json:"custom,omitzero"`
}

func listedAs(t repo.Target) listedTarget {
	return listedTarget{Name: t.Name, Role: repo.RoleToNotary(t.Role), Size: t.Length, Hashes: t.Hashes, Custom: t.Custom}
}

// describe leaves out the targets that one of the same name goes before.
func describe(targets []repo.Target) []listedTarget {
	seen := make(map[string]bool, len(targets))
	listed := make([]listedTarget, 0, len(targets))
	for _, t := range targets {
		if !seen[t.Name] {
			seen[t.Name] = true
			listed = append(listed, listedAs(t))
		}
	}
	return listed
}

// digest is the SHA-256; other makers' metadata may have another hash alone.
func (t listedTarget) digest() string {
	if sum, ok := t.Hashes["sha256"]; ok {
		return sum
	}
	return "sha512:" + t.Hashes["sha512"]
}
