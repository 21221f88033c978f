package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"publisher/internal/durable"
)

type keyExportOptions struct {
	collections []string
	ids         []string
	file        string
	public      bool
}

func newKeyExport(a *app) *cobra.Command {
	var o keyExportOptions
	cmd := &cobra.Command{
		Use:   "export -o FILE",
		Short: "Copy private keys, or their public halves, to a file",
		Long: `Copy private keys to a file that does not exist, as they are stored: under the
same passphrases. Without --collection and --key that is every key, and an error if
one of them is damaged.

With --public it is the public halves instead, in PEM form, to a file or to standard
output: what "publisher delegation add" and "publisher key rotate --key" want of a
key, one file for each. A passphrase is needed only where neither the file of a key
nor a trusted root has its public half.`,
		Example: `  publisher key export --collection example.com/scripts -o backup.pem
  publisher key export --key 1a2b3c4 --key 5d6e7f8 -o -
  publisher key export --public --key 1a2b3c4 -o ci.pub`,
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return runKeyExport(a, o) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.collections, "collection", "g", nil, "the keys of this `collection`; may be repeated")
	f.StringArrayVar(&o.ids, "key", nil, "the key of this `ID`; may be repeated")
	f.StringVarP(&o.file, "output", "o", "", "the `file` to write, - for standard output")
	f.BoolVar(&o.public, "public", false, "the public halves, which are no secret, and not the private keys")
	acceptGUN(f)
	completeFlag(cmd, "collection", a.completeCollections)
	completeFlag(cmd, "key", a.completeKeys)
	return cmd
}

func runKeyExport(a *app, o keyExportOptions) error {
	if o.public {
		return a.exportPublic(o)
	}
	if o.file == "" {
		return usage("publisher key export -o FILE, or -o - for standard output", "no file to export to")
	}
	selected, err := a.selectKeys(o)
	if err != nil {
		return err
	}
	var data []byte
	for _, key := range selected {
		if !key.Encrypted {
			a.warnf("the %s is not encrypted: whoever reads the export can sign with it", &key)
		}
		data = append(data, privateBlocks(key.pem)[0].pem...)
	}
	if o.file == "-" {
		_, err = a.out.Write(data)
		return err
	}
	return a.exportTo(o.file, data, 0o600, counted(len(selected), "key"))
}

// exportTo writes a file that does not exist, and says what is in it.
func (a *app) exportTo(file string, data []byte, mode fs.FileMode, what string) error {
	err := durable.CreateFile(file, data, mode)
	if errors.Is(err, fs.ErrExist) {
		return taken(file)
	}
	if err == nil {
		a.infof("wrote %s to %s", what, file)
	}
	return err
}

// selectKeys returns the keys that the flags name, each once. A flag that names
// none is a mistake.
func (a *app) selectKeys(o keyExportOptions) ([]heldKey, error) {
	all, err := a.heldKeys()
	if err != nil {
		return nil, err
	}
	named, err := a.findKeys(o.ids)
	if err != nil {
		return nil, err
	}
	everything := len(o.ids) == 0 && len(o.collections) == 0
	for _, c := range o.collections {
		if !slices.ContainsFunc(all, func(k heldKey) bool { return k.Collection == c }) {
			return nil, noKeys("no keys of %s in %s", c, a.trust.Path())
		}
	}
	selected := slices.DeleteFunc(slices.Clone(all), func(k heldKey) bool {
		return !everything && !slices.Contains(named, k.ID) && !slices.Contains(o.collections, k.Collection)
	})
	if len(selected) == 0 {
		return nil, noKeys("no keys in %s", a.trust.Path())
	}
	if len(o.collections) > 0 {
		a.warnOfDamaged(all, selected)
	}
	return selected, damagedKeys(selected)
}

func noKeys(format string, args ...any) error {
	return &cliError{err: fmt.Errorf(format, args...), hint: "publisher key list shows the keys at hand", code: exitNotFound}
}

// taken reports a file that would have to be overwritten. Keys never are.
func taken(name string) error {
	return hinted(fmt.Errorf("%s: %w", name, fs.ErrExist), "choose another name: keys are never overwritten")
}
