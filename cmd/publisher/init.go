package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/spf13/cobra"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

type initOptions struct {
	rootKeys     []string
	keyType      string
	thresholds   map[string]string
	lifetimes    map[string]string
	noPassphrase bool
	singleWriter bool
	offline      bool
	publish      bool
}

func newInit(a *app) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:     "init COLLECTION --store URL",
		Short:   "Make a new collection: its keys and its first root",
		GroupID: groupPublish,
		Long: `Make a new collection: keys for its four roles and version 1 of its root.

The store is asked whether the collection is there already, and whether it
keeps one of several racing writers' versions (compare-and-swap), without which
concurrent publishes could undo each other. Nothing is published before
"publisher publish", or at once with --publish.

The root key decides over everything else: make a copy of it (publisher key
export) and keep that offline.`,
		Example: `  publisher init example.com/scripts --store file:///srv/tuf
  publisher init example.com/scripts --store s3://bucket/prefix?region=eu-central-1 --publish
  publisher init example.com/scripts --store file:///srv/tuf --threshold root=2/3 --expires timestamp=3d`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInit(cmd.Context(), a, args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.rootKeys, "root-key", nil, "`file` of a private key to use as a root key, may be repeated (default: make new ones)")
	f.StringVar(&o.keyType, "key-type", tuf.TypeEd25519, "`kind` of the keys to make: ed25519, ecdsa, rsa")
	f.StringToStringVar(&o.thresholds, "threshold", nil, "how many keys must sign a `role=n`, or n of m: role=n/m (default 1)")
	f.StringToStringVar(&o.lifetimes, "expires", nil, "how long a role's signatures last, `role=duration` such as 90d or 36h (default root=2y, targets=1y, snapshot=30d, timestamp=14d)")
	f.BoolVar(&o.noPassphrase, "no-passphrase", false, "store the new keys unencrypted")
	f.BoolVar(&o.singleWriter, "single-writer", false, "accept a store without compare-and-swap: you promise that never two publish at once")
	f.BoolVar(&o.offline, "offline", false, "do not contact the store: publish will")
	f.BoolVarP(&o.publish, "publish", "p", false, "publish the empty collection at once")
	cmd.MarkFlagsMutuallyExclusive("offline", "publish")
	return cmd
}

// runInit makes everything in memory first and writes it in one step at the
// end, so that what fails on the way leaves nothing behind.
func runInit(ctx context.Context, a *app, name string, o initOptions) error {
	c, err := a.collection(name)
	if err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, a.waiting)
	if err != nil {
		return err
	}
	defer unlock()
	g, err := a.genesis(name, o)
	if err != nil {
		return err
	}
	store, err := a.newStore(ctx, c)
	if err != nil {
		return err
	}
	if !o.offline {
		if err := a.checkStore(ctx, store, name, o.singleWriter); err != nil {
			return err
		}
	}
	root, pairs, err := a.makeRoot(ctx, g, o)
	if err != nil {
		return err
	}
	if err := a.saveCollection(c, root, pairs); err != nil {
		return err
	}
	made := initResult(name, root, pairs)
	var done *repo.Published
	if o.publish {
		if done, err = a.publishLocked(ctx, c); err != nil {
			return hinted(fmt.Errorf("%s is initialized, but not published: %w", name, err), "publisher publish %s", name)
		}
		p := newPublished(c, done)
		made.Publication = &p
	}
	if err := a.result(made, func(w io.Writer) error { return printInit(w, c, root, pairs, done) }); err != nil {
		return err
	}
	if !o.publish {
		a.infof("next: publisher add %s NAME FILE, then publisher publish %s", name, name)
	}
	return nil
}

