package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

func newTrust(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "trust",
		Short:   "Say which roots are trusted",
		GroupID: groupKeys,
		Long: `Say which roots are trusted. A root is what everything in a collection is
verified from: who has the right one cannot be deceived by server, store or
network. Newer roots are followed from there without further ado.`,
	}
	return family(cmd, newTrustExport(a), newTrustAdd(a), newTrustSet(a), newTrustList(a), newTrustRemove(a))
}

const rootFile = "root.json"

// A trustedRoot is the newest verified root of a collection.
type trustedRoot struct {
	Collection string    `json:"collection"`
	Version    int64     `json:"version"`
	SHA256     string    `json:"sha256"`
	Expires    time.Time `json:"expires"`
	Source     string    `json:"source"`        // empty if not known
	Pin        string    `json:"pin,omitempty"` // what the configuration demands

	file *tuf.File[tuf.Root]
}

func newTrustedRoot(name string, s trust.Settings, root *tuf.File[tuf.Root]) trustedRoot {
	source := s.URL
	if source == "" {
		source = s.Store
	}
	return trustedRoot{
		Collection: name, Version: root.Signed.Version, SHA256: root.SHA256(), Expires: root.Signed.Expires,
		Source: source, file: root,
	}
}

// trusted reads the newest verified root of a collection, and verifies that it
// is one.
func (a *app) trusted(name string) (trustedRoot, error) {
	c, s, err := a.known(name)
	if err != nil {
		return trustedRoot{}, err
	}
	data, err := c.Cache().Get(rootFile)
	if err != nil {
		return trustedRoot{}, fmt.Errorf("read the trusted root of %s: %w", name, err)
	}
	root, err := parseRoot(data, name, "the trusted root of "+name)
	if err != nil {
		return trustedRoot{}, hinted(err, "publisher trust remove %[1]s, then publisher trust add %[1]s --root FILE", name)
	}
	return newTrustedRoot(name, s, root), nil
}

// trustedKeys is the keys in the trusted root of a collection, none if there is
// no root that can be read.
func (a *app) trustedKeys(name string) map[string]tuf.Key {
	if name == "" {
		return nil
	}
	data, err := a.trust.Collection(name).Cache().Get(rootFile)
	if err != nil {
		return nil
	}
	root, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
	if err != nil {
		return nil
	}
	return root.Signed.Keys
}

// parseRoot reads a root that can be trusted: well-formed, signed by itself and
// not of another collection. From is where it comes from.
func parseRoot(data []byte, collection, from string) (*tuf.File[tuf.Root], error) {
	root, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
	if err == nil {
		err = root.Verify(tuf.RoleRoot, root.Signed.Roles[tuf.RoleRoot], root.Signed.Keys)
	}
	if err == nil && root.Signed.Publisher.Collection != "" && root.Signed.Publisher.Collection != collection {
		err = fmt.Errorf("it is the root of the collection %s", root.Signed.Publisher.Collection)
	}
	if err != nil {
		return nil, hinted(&repo.VerifyError{File: from, Err: err}, "get the root from the owner of %s again", collection)
	}
	return root, nil
}

func newTrustExport(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "export COLLECTION -o FILE",
		Short: "Write the trusted root of a collection to a file",
		Long: `Write the newest verified root of a collection to a file, for those who are to
trust the collection too. It holds no secret.`,
		Example: `  publisher trust export example.com/scripts -o root.json`,
		Args:    exactly(1),
		RunE:    func(_ *cobra.Command, args []string) error { return runTrustExport(a, args[0], file) },
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "the `file` to write, - for standard output")
	return cmd
}

func runTrustExport(a *app, name, file string) error {
	if file == "" {
		return usage("publisher trust export COLLECTION -o root.json, or -o - for standard output", "no file to export to")
	}
	root, err := a.trusted(name)
	if err != nil {
		return err
	}
	if file == "-" {
		_, err := a.out.Write(root.file.Bytes())
		return err
	}
	replace, err := a.mayReplace([]string{file})
	if err != nil {
		return err
	}
	if err := writeFile(file, root.file.Bytes(), replace[0]); err != nil {
		return err
	}
	a.infof("root %d of %s is in %s", root.Version, name, file)
	return nil
}

func writeFile(name string, data []byte, replace bool) error {
	out, err := toFile(name, replace)
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := out.Write(data); err != nil {
		return err
	}
	return out.keep()
}

func newTrustList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "list",
		Short:             "List the trusted roots",
		Aliases:           []string{"ls"},
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return runTrustList(a) },
	}
}

func runTrustList(a *app) error {
	names, err := a.trust.Collections()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		a.infof("no collections in %s", a.trust.Path())
	}
	roots := make([]trustedRoot, len(names))
	for i, name := range names {
		if roots[i], err = a.trusted(name); err != nil {
			return err
		}
		roots[i].Pin = a.shownRule(name).value
	}
	return a.result(roots, func(w io.Writer) error {
		if len(roots) == 0 {
			return nil
		}
		rows := make([][]string, len(roots))
		for i, r := range roots {
			rows[i] = []string{r.Collection, fmt.Sprint(r.Version), r.SHA256, r.Expires.Format(time.RFC3339), orDash(r.Source), orDash(r.Pin)}
		}
		return printTable(w, []string{"COLLECTION", "ROOT VERSION", "ROOT SHA256", "EXPIRES", "SOURCE", "PIN"}, rows)
	})
}
