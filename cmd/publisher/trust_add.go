package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"publisher/internal/config"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

type trustAddOptions struct {
	root   string
	sha256 string
	tofu   bool
}

func newTrustAdd(a *app) *cobra.Command {
	var o trustAddOptions
	cmd := &cobra.Command{
		Use:   "add COLLECTION [--root FILE | --sha256 HASH | --tofu]",
		Short: "Trust a collection",
		Long: `Trust a collection from a root on: one in a file that came by a way you trust;
one of those on the server, told by the SHA-256 of its file; or the first one
that the server has, whatever it is. Where the configuration pins the roots of
the collection, none of these is needed, and all of them have to agree with the
pins: see publisher config show --help.

What --url or --store names is remembered as where the collection is, and what
--online and --inbox name as who commits what is published from here. Of a
collection that is trusted already, another signer or inbox is remembered only if
it has the keys that the newest root names, as with publisher trust set.`,
		Example: `  publisher trust add example.com/scripts --root root.json --url https://cdn.example.com
  publisher trust add example.com/scripts --sha256 9f86d08… --url https://cdn.example.com`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return runTrustAdd(cmd.Context(), a, args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "trust the root in this `file`, - for standard input")
	f.StringVar(&o.sha256, "sha256", "", "trust the root whose file has this `hash`, in hex")
	f.BoolVar(&o.tofu, "tofu", false, "trust on first use: the first root, whatever the server sends")
	return cmd
}

func (o *trustAddOptions) check() error {
	var given []string
	for flag, is := range map[string]bool{"--root": o.root != "", "--sha256": o.sha256 != "", "--tofu": o.tofu} {
		if is {
			given = append(given, flag)
		}
	}
	if len(given) > 1 {
		slices.Sort(given)
		return exclusive(given...)
	}
	o.sha256 = strings.ToLower(strings.TrimPrefix(o.sha256, "sha256:"))
	if raw, err := hex.DecodeString(o.sha256); o.sha256 != "" && (err != nil || len(raw) != sha256.Size) {
		return usage("--sha256 HASH, 64 hexadecimal digits", "%q is not a SHA-256", o.sha256)
	}
	return nil
}

func runTrustAdd(ctx context.Context, a *app, name string, o trustAddOptions) error {
	root, err := a.addTrust(ctx, name, o)
	if err != nil {
		return err
	}
	return a.result(root, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s root %d sha256 %s\n", root.Collection, root.Version, root.SHA256)
		return err
	})
}

// addTrust trusts a collection, and remembers where it is.
func (a *app) addTrust(ctx context.Context, name string, o trustAddOptions) (trustedRoot, error) {
	c, err := a.collection(name)
	if err != nil {
		return trustedRoot{}, err
	}
	if err := a.checkWay(name, o); err != nil {
		return trustedRoot{}, err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return trustedRoot{}, err
	}
	defer unlock()
	old, err := c.Settings()
	known := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return trustedRoot{}, err
	}
	settings, err := a.newSettings(name, old, config.Online, config.Inbox)
	if err != nil {
		return trustedRoot{}, err
	}
	root, cache, err := a.rootToTrust(ctx, name, settings, o)
	if err != nil {
		return trustedRoot{}, err
	}
	if known {
		err = a.trustAgain(ctx, c, old, settings, root)
	} else {
		err = c.Create(settings, func(to *trust.Cache) error { return copyRoots(cache, to) })
	}
	if err == nil && !a.vouched(name, o) {
		a.warnf("nobody vouches for this root yet: compare its SHA-256 with its owner's, %s", root.SHA256())
	}
	if err == nil && o.root != "" {
		a.warnDoubled(name, settings)
	}
	return newTrustedRoot(name, settings, root), err
}

// checkWay refuses a way to trust that is none, or that the configuration does
// not allow.
func (a *app) checkWay(name string, o trustAddOptions) error {
	switch {
	case o.tofu:
		return a.checkTOFU(name)
	case o.root == "" && o.sha256 == "" && !a.mayTrust(name):
		return usage("publisher trust add COLLECTION --root FILE", "one of --root, --sha256 and --tofu is needed: the configuration does not pin the roots of %s", name)
	}
	return nil
}

// vouched reports whether anybody says that a root is the right one.
func (a *app) vouched(name string, o trustAddOptions) bool {
	rule := a.config.Rule(name)
	return o.root != "" || o.sha256 != "" || rule != nil && rule.Pins()
}

