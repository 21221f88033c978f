package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
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
	"github.com/spf13/pflag"

	"publisher/internal/config"
	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/trust"
)

type initOptions struct {
	rootKeys     []string
	rootCerts    []string
	keyType      string
	thresholds   byRole
	lifetimes    byRole
	noPassphrase bool
	singleWriter bool
	offline      bool
	publish      bool
	hand         publishOptions // how a first root that lacks signatures is handed on
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

With --online and --inbox an online signer holds the keys of snapshot and
timestamp. Only those of root and targets are made here, and the empty collection
is published through the signer at once: nobody else writes its metadata.

With the public keys of others among those of --root-key, who keep the private
ones, and a threshold of more signatures than can be made here, the first root is
a draft: the exit code is 10, and "publisher sign" goes on. The last signature
publishes the empty collection.

With --root-key and --root-cert, root keys come with certificates, by which those
trust the collection who have pinned their CA for its name.

The root key decides over everything else: make a copy of it (publisher key
export) and keep that offline.`,
		Example: `  publisher init example.com/scripts --store file:///srv/tuf
  publisher init example.com/scripts --store s3://bucket/prefix?region=eu-central-1 --publish
  publisher init example.com/scripts --store file:///srv/tuf --threshold root=2/3 --expires timestamp=3d
  publisher init example.com/scripts --store s3://bucket --inbox s3://inbox --online lambda:publisher-signer`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInit(cmd.Context(), a, args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.rootKeys, "root-key", nil, "`file` of a private key to use as a root key, or of the public key of somebody else's; may be repeated (default: make new ones)")
	f.StringArrayVar(&o.rootCerts, "root-cert", nil, rootCertHelp)
	f.Var(&o.thresholds, "threshold", "how many keys must sign a `role=n`, or n of m: role=n/m (default 1)")
	o.addKeys(f)
	f.BoolVar(&o.offline, "offline", false, "do not contact the store: publish will")
	f.BoolVarP(&o.publish, "publish", "p", false, "publish the empty collection at once")
	f.StringVar(&o.hand.export, "export", "", "if signatures of others are missing, write the draft for them to this `file`")
	f.BoolVar(&o.hand.share, "share", false, "if signatures of others are missing, leave the draft for them in the inbox")
	cmd.MarkFlagsMutuallyExclusive("offline", "publish")
	cmd.MarkFlagsMutuallyExclusive("offline", "share")
	return cmd
}

// addKeys adds the flags of every verb that makes a collection.
func (o *initOptions) addKeys(f *pflag.FlagSet) {
	f.StringVar(&o.keyType, "key-type", "", "`kind` of the keys to make: ed25519, ecdsa, rsa (default key_type of the configuration, or ed25519)")
	f.Var(&o.lifetimes, "expires", "how long a role's signatures last, `role=duration` such as 90d or 36h (default root=2y, targets=1y, snapshot=30d, timestamp=14d; delegations such as targets/releases as long as targets)")
	f.BoolVar(&o.noPassphrase, "no-passphrase", false, "store the new keys unencrypted")
	f.BoolVar(&o.singleWriter, "single-writer", false, "accept a store without compare-and-swap: you promise that never two publish at once")
}

// runInit makes everything in memory first, then asks those that the collection
// will rely on, and writes last, in one step, so that what fails on the way
// leaves nothing behind.
func runInit(ctx context.Context, a *app, name string, o initOptions) error {
	a.inboxAlone = o.hand.share
	n, err := a.draft(ctx, name, o)
	if err != nil {
		return err
	}
	if n.place.Online != "" {
		if err := a.askSigner(ctx, n); err != nil {
			return err
		}
	}
	root, err := repo.NewRoot(ctx, n.Genesis, pairRing(n.pairs), a.now())
	if as[*repo.ThresholdError](err) {
		return a.beginCeremony(ctx, n, o)
	}
	if err != nil {
		return err
	}
	if err := a.checkPinned(name, root); err != nil {
		return err
	}
	unlock, stored, err := a.establish(ctx, n, o, func(cache *trust.Cache) error { return putRoot(cache, root) })
	if err != nil {
		return err
	}
	defer unlock()
	c, place := n.c, n.place
	made := initResult(name, root, place)
	var done *repo.Published
	if o.publish || place.Online != "" {
		if done, err = a.publishLocked(ctx, c, publishOptions{}); err != nil {
			return a.unpublished(ctx, c, n.store, stored, err)
		}
		p := newPublished(c, done)
		made.Publication = &p
	}
	if err := a.result(made, func(w io.Writer) error { return printInit(w, c, &made, done) }); err != nil {
		return err
	}
	if done == nil {
		a.infof("next: publisher add %s NAME FILE, then publisher publish %s", name, name)
	}
	return nil
}