// genesis reads what the flags say of the first root, but for the keys.
func (a *app) genesis(name string, o initOptions) (*plannedRoot, error) {
	p := &plannedRoot{
		Genesis: repo.Genesis{
			Collection: name, Lifetimes: repo.Lifetimes{},
			Thresholds: map[string]int64{}, Keys: map[string][]tuf.Key{},
		},
		count: map[string]int{},
	}
	if !slices.Contains([]string{keys.Ed25519, keys.ECDSA, keys.RSA}, o.keyType) {
		return nil, usage("--key-type ed25519, ecdsa or rsa", "--key-type %s is not a kind of key", o.keyType)
	}
	for role, text := range o.lifetimes {
		life, err := parseLifetime(text)
		if err != nil || !slices.Contains(tuf.TopLevel, role) {
			return nil, usage("--expires timestamp=7d", "--expires %s=%s is not a role and a time to come", role, text)
		}
		p.Lifetimes[role] = life
	}
	for _, role := range tuf.TopLevel {
		p.Thresholds[role], p.count[role] = 1, 1
	}
	if n := len(o.rootKeys); n > 0 {
		p.count[tuf.RoleRoot] = n
	}
	for role, text := range o.thresholds {
		if err := p.setThreshold(role, text, len(o.rootKeys)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

type plannedRoot struct {
	repo.Genesis
	count map[string]int // of keys, by role
}

// setThreshold reads n or n/m. Root keys that are given are as many as they
// are.
func (p *plannedRoot) setThreshold(role, text string, rootKeys int) error {
	first, second, ok := strings.Cut(text, "/")
	if !ok {
		second = first
	}
	n, err := strconv.Atoi(first)
	m, err2 := strconv.Atoi(second)
	if err != nil || err2 != nil {
		return usage("--threshold root=2/3", "--threshold %s=%s is not a number", role, text)
	}
	if role == tuf.RoleRoot && rootKeys > 0 {
		m = rootKeys
	}
	if !slices.Contains(tuf.TopLevel, role) || n < 1 || m < n || m > 100 {
		return usage("--threshold root=2/3", "--threshold %s=%s: %d signatures of %d keys of %s", role, text, n, m, role)
	}
	p.Thresholds[role], p.count[role] = int64(n), m
	return nil
}

// newStore opens the store for a collection that must not be known here yet.
func (a *app) newStore(ctx context.Context, c *trust.Collection) (storage.Store, error) {
	if _, err := c.Settings(); err == nil {
		return nil, &cliError{
			err:  fmt.Errorf("%s is initialized already in %s", c.Name(), a.trust.Path()),
			hint: "publisher status " + c.Name(),
			code: exitConflict,
		}
	}
	if a.flags.store == "" {
		return nil, usage(storeHint, "no store given")
	}
	return openStore(ctx, a.flags.store)
}

// checkStore refuses a store that has the collection already, or that could not
// keep it.
func (a *app) checkStore(ctx context.Context, store storage.Store, name string, singleWriter bool) error {
	for _, key := range []string{repo.TimestampKey(name), repo.SlotKey(name, tuf.RoleRoot, 1)} {
		_, err := storage.Stat(ctx, store, key)
		switch {
		case err == nil:
			return &cliError{
				err:  fmt.Errorf("%s is in the store already: it has %s", name, key),
				hint: fmt.Sprintf("publisher trust add %s --root FILE --store %s to work with it, or choose another name", name, a.flags.store),
				code: exitConflict,
			}
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("look at the store: %w", err)
		}
	}
	err := storage.Probe(ctx, store, repo.ProbeKey(name, ulid.Make().String()))
	if errors.Is(err, storage.ErrNoCompareAndSwap) && singleWriter {
		a.warnf("%v: two publishes at once may undo each other", err)
		return nil
	}
	if errors.Is(err, storage.ErrNoCompareAndSwap) {
		return hinted(err, "use another store, or --single-writer if never two publish at once")
	}
	return err
}

// A pair is a key that is to be stored.
type pair struct {
	role       string
	signer     crypto.Signer
	id         string
	passphrase []byte
}

// makeRoot makes or reads the keys and signs the first root with them.
func (a *app) makeRoot(ctx context.Context, p *plannedRoot, o initOptions) (*tuf.File[tuf.Root], []pair, error) {
	pairs, err := a.rootPairs(p, o)
	if err != nil {
		return nil, nil, err
	}
	for _, role := range tuf.TopLevel {
		for i := len(p.Keys[role]); i < p.count[role]; i++ {
			signer, err := keys.Generate(o.keyType)
			if err != nil {
				return nil, nil, err
			}
			if pairs, err = p.add(pairs, role, signer); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := a.lock(pairs, o.noPassphrase); err != nil {
		return nil, nil, err
	}
	root, err := repo.NewRoot(ctx, p.Genesis, pairRing(pairs), a.now())
	return root, pairs, err
}

func (p *plannedRoot) add(pairs []pair, role string, signer crypto.Signer) ([]pair, error) {
	key, err := tuf.NewKey(signer.Public())
	if err != nil {
		return nil, &cliError{err: err, hint: "use an ed25519, ECDSA P-256 or RSA key", code: exitKey}
	}
	id := key.ID()
	if slices.ContainsFunc(pairs, func(p pair) bool { return p.id == id }) {
		return nil, usage("name each key once", "key %s is given twice", id)
	}
	p.Keys[role] = append(p.Keys[role], key)
	return append(pairs, pair{role: role, signer: signer, id: id}), nil
}

// rootPairs reads the root keys that were given.
func (a *app) rootPairs(p *plannedRoot, o initOptions) ([]pair, error) {
	var pairs []pair
	for _, file := range o.rootKeys {
		private, err := a.readKeyFile(file, tuf.RoleRoot)
		if err != nil {
			return nil, err
		}
		for _, k := range private {
			if k.Collection != "" && k.Collection != p.Collection {
				return nil, &cliError{
					err:  fmt.Errorf("%s: the key belongs to the collection %s", file, k.Collection),
					hint: "use a key of its own for each collection",
					code: exitKey,
				}
			}
			if pairs, err = p.add(pairs, tuf.RoleRoot, k.Signer); err != nil {
				return nil, err
			}
		}
	}
	return pairs, nil
}

// lock asks for the passphrases under which the keys will be stored.
func (a *app) lock(pairs []pair, noPassphrase bool) error {
	if noPassphrase {
		a.warnf("the private keys are stored unencrypted: whoever can read them can publish")
		return nil
	}
	for i := range pairs {
		var err error
		if pairs[i].passphrase, err = a.newPassphrase(pairs[i].role); err != nil {
			return err
		}
	}
	return nil
}

// pairRing signs with keys that are not stored yet.
type pairRing []pair

func (r pairRing) Signer(_ context.Context, _, keyID string) (signature.Signer, error) {
	for _, p := range r {
		if p.id == keyID {
			s, _, err := keys.NewSigner(p.signer)
			return s, err
		}
	}
	return nil, repo.ErrNoKey
}

// saveCollection stores keys and root. What it stored before a failure it takes
// back, but for keys that were there before.
func (a *app) saveCollection(c *trust.Collection, root *tuf.File[tuf.Root], pairs []pair) error {
	var stored []string
	err := c.Create(trust.Settings{Store: a.flags.store, URL: a.flags.url, TLSCACert: a.flags.tlsCACert}, func(cache *trust.Cache) error {
		for _, p := range pairs {
			_, err := a.trust.Keys().Get(p.id)
			known := err == nil
			if _, err := a.storeKey(p.signer, p.role, c.Name(), p.passphrase); err != nil {
				return err
			}
			if !known {
				stored = append(stored, p.id)
			}
		}
		if err := cache.Put(repo.SlotName(tuf.RoleRoot, 1), root.Bytes()); err != nil {
			return err
		}
		return cache.Put("root.json", root.Bytes())
	})
	if err != nil {
		for _, id := range stored {
			err = errors.Join(err, a.trust.Keys().Remove(id))
		}
	}
	return err
}

type initialized struct {
	Collection string              `json:"collection"`
	Root       string              `json:"root_sha256"`
	Expires    time.Time           `json:"root_expires"`
	Keys       map[string][]string `json:"keys"`

	Publication *published `json:"publication,omitempty"`
}

func initResult(name string, root *tuf.File[tuf.Root], pairs []pair) initialized {
	r := initialized{Collection: name, Root: root.SHA256(), Expires: root.Signed.Expires, Keys: map[string][]string{}}
	for _, p := range pairs {
		r.Keys[p.role] = append(r.Keys[p.role], p.id)
	}
	return r
}

// printInit also tells what was published; done is nil if nothing was.
func printInit(w io.Writer, c *trust.Collection, root *tuf.File[tuf.Root], pairs []pair, done *repo.Published) error {
	if _, err := fmt.Fprintf(w, "initialized %s\nroot sha256 %s\n", c.Name(), root.SHA256()); err != nil {
		return err
	}
	for _, p := range pairs {
		if _, err := fmt.Fprintf(w, "%-9s key %s\n", p.role, p.id); err != nil {
			return err
		}
	}
	if done == nil {
		return nil
	}
	return printPublished(w, c, done)
}

// waiting tells why nothing happens.
func (a *app) waiting() {
	a.infof("waiting for another publisher command on the same collection")
}