func putRoot(cache repo.Cache, root *tuf.File[tuf.Root]) error {
	if err := cache.Put(repo.SlotName(tuf.RoleRoot, root.Signed.Version), root.Bytes()); err != nil {
		return err
	}
	return cache.Put(rootFile, root.Bytes())
}

// trustAgain accepts a root that is trusted already and remembers the new
// place, a signer and an inbox as trust set does: once they are seen to be those
// of the collection. Another root is refused: that would be how trust is stolen.
func (a *app) trustAgain(ctx context.Context, c *trust.Collection, old, settings trust.Settings, root *tuf.File[tuf.Root]) error {
	held, err := c.Cache().Get(repo.SlotName(tuf.RoleRoot, root.Signed.Version))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(held, root.Bytes()) {
		trusted, err := a.trusted(c.Name())
		if err != nil {
			return err
		}
		return &cliError{
			err:  fmt.Errorf("%s is trusted already, from another root: version %d, SHA-256 %s", c.Name(), trusted.Version, trusted.SHA256),
			hint: fmt.Sprintf("publisher trust remove %s first, if you are sure of the new one", c.Name()),
			code: exitConflict,
		}
	}
	a.infof("%s is trusted already, from this root", c.Name())
	if samePlace(settings, old) {
		return nil
	}
	if settings.Online != old.Online || settings.Inbox != old.Inbox {
		if err := a.checkMoved(ctx, c, old, settings); err != nil {
			return err
		}
	}
	return setPlace(c, old, settings)
}

// samePlace leaves out what this version does not know.
func samePlace(a, b trust.Settings) bool {
	a.Unknown, b.Unknown = nil, nil
	return reflect.DeepEqual(a, b)
}

// rootToTrust finds the root that the flags or the pins mean, and what follows
// from it. A place that cannot be read from is refused even if nothing has to be
// read now.
func (a *app) rootToTrust(ctx context.Context, name string, s trust.Settings, o trustAddOptions) (*tuf.File[tuf.Root], repo.Cache, error) {
	var source storage.Getter
	if from, _ := readFrom(a.layers(name, s)); o.root == "" || from != "" {
		var err error
		if source, err = a.source(ctx, name, s); err != nil {
			return nil, nil, err
		}
	}
	from := o.root
	var data []byte
	var err error
	if o.root != "" {
		data, err = a.readAtMost(o.root, repo.MaxRoot)
	} else {
		from, data, err = fetchRoot(ctx, source, name, a.hashes(name, o))
	}
	if errors.Is(err, repo.ErrNotPublished) {
		err = a.notThere(name, s, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read root: %w", err)
	}
	root, err := parseRoot(data, name, from)
	if err != nil {
		return nil, nil, err
	}
	cache, err := a.follow(ctx, name, source, root)
	return root, cache, err
}

// hashes is the SHA-256 of the roots that are meant; any root, if there are
// none.
func (a *app) hashes(name string, o trustAddOptions) []string {
	if o.sha256 != "" {
		return []string{o.sha256}
	}
	if rule := a.config.Rule(name); rule != nil {
		return rule.Roots
	}
	return nil
}

// maxRoots is how many roots are looked at for one with the right hash.
const maxRoots = 1024

// fetchRoot returns the first root that a source has, or the first with one of
// the hashes. The hash alone vouches for that one, so those before it need no
// look.
func fetchRoot(ctx context.Context, source storage.Getter, name string, hashes []string) (from string, data []byte, err error) {
	for n := int64(1); n <= maxRoots; n++ {
		from = repo.SlotName(tuf.RoleRoot, n)
		data, _, err = storage.Read(ctx, source, repo.SlotKey(name, tuf.RoleRoot, n), repo.MaxRoot)
		switch {
		case errors.Is(err, fs.ErrNotExist) && n == 1:
			return "", nil, hinted(fmt.Errorf("%s: %w there", name, repo.ErrNotPublished), "check the collection's name, --url and --store")
		case errors.Is(err, fs.ErrNotExist):
			return "", nil, noSuchRoot(name, hashes, n-1)
		case err != nil:
			return "", nil, err
		}
		if sum := sha256.Sum256(data); len(hashes) == 0 || slices.Contains(hashes, hex.EncodeToString(sum[:])) {
			return from, data, nil
		}
	}
	return "", nil, noSuchRoot(name, hashes, maxRoots)
}

func noSuchRoot(name string, hashes []string, seen int64) error {
	err := fmt.Errorf("none of the %d roots there has the SHA-256 %s", seen, strings.Join(hashes, " or "))
	return hinted(&repo.VerifyError{File: "the roots of " + name, Err: err}, "ask the owner of %s for the SHA-256 of a root", name)
}
