package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
)

type addHashOptions struct {
	stageOptions
	roleOptions
	custom customOptions
	sha256 string
	sha512 string
}

func newAddHash(a *app) *cobra.Command {
	var o addHashOptions
	cmd := &cobra.Command{
		Use:     "addhash COLLECTION NAME SIZE --sha256 HASH",
		Short:   "Stage a target by its hash, for an object that is in the store already",
		GroupID: groupPublish,
		Long: `Stage a target by its size and hash. Publish refuses it if the object is not in
the store, under COLLECTION/targets/DIR/HASH.BASE for the name DIR/BASE.`,
		Example: `  publisher addhash example.com/scripts big.iso 734003200 --sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`,
		Args:    exactly(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := a.known(args[0])
			if err != nil {
				return err
			}
			change, err := a.addHash(args[1], args[2], o)
			if err != nil {
				return err
			}
			changes, err := o.inRoles([]repo.Change{change})
			if err != nil {
				return err
			}
			return a.stage(cmd.Context(), c, o.stageOptions, changes)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.sha256, "sha256", "", "the SHA-256 of the target, in `hex`")
	f.StringVar(&o.sha512, "sha512", "", "the SHA-512 of the target, in `hex`: checked for its form, not published, because some clients would look for the object under it")
	o.custom.add(cmd)
	o.roleOptions.add(a, cmd, "add to")
	o.stageOptions.add(f)
	return cmd
}

func (a *app) addHash(name, size string, o addHashOptions) (repo.Change, error) {
	length, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return repo.Change{}, usage("publisher addhash COLLECTION NAME SIZE --sha256 HASH", "size %q is not a number of bytes", size)
	}
	if o.sha512 != "" {
		if raw, err := hex.DecodeString(o.sha512); err != nil || len(raw) != 64 {
			return repo.Change{}, usage("--sha512 takes 128 hexadecimal digits", "%q is not a SHA-512", o.sha512)
		}
		a.warnf("only the SHA-256 is published: some clients would look for the object under the SHA-512")
	}
	change, err := hashChange(name, length, strings.ToLower(o.sha256))
	if err != nil {
		return change, err
	}
	change.Target.Custom, err = o.custom.value(a)
	return change, err
}

// hashChange is a change that adds what is in the store already.
func hashChange(name string, length int64, sha256 string) (repo.Change, error) {
	c := repo.Change{
		Action: repo.Add, Role: tuf.RoleTargets, Name: name,
		Target: tuf.TargetFile{Length: length, Hashes: map[string]string{"sha256": sha256}},
	}
	err := repo.CheckTargetName(name)
	if err == nil {
		err = repo.CheckTargetFile(c.Target)
	}
	if err != nil {
		return c, usage("publisher addhash COLLECTION NAME SIZE --sha256 HASH, with 64 hexadecimal digits", "%w", fmt.Errorf("%s: %w", name, err))
	}
	return c, nil
}
