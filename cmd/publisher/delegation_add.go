package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

type delegationAddOptions struct {
	stageOptions
	paths       []string
	allPaths    bool
	threshold   int64
	terminating bool
	given       func(flag string) bool
}

func newDelegationAdd(a *app) *cobra.Command {
	var o delegationAddOptions
	cmd := &cobra.Command{
		Use:   "add COLLECTION ROLE [CERT… | PUBKEY…]",
		Short: "Stage a delegation, or more keys or paths for one",
		Long: `Stage a delegation, or more keys or paths for one that is there. It needs both
before it can be published; they can be staged one after the other.

A key is a file in PEM form with an x509 certificate, from which only the key is
taken, or with a public key: ed25519, ECDSA on P-256, or RSA of 2048 bits or more.

A path with * or ? is a pattern as it is; neither crosses a slash. Any other is a
prefix, as in Notary: "a" covers a, abc and a/b, and "a/" what is below a. What a
prefix becomes is shown: one pattern for each depth, down to 16.

The role's people publish with their keys alone. Until they do it is empty.`,
		Example: `  publisher delegation add example.com/scripts targets/releases ci.crt --paths releases/
  publisher delegation add example.com/scripts targets/qa anna.pem ben.pem cleo.pem --threshold 2 --all-paths -p`,
		Args: atLeast(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.given = cmd.Flags().Changed
			return runDelegationAdd(cmd.Context(), a, args, o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.paths, "paths", nil, "`paths` to add, separated by commas; can be repeated")
	f.BoolVar(&o.allPaths, "all-paths", false, "delegate all paths, down to 16 elements, in place of those that are there")
	f.Int64Var(&o.threshold, "threshold", 1, "how many of the keys must sign; stays as it is if not given")
	f.BoolVar(&o.terminating, "terminating", false, "clients that find nothing in this role look no further")
	o.add(f)
	cmd.MarkFlagsMutuallyExclusive("paths", "all-paths")
	cmd.ValidArgsFunction = a.completeRoleFirst
	return cmd
}

func runDelegationAdd(ctx context.Context, a *app, args []string, o delegationAddOptions) error {
	c, _, err := a.known(args[0])
	if err != nil {
		return err
	}
	role, err := delegationRole(args[1])
	if err != nil {
		return err
	}
	d, err := o.change(a, args[2:])
	if err != nil {
		return err
	}
	for _, key := range d.Keys {
		if err := a.checkFreeKey(key, c.Name()); err != nil {
			return err
		}
	}
	change := repo.Change{Action: repo.Add, Type: repo.TypeDelegation, Role: role, Delegation: d}
	return a.stage(ctx, c, o.stageOptions, []repo.Change{change})
}

// change is what the flags and the files say.
func (o *delegationAddOptions) change(a *app, files []string) (*repo.DelegationChange, error) {
	d := &repo.DelegationChange{AllPaths: o.allPaths}
	if o.given("threshold") {
		if o.threshold < 1 {
			return nil, usage("--threshold 1, or more", "threshold %d", o.threshold)
		}
		d.Threshold = o.threshold
	}
	if o.given("terminating") {
		d.Terminating = &o.terminating
	}
	var err error
	if d.Paths, err = a.patterns(o.paths); err != nil {
		return nil, err
	}
	if d.Keys, err = a.readPublicKeys(files); err != nil {
		return nil, err
	}
	if len(d.Keys)+len(d.Paths) == 0 && !d.AllPaths && d.Threshold == 0 && d.Terminating == nil {
		return nil, usage("name files with keys, or give --paths or --all-paths", "nothing to add")
	}
	return d, nil
}

// patterns turns Notary's prefixes into patterns, and says so.
func (a *app) patterns(paths []string) ([]string, error) {
	var all []string
	for _, path := range paths {
		if path == "" {
			return nil, usage("--all-paths, for all of them", "a path is empty")
		}
		patterns := repo.PathPatterns(path)
		for _, p := range patterns {
			if err := repo.CheckPattern(p); err != nil {
				return nil, usage("--paths releases/ or --paths 'releases/*.tar.gz'", "%w", err)
			}
		}
		if len(patterns) > 1 || patterns[0] != path {
			a.infof("prefix %s becomes %s, and so on, %s", path, strings.Join(patterns[:min(2, len(patterns))], " "), counted(len(patterns), "pattern"))
		}
		all = append(all, patterns...)
	}
	return all, nil
}

// maxPublicKey is the most of a file with a public key that is read, in bytes.
const maxPublicKey = 64 << 10

// readPublicKeys reads certificates and public keys, each once.
func (a *app) readPublicKeys(files []string) ([]tuf.Key, error) {
	var all []tuf.Key
	from := map[string]string{}
	for _, file := range files {
		data, err := a.readAtMost(file, maxPublicKey)
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		if _, err := keys.Inspect(data); err == nil {
			return nil, keyError(publicOf(file, data), "%s is a private key: keep it where it is used", file)
		}
		key, err := keys.ParsePublicOrCertificate(data, a.now())
		if err != nil {
			return nil, keyError("give an x509 certificate or a public key in PEM form: ed25519, ECDSA P-256, or RSA of 2048 bits or more", "%s: %w", file, err)
		}
		id := key.ID()
		if other, twice := from[id]; twice {
			return nil, usage("give each key once", "%s and %s are the same key, %s", other, file, tuf.ShortID(id))
		}
		from[id] = file
		all = append(all, key)
	}
	return all, nil
}

// publicOf is how to get the public half of a private key in a file; openssl does
// not read those that are encrypted as ours are.
func publicOf(file string, data []byte) string {
	if _, err := os.Stat(file + publicSuffix); err == nil {
		return "give " + quoted(file+publicSuffix)
	}
	if strings.Contains(string(data), "SIGSTORE") {
		return "publisher key import " + quoted(file) + ", then publisher key export --public --key ID -o FILE, and give that"
	}
	return "openssl pkey -in " + quoted(file) + " -pubout -out FILE, and give that"
}

// checkFreeKey refuses a key that another collection has, as far as is known
// here.
func (a *app) checkFreeKey(key tuf.Key, collection string) error {
	owner, err := a.otherOwner(keys.Private{}, key.ID(), collection)
	if err != nil || owner == "" {
		return err
	}
	return &cliError{
		err:  fmt.Errorf("key %s serves %s: no key serves two collections", tuf.ShortID(key.ID()), owner),
		hint: "make another one: publisher key generate -r ROLE -o FILE, or openssl",
		code: exitConflict,
	}
}

// completeRoleFirst offers collections, then delegations, then files.
func (a *app) completeRoleFirst(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return a.completeDelegations(cmd, args, word)
	}
	return a.completeCollections(cmd, args, word)
}
