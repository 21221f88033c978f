package main

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"publisher/internal/durable"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

type keyGenerateOptions struct {
	keyPurpose
	newSecret
	file string
}

func newKeyGenerate(a *app) *cobra.Command {
	var o keyGenerateOptions
	cmd := &cobra.Command{
		Use:   "generate [ALGORITHM]",
		Short: "Make a private key",
		Long: `Make a private key: ed25519 (the default, unless the configuration has another
key_type), ecdsa (on P-256) or rsa (3072 bits).

It goes into the trust directory, from where "publisher key export --public" gets
the public key for those who are to trust it; or with -o to a file, with the public
key beside it in FILE.pub.`,
		Example: `  publisher key generate --role targets/releases
  publisher key generate ecdsa --role root -o /media/usb/root.pem`,
		Args:              between(0, 1),
		ValidArgsFunction: completeAlgorithms,
		RunE: func(_ *cobra.Command, args []string) error {
			return runKeyGenerate(a, append(args, a.keyType(o.collection, "").value)[0], o)
		},
	}
	o.keyPurpose.add(cmd, tuf.RoleRoot)
	o.newSecret.add(cmd)
	cmd.Flags().StringVarP(&o.file, "output", "o", "", "write the key to this `file`, not to the trust directory")
	return cmd
}

func runKeyGenerate(a *app, algorithm string, o keyGenerateOptions) error {
	if err := errors.Join(o.keyPurpose.check(), o.newSecret.check()); err != nil {
		return err
	}
	signer, err := keys.Generate(algorithm)
	if err != nil {
		return usage("publisher key generate ed25519, ecdsa or rsa", "%w", err)
	}
	if err := o.checkFiles(); err != nil {
		return err
	}
	passphrase, err := a.choosePassphrase(o.newSecret, func() ([]byte, error) { return a.newPassphrase(o.role) })
	if err != nil {
		return err
	}
	made, err := a.placeKey(signer, passphrase, o)
	if err != nil {
		return err
	}
	a.infof("the new %s is in %s; keep a copy elsewhere", keyOf(made.Role, made.ID, made.Collection), made.Location)
	if o.file == "" {
		a.infof("its public half, for those who are to trust it: publisher key export --public --key %s", tuf.ShortID(made.ID))
	}
	return a.result(made, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, made.ID)
		return err
	})
}

// checkFiles refuses names that are taken, before somebody thinks of a
// passphrase.
func (o *keyGenerateOptions) checkFiles() error {
	if o.file == "" {
		return nil
	}
	for _, name := range []string{o.file, o.file + publicSuffix} {
		if _, err := os.Lstat(name); err == nil {
			return taken(name)
		}
	}
	return nil
}

const publicSuffix = ".pub"

// placeKey stores a key where it is to be.
func (a *app) placeKey(signer crypto.Signer, passphrase []byte, o keyGenerateOptions) (heldKey, error) {
	if o.file == "" {
		id, err := a.storeKey(signer, o.role, o.collection, passphrase)
		if err != nil {
			return heldKey{}, err
		}
		return a.heldKey(id)
	}
	public, err := tuf.NewKey(signer.Public())
	if err != nil {
		return heldKey{}, err
	}
	data, err := keys.Encode(keys.Private{Signer: signer, Role: shownRole(o.role), Collection: o.collection}, passphrase)
	if err != nil {
		return heldKey{}, err
	}
	return heldKey{
		ID: public.ID(), Role: shownRole(o.role), Collection: o.collection, Algorithm: public.Type,
		Encrypted: len(passphrase) > 0, Location: o.file,
	}, writePair(o.file, data, public)
}

// writePair writes both halves of a key, or none.
func writePair(name string, private []byte, key tuf.Key) error {
	public, err := publicPEM(key)
	if err != nil {
		return err
	}
	if err := durable.CreateFile(name, private, 0o600); err != nil {
		return err
	}
	if err := durable.CreateFile(name+publicSuffix, public, 0o644); err != nil {
		return errors.Join(err, os.Remove(name)) // nobody has used the key yet
	}
	return nil
}
