package main

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
)

type keyRotateOptions struct {
	newSecret
	remote    bool
	local     bool
	files     []string
	rootCerts []string
	certs     [][]*x509.Certificate // what is in them
	threshold string
	grace     time.Duration
	keyType   string
	keyLost   bool
	recover   bool
	dryRun    bool
	draft     publishOptions // what becomes of one
}

func newKeyRotate(a *app) *cobra.Command {
	var o keyRotateOptions
	cmd := &cobra.Command{
		Use:   "rotate COLLECTION root|targets|snapshot|timestamp|targets/NAME",
		Short: "Replace the keys of a role by new ones",
		Long: `Replace the keys of a role by new ones, which are made in the trust directory, or
are those in the files of -k: private keys, or but for snapshot and timestamp also
the public keys of those who are to sign with them, for a delegation also their
x509 certificates. The root keys sign for it, old and new ones if they change; for
a delegation, the keys of the role above it, and its new keys sign what it has
published. The plan is shown first; --dry-run changes nothing.

Where not enough keys are here to sign, a draft is kept, which the others sign
with "publisher sign". Whoever signs last publishes it; the same command again
does, too.

The keys of snapshot and timestamp stay where they are, or move to the online
signer (-r) or back (--local). A move takes both roles along, whichever is named:
one party signs both, as it writes the one into the other.

The keys that were in force and the new ones sign together before the new root is
published, and until the grace is over, so that no client is ever left without
signatures it trusts. Who holds only the new keys can go on then: a publish waits
for that.

If the old keys of targets, snapshot or timestamp are gone, they cannot sign
together with the new ones: --old-key-lost publishes the root first. No client can
update between that and the rest, which follows at once, or with the same command
again if it is interrupted.

--recover is for after a key of snapshot or timestamp was abused to announce
versions so high that honest ones look old (a fast-forward attack). Both roles get
new keys, whichever is named: clients forget what the old ones signed. The versions
go on from the last honest ones, also where those were published that nobody can go
on from. Take the access to the store away from the thief first. A delegation's
version falls with the snapshot: recover that first, then replace its keys.

Whatever interrupts it, the same command again completes it, also without its
flags; "publisher sign COLLECTION --discard" gives it up.`,
		Example: `  publisher key rotate example.com/scripts targets
  publisher key rotate example.com/scripts root -k mine.key -k hers.pub --threshold 2
  publisher key rotate example.com/scripts snapshot --online lambda:publisher-signer --inbox s3://inbox
  publisher key rotate example.com/scripts snapshot --local
  publisher key rotate example.com/scripts targets/releases -k ci.crt`,
		Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.remote = o.remote || a.flags.online != ""
			role := args[1]
			if !slices.Contains(tuf.TopLevel, role) {
				var err error
				if role, err = rotatedDelegation(role); err != nil {
					return err
				}
			}
			if err := o.check(role); err != nil {
				return err
			}
			var err error
			if o.certs, err = a.rootChains(o.rootCerts); err != nil {
				return err
			}
			return a.rotate(cmd.Context(), args[0], role, o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.remote, "remote", "r", false, "to a key of the online signer")
	f.BoolVar(&o.remote, "server-managed", false, "the same, in Notary's words")
	f.BoolVar(&o.local, "local", false, "to a key in the trust directory")
	f.StringArrayVarP(&o.files, "key", "k", nil, "`file` with a new key, may be repeated (default: make one)")
	f.StringArrayVar(&o.rootCerts, "root-cert", nil, "with -k and root: "+rootCertHelp)
	f.StringVar(&o.threshold, "threshold", "", "how many of the new keys must sign, `n`, or n/m to make m of them (default as before)")
	f.DurationVar(&o.grace, "grace", repo.DefaultGrace, "for `how long` old and new keys sign together; longer than any client takes to update")
	f.StringVar(&o.keyType, "key-type", "", "`kind` of the keys to make: ed25519, ecdsa, rsa (default key_type of the configuration, or ed25519)")
	f.BoolVar(&o.keyLost, "old-key-lost", false, "the old keys cannot sign any more: publish the root before what it names keys for")
	f.BoolVar(&o.recover, "recover", false, "let the versions of snapshot and timestamp fall, after one of their keys was abused")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the plan, and change nothing")
	f.StringVar(&o.draft.export, "export", "", "if signatures of others are missing, write the draft for them to this `file`")
	f.BoolVar(&o.draft.share, "share", false, "if signatures of others are missing, leave the draft for them in the inbox")
	for _, flag := range []string{"export", "share"} {
		cmd.MarkFlagsMutuallyExclusive("dry-run", flag)
	}
	o.newSecret.add(cmd)
	completeFlag(cmd, "key-type", completeAlgorithms)
	cmd.ValidArgsFunction = a.completeRotate
	return cmd
}

func (a *app) completeRotate(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		names, directive := a.completeDelegations(cmd, args, word)
		return append([]cobra.Completion{tuf.RoleRoot, tuf.RoleSnapshot, tuf.RoleTimestamp}, names...), directive
	}
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeCollections(cmd, args, word)
}

