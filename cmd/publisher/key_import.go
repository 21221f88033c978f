package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"publisher/repo/keys"
	"publisher/repo/tuf"
)

type keyImportOptions struct {
	keyPurpose
	newSecret
}

func newKeyImport(a *app) *cobra.Command {
	var o keyImportOptions
	cmd := &cobra.Command{
		Use:   "import FILE|DIR…",
		Short: "Bring private keys in from files",
		Long: `Bring private keys in from files, each of which may hold several, - for standard
input: what "publisher key export" and Notary write, PKCS#8 (encrypted or not),
SEC 1 and PKCS#1. Role and collection that a file tells win over the flags. Of a
directory, such as Notary's, all files called *.key are read.

Keys are stored under the passphrase that the flags or the environment tell, or
a new one that is asked for. A key that is there already stays as it is.`,
		Example: `  publisher key import ~/.notary
  publisher key import ci.pem --role targets/releases --collection example.com/scripts`,
		Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error { return runKeyImport(a, args, o) },
	}
	o.keyPurpose.add(cmd, anyDelegation)
	o.newSecret.add(cmd)
	return cmd
}

func runKeyImport(a *app, files []string, o keyImportOptions) error {
	if err := errors.Join(o.keyPurpose.check(), o.newSecret.check()); err != nil {
		return err
	}
	files, err := eachKeyFile(files)
	if err != nil {
		return err
	}
	found, err := a.importable(files, o.keyPurpose)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return &cliError{
			err:  fmt.Errorf("nothing to import: %s has these keys already", a.trust.Path()),
			hint: "publisher key passwd KEY-ID changes the passphrase of one",
			code: exitConflict,
		}
	}
	ids, err := a.importKeys(found, o.newSecret)
	if err != nil {
		return err
	}
	held := make([]heldKey, len(ids))
	for i, id := range ids {
		if held[i], err = a.heldKey(id); err != nil {
			return err
		}
		a.infof("imported the %s", &held[i])
	}
	return a.result(held, func(w io.Writer) error {
		for _, id := range ids {
			if _, err := fmt.Fprintln(w, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachKeyFile puts the key files of directories in their place.
func eachKeyFile(names []string) (files []string, err error) {
	for _, name := range names {
		found, err := keyFiles(name)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

// importable opens all keys in the files, refuses one that comes twice, and
// leaves out those that are at hand.
func (a *app) importable(files []string, p keyPurpose) ([]keys.Private, error) {
	var found []keys.Private
	seen := map[string]bool{}
	for _, file := range files {
		all, err := a.readKeyFile(file, p.role)
		if err != nil {
			return nil, err
		}
		for _, key := range all {
			if key.Collection == "" {
				key.Collection = p.collection
			}
			public, err := key.Public()
			if err != nil {
				return nil, badKey(file, keyFileHint, err)
			}
			id := public.ID()
			if seen[id] {
				return nil, usage("name each key once", "%s: key %s is given twice", file, tuf.ShortID(id))
			}
			seen[id] = true
			switch _, err := a.trust.Keys().Get(id); {
			case err == nil:
				a.infof("%s: the %s is there already, and stays as it is", file, keyOf(key.Role, id, key.Collection))
			case errors.Is(err, fs.ErrNotExist):
				found = append(found, key)
			default:
				return nil, err
			}
		}
	}
	return found, nil
}

// importKeys stores all of the keys or, after an error, none.
func (a *app) importKeys(found []keys.Private, s newSecret) (ids []string, err error) {
	files := make([][]byte, len(found))
	ids = make([]string, len(found))
	for i, key := range found {
		passphrase, err := a.choosePassphrase(s, func() ([]byte, error) { return a.importPassphrase(key.Role) })
		if err != nil {
			return nil, err
		}
		if ids[i], files[i], err = encodeKey(key, passphrase); err != nil {
			return nil, err
		}
	}
	for i, id := range ids {
		if err := a.trust.Keys().Add(id, files[i]); err != nil {
			for _, added := range ids[:i] {
				err = errors.Join(err, a.trust.Keys().Remove(added))
			}
			return nil, err
		}
	}
	return ids, nil
}

// importPassphrase is what an imported key is stored under. The one that opened it
// may be too short for that, and then is the right one nevertheless.
func (a *app) importPassphrase(role string) ([]byte, error) {
	passphrase, err := a.newPassphrase(role)
	if errors.Is(err, errShort) {
		err = hinted(err, "--new-passphrase-file FILE stores the key under another one, --no-passphrase under none")
	}
	return passphrase, err
}