// draft is a collection as far as it can be made without asking anybody but the
// user.
func (a *app) draft(ctx context.Context, name string, o initOptions) (*newCollection, error) {
	c, err := a.collection(name)
	if err != nil {
		return nil, err
	}
	o.keyType = a.keyType(name, o.keyType).value
	n, err := a.genesis(c, o)
	if err != nil {
		return nil, err
	}
	if n.place, n.store, err = a.newPlace(ctx, c); err != nil {
		return nil, err
	}
	if n.place.Online != "" {
		if err := n.leaveKeys(o); err != nil {
			return nil, err
		}
	}
	return n, a.makePairs(n, o)
}

// leaveKeys leaves the keys of snapshot and timestamp to the signer.
func (n *newCollection) leaveKeys(o initOptions) error {
	if o.offline || o.singleWriter {
		return usage("leave it out", "--offline and --single-writer do not go with --online: the signer writes, and does so now")
	}
	for _, role := range onlineRoles {
		if n.count[role] != 1 {
			return usage("leave out --threshold "+quoted(role), "--threshold %s does not go with --online: the signer has one key for it", role)
		}
		n.count[role] = 0
	}
	return nil
}

// askSigner takes the signer's keys for snapshot and timestamp.
func (a *app) askSigner(ctx context.Context, n *newCollection) error {
	if err := a.checkNew(ctx, n.store, n.Collection); err != nil {
		return err
	}
	if _, err := openStore(ctx, n.place.Inbox); err != nil {
		return fmt.Errorf("open inbox: %w", err)
	}
	keys, err := a.signerKeys(ctx, n.Collection, n.place.Online)
	if err != nil {
		return err
	}
	for role, key := range keys {
		n.Keys[role] = []tuf.Key{key}
	}
	return nil
}

// establish stores a new collection, with what fill puts into it, after a last
// look at the store, and locks it. It returns the IDs of the keys that it has
// stored.
func (a *app) establish(ctx context.Context, n *newCollection, o initOptions, fill func(*trust.Cache) error) (unlock func(), stored []string, err error) {
	made := missingDirs(storeDir(n.place.Store))
	defer func() {
		if err != nil {
			removeEmpty(made)
		}
	}()
	if n.place.Online == "" && !o.offline {
		if err := a.checkNew(ctx, n.store, n.Collection); err != nil {
			return nil, nil, err
		}
		if err := a.checkStore(ctx, n.store, n.Collection, o.singleWriter); err != nil {
			return nil, nil, err
		}
	}
	if unlock, err = n.c.Lock(ctx, a.waiting); err != nil {
		return nil, nil, err
	}
	if stored, err = a.saveCollection(n.c, n.place, n.pairs, fill); err != nil {
		unlock()
	}
	return unlock, stored, err
}