// check refuses flags that do not go together, before anything is asked.
func (o *keyRotateOptions) check(role string) error {
	online := slices.Contains(onlineRoles, role)
	switch {
	case o.remote && o.local:
		return exclusive("-r", "--local")
	case !online && (o.remote || o.local):
		return usage("leave it out", "-r and --local are for snapshot and timestamp: the keys of %s are never online", repo.RoleToNotary(role))
	case !slices.Contains(tuf.TopLevel, role) && o.keyLost:
		return usage("leave it out", "--old-key-lost is not needed for a delegation: the keys of the role above it replace them")
	case len(o.rootCerts) > 0 && (role != tuf.RoleRoot || len(o.files) == 0):
		return usage("publisher key rotate COLLECTION root -k FILE --root-cert FILE", "--root-cert goes with root and -k: it is the certificate of a key that is there")
	case role == tuf.RoleRoot && o.recover:
		return usage("leave it out", "--recover is for snapshot and timestamp: no version of root ever falls")
	case !online && o.recover:
		return usage("publisher key rotate COLLECTION snapshot --recover, then publisher key rotate COLLECTION "+repo.RoleToNotary(role),
			"--recover is for snapshot and timestamp: the version of %s falls with the snapshot's", repo.RoleToNotary(role))
	case o.recover && len(o.files) > 0:
		return usage("leave out -k, and rotate each of them then", "-k does not go with --recover, which takes two roles along")
	case role == tuf.RoleRoot && o.keyLost:
		return usage("publisher init, under a new name, and tell everybody", "without the old keys of root there is no next root")
	case o.grace < time.Second || o.grace > 24*time.Hour:
		return usage("--grace 5m", "--grace %v is not between a second and a day", o.grace)
	}
	if err := o.checkKeys(); err != nil {
		return err
	}
	return o.newSecret.check()
}

// checkKeys refuses what is about keys that are not made here.
func (o *keyRotateOptions) checkKeys() error {
	need, of, err := o.counts()
	switch {
	case err != nil:
		return err
	case len(o.files) > 0 && of > 0:
		return usage("--threshold n", "--threshold %s says how many keys to make, and -k which ones there are", o.threshold)
	case len(o.files) > 0 && need > len(o.files):
		return usage("-k FILE for each key", "--threshold %d of %d keys", need, len(o.files))
	case len(o.files) > 0 && o.keyType != "":
		return exclusive("-k", "--key-type")
	case o.remote && (len(o.files) > 0 || o.threshold != ""):
		return usage("leave it out", "-k and --threshold do not go with -r: the signer has one key of its own")
	case o.remote && (o.newSecret.none || o.newSecret.file != ""):
		return usage("leave it out", "--no-passphrase and --new-passphrase-file are for keys that are stored here")
	case o.remote && o.keyType != "":
		return usage("leave out --key-type", "--key-type does not go with -r: the signer makes its own keys")
	}
	return nil
}

// rotatedDelegation wants a delegation in Notary's form: what has not targets/
// before it is a top-level role that is misspelt, as often as not.
func rotatedDelegation(name string) (string, error) {
	if !strings.HasPrefix(name, "targets/") {
		return "", usage("publisher key rotate COLLECTION root, targets, snapshot, timestamp or targets/NAME", "%s is not a role that this rotates", printable(name))
	}
	return delegationRole(name)
}

// counts is what --threshold says: how many must sign, and of how many that are
// to be made. Both are 0 if it does not.
func (o *keyRotateOptions) counts() (need, of int, err error) {
	if o.threshold == "" {
		return 0, 0, nil
	}
	first, second, made := strings.Cut(o.threshold, "/")
	need, err = strconv.Atoi(first)
	if err == nil && made {
		of, err = strconv.Atoi(second)
	}
	if err != nil || need < 1 || made && (of < need || of > maxKeys) {
		return 0, 0, usage("--threshold 2, or --threshold 2/3", "--threshold %s is not a number of keys, of at most %d", printable(o.threshold), maxKeys)
	}
	return need, of, nil
}

// rotate is key rotate of a role.
func (a *app) rotate(ctx context.Context, name, role string, o keyRotateOptions) error {
	c, s, err := a.known(name)
	if err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := a.newRotation(ctx, c, s, role, o)
	if err != nil {
		return err
	}
	r.o.keyType = a.keyType(name, o.keyType).value
	if !o.dryRun {
		if err := r.settle(ctx); err != nil {
			return err
		}
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	if err := r.decide(ctx); err != nil {
		return err
	}
	if err := r.oppose(ctx); err != nil {
		return err
	}
	if o.dryRun {
		return r.printDry()
	}
	if !r.finished {
		if err := r.agree(ctx); err != nil {
			return err
		}
	}
	a.inboxAlone = o.draft.share
	err = r.run(ctx)
	var drafted *draftedError
	if errors.As(err, &drafted) {
		return a.printDrafted(drafted, err)
	}
	return err
}