// unpublished is the error of an init that failed after everything was stored
// here. Unless the signer has committed it, or yet may, the collection does not
// exist, and neither must its keys. Otherwise they must stay: they might be the
// only ones there are to a published root.
func (a *app) unpublished(ctx context.Context, c *trust.Collection, store storage.Store, stored []string, err error) error {
	kept := hinted(fmt.Errorf("%s is initialized, but not published: %w", c.Name(), err), "publisher publish %s", c.Name())
	s, settingsErr := c.Settings()
	_, pending := c.Pending()
	if settingsErr != nil || s.Online == "" || !errors.Is(pending, fs.ErrNotExist) {
		return kept
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	ours, cacheErr := c.Cache().Get(repo.SlotName(tuf.RoleRoot, 1))
	there, _, readErr := storage.Read(ctx, store, repo.SlotKey(c.Name(), tuf.RoleRoot, 1), repo.MaxRoot)
	switch {
	case cacheErr != nil || readErr != nil && !errors.Is(readErr, fs.ErrNotExist) || bytes.Equal(there, ours):
		return kept
	case readErr == nil:
		err = a.checkNew(ctx, store, c.Name()) // somebody else was faster
	}
	return errors.Join(err, c.Delete(), a.removeKeys(stored))
}

func (a *app) removeKeys(ids []string) error {
	var all []error
	for _, id := range ids {
		all = append(all, a.trust.Keys().Remove(id))
	}
	return errors.Join(all...)
}

// genesis reads what the flags say of the first root, but for the keys.
func (a *app) genesis(c *trust.Collection, o initOptions) (*newCollection, error) {
	p := &newCollection{
		Genesis: repo.Genesis{
			Collection: c.Name(), Thresholds: map[string]int64{}, Keys: map[string][]tuf.Key{},
		},
		c: c, count: map[string]int{},
	}
	if !slices.Contains([]string{keys.Ed25519, keys.ECDSA, keys.RSA}, o.keyType) {
		return nil, usage("--key-type ed25519, ecdsa or rsa", "--key-type %s is not a kind of key", o.keyType)
	}
	var err error
	if p.Lifetimes, err = parseLifetimes(o.lifetimes); err != nil {
		return nil, err
	}
	for _, role := range tuf.TopLevel {
		p.Thresholds[role], p.count[role] = 1, 1
	}
	if n := len(o.rootKeys); n > 0 {
		p.count[tuf.RoleRoot] = n
	}
	if p.Certs, err = a.rootChains(o.rootCerts); err != nil {
		return nil, err
	}
	for role, text := range o.thresholds {
		if err := p.setThreshold(role, text, len(o.rootKeys)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// rootCertHelp is what --root-cert is for, wherever it is.
const rootCertHelp = "`file` of the certificate of a root key, made out to COLLECTION, and of those between it and its CA; may be repeated"

// rootChains reads the certificates of root keys, so that those can trust the
// collection who trust their CA.
func (a *app) rootChains(files []string) ([][]*x509.Certificate, error) {
	var chains [][]*x509.Certificate
	for _, file := range files {
		data, err := a.readAtMost(file, maxKeyFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		chain, err := repo.ParseChain(data)
		if err != nil {
			return nil, usage("--root-cert FILE, with certificates in PEM form, that of the root key first", "%s: %w", file, err)
		}
		chains = append(chains, chain)
	}
	return chains, nil
}

// A newCollection is one that does not exist yet.
type newCollection struct {
	repo.Genesis
	c     *trust.Collection
	place trust.Settings
	store storage.Store
	count map[string]int // of keys that are made here, by role
	pairs []pair
}

// maxKeys is how many keys of a role init makes.
const maxKeys = 100

// setThreshold reads n or n/m. Root keys that are given are as many as they
// are.
func (n *newCollection) setThreshold(role, text string, rootKeys int) error {
	first, second, ok := strings.Cut(text, "/")
	if !ok {
		second = first
	}
	need, err := strconv.Atoi(first)
	of, err2 := strconv.Atoi(second)
	if role == tuf.RoleRoot && rootKeys > 0 {
		of = rootKeys
	}
	const hint = "--threshold root=2/3"
	switch {
	case !slices.Contains(tuf.TopLevel, role):
		return usage(hint, "--threshold %s=%s: %s is none of the roles %s", role, text, role, strings.Join(tuf.TopLevel, ", "))
	case err != nil || err2 != nil:
		return usage(hint, "--threshold %s=%s is not a number", role, text)
	case need < 1:
		return usage(hint, "--threshold %s=%s: at least one key must sign, not %d", role, text, need)
	case of < need || of > maxKeys:
		return usage(hint, "--threshold %s=%s: %d signatures of %d keys, with at most %d keys", role, text, need, of, maxKeys)
	}
	n.Thresholds[role], n.count[role] = int64(need), of
	return nil
}

// newPlace is where a collection will be that must not be known here yet.
func (a *app) newPlace(ctx context.Context, c *trust.Collection) (trust.Settings, storage.Store, error) {
	place, err := a.newSettings(c.Name(), trust.Settings{}, config.Keys...)
	if err != nil {
		return place, nil, err
	}
	if _, err := c.Settings(); err == nil {
		return place, nil, &cliError{
			err:  fmt.Errorf("%s is initialized already in %s", c.Name(), a.trust.Path()),
			hint: "publisher status " + c.Name(),
			code: exitConflict,
		}
	}
	if place.Store == "" {
		return place, nil, usage(storeHint, "no store given")
	}
	a.debugf("%s is to be published to %s", c.Name(), shownStore(place.Store))
	store, err := a.openStore(ctx, place.Store)
	return place, store, err
}

// checkNew refuses a store that has the collection already.
func (a *app) checkNew(ctx context.Context, store storage.Store, name string) error {
	for _, key := range []string{repo.TimestampKey(name), repo.SlotKey(name, tuf.RoleRoot, 1)} {
		_, err := storage.Stat(ctx, store, key)
		switch {
		case err == nil:
			return &cliError{
				err:  fmt.Errorf("%s is in the store already: it has %s", name, key),
				hint: fmt.Sprintf("publisher trust add %s --root FILE --store %s to work with it, or choose another name", name, quoted(valueOf(a.layers(name, trust.Settings{}), config.Store).value)),
				code: exitConflict,
			}
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("look at the store: %w", err)
		}
	}
	return nil
}

// checkStore refuses a store that could not keep the collection.
func (a *app) checkStore(ctx context.Context, store storage.Store, name string, singleWriter bool) error {
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

// makePairs makes or reads the keys, and asks for the passphrases under which
// they will be stored.
func (a *app) makePairs(n *newCollection, o initOptions) error {
	if err := a.rootPairs(n, o); err != nil {
		return err
	}
	for _, role := range tuf.TopLevel {
		for i := len(n.Keys[role]); i < n.count[role]; i++ {
			signer, err := keys.Generate(o.keyType)
			if err != nil {
				return err
			}
			if err := n.add(role, signer); err != nil {
				return err
			}
		}
	}
	return a.lock(n.pairs, o.noPassphrase)
}

func (n *newCollection) add(role string, signer crypto.Signer) error {
	key, err := tuf.NewKey(signer.Public())
	if err != nil {
		return &cliError{err: err, hint: "use an ed25519, ECDSA P-256 or RSA key", code: exitKey}
	}
	id := key.ID()
	if n.has(id) {
		return usage("name each key once", "key %s is given twice", id)
	}
	n.Keys[role] = append(n.Keys[role], key)
	n.pairs = append(n.pairs, pair{role: role, signer: signer, id: id})
	return nil
}

// rootPairs reads the root keys that were given.
func (a *app) rootPairs(n *newCollection, o initOptions) error {
	for _, file := range o.rootKeys {
		others, err := a.othersKey(file)
		if err != nil {
			return err
		}
		if others != nil {
			if err := n.addOthers(a, *others); err != nil {
				return err
			}
			continue
		}
		private, err := a.readKeyFile(file, tuf.RoleRoot)
		if err != nil {
			return err
		}
		for _, k := range private {
			if err := n.add(tuf.RoleRoot, k.Signer); err != nil {
				return err
			}
			other, err := a.otherOwner(k, n.pairs[len(n.pairs)-1].id, n.Collection)
			if err != nil {
				return err
			}
			if other != "" {
				return keyError("use a key of its own for each collection", "%s: the key belongs to the collection %s", file, other)
			}
		}
	}
	return nil
}

// otherOwner is the collection, other than name, that a key belongs to: by its
// own file, by that in the trust directory, or by the trusted roots there.
func (a *app) otherOwner(k keys.Private, id, name string) (string, error) {
	owners := []string{k.Collection}
	if held, err := a.heldKey(id); err == nil {
		owners = append(owners, held.Collection)
	}
	known, err := a.trust.Collections()
	if err != nil {
		return "", err
	}
	for _, c := range known {
		if _, ok := a.trustedKeys(c)[id]; ok {
			owners = append(owners, c)
		}
	}
	for _, owner := range owners {
		if owner != "" && owner != name {
			return printable(owner), nil
		}
	}
	return "", nil
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

// saveCollection stores keys, and what fill has to store. What it stored before a failure it takes
// back, but for keys that were there before: it returns the IDs of the others.
func (a *app) saveCollection(c *trust.Collection, place trust.Settings, pairs []pair, fill func(*trust.Cache) error) (stored []string, err error) {
	err = c.Create(place, func(cache *trust.Cache) error {
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
		return fill(cache)
	})
	if err != nil && !errors.Is(err, trust.ErrUnsynced) { // with which the collection is there, and needs them
		err = errors.Join(err, a.removeKeys(stored))
	}
	return stored, err
}

type initialized struct {
	Collection string              `json:"collection"`
	Root       string              `json:"root_sha256"`
	Expires    time.Time           `json:"root_expires"`
	Keys       map[string][]string `json:"keys"`
	Online     string              `json:"online,omitempty"` // who holds those of snapshot and timestamp

	Publication *published `json:"publication,omitempty"`
}

func initResult(name string, root *tuf.File[tuf.Root], place trust.Settings) initialized {
	r := initialized{Collection: name, Root: root.SHA256(), Expires: root.Signed.Expires, Keys: map[string][]string{}, Online: place.Online}
	for _, role := range tuf.TopLevel {
		r.Keys[role] = root.Signed.Roles[role].KeyIDs
	}
	return r
}

// printInit also tells what was published; done is nil if nothing was.
func printInit(w io.Writer, c *trust.Collection, made *initialized, done *repo.Published) error {
	if _, err := fmt.Fprintf(w, "initialized %s\nroot sha256 %s\n", c.Name(), made.Root); err != nil {
		return err
	}
	for _, role := range tuf.TopLevel {
		for _, id := range made.Keys[role] {
			holder := ""
			if made.Online != "" && slices.Contains(onlineRoles, role) {
				holder = " of " + made.Online
			}
			if _, err := fmt.Fprintf(w, "%-9s key %s%s\n", role, id, holder); err != nil {
				return err
			}
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
