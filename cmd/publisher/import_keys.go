package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/internal/notary"
	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

// An importedRole is who will sign a role of the new collection.
type importedRole struct {
	Role      string   `json:"role"`
	Kept      bool     `json:"kept"`             // the keys are Notary's
	KeyIDs    []string `json:"keyids,omitempty"` // of kept keys
	Threshold int64    `json:"threshold"`
	Why       string   `json:"why,omitempty"` // there are new keys
}

// notaryKeys finds the private halves of Notary's keys.
type notaryKeys struct {
	app        *app
	files      []string // beside the metadata
	collection string   // that is being made
	gun        string   // what Notary calls it
}

// A keptKey is one of Notary's whose private half is here.
type keptKey struct {
	role string
	key  tuf.Key
	file string // that has the private half; empty if the trust directory has it
}

var (
	errNotHeld = errors.New("the private half of the old one is not here")
	errUnfit   = errors.New("the old one cannot be used")
)

// find looks for the private half of a key, and opens nothing. The error wraps
// errNotHeld or errUnfit for a key that has to be replaced.
func (n *notaryKeys) find(role string, key notary.Key) (keptKey, error) {
	public, err := key.TUF()
	if err != nil {
		return keptKey{}, fmt.Errorf("%w: %w", errUnfit, err)
	}
	kept := keptKey{role: role, key: public}
	told := ""
	if _, err := n.app.trust.Keys().Get(public.ID()); err != nil {
		if kept.file = n.file(key); kept.file == "" {
			return kept, errNotHeld
		}
		if told, err = n.app.toldCollection(kept.file); err != nil {
			return kept, err
		}
	}
	other, err := n.app.otherOwner(keys.Private{Collection: told}, public.ID(), n.collection)
	if err == nil && other != "" && !n.means(other) {
		err = fmt.Errorf("%w: it belongs to the collection %s", errUnfit, other)
	}
	return kept, err
}

// means reports whether a key that is said to be of that collection is of this
// one: Notary's name for it counts unless there is a collection of that name.
func (n *notaryKeys) means(collection string) bool {
	_, err := n.app.trust.Collection(n.gun).Settings()
	return collection == n.gun && err != nil
}

// file is the key file that Notary would keep the private half in.
func (n *notaryKeys) file(key notary.Key) string {
	id := key.PrivateID()
	i := slices.IndexFunc(n.files, func(file string) bool {
		name := strings.TrimSuffix(filepath.Base(file), ".key")
		return name == id || strings.HasPrefix(name, id+"_")
	})
	if i < 0 {
		return ""
	}
	return n.files[i]
}

// toldCollection is the collection that a key file says its key is for.
func (a *app) toldCollection(file string) (string, error) {
	data, err := a.readAtMost(file, maxKeyFile)
	if err != nil {
		return "", fmt.Errorf("read key file: %w", err)
	}
	headers, err := keys.Inspect(data)
	if err != nil {
		return "", badKey(file, keptKeyHint, err)
	}
	return headers[0].Collection, nil
}

const keptKeyHint = "restore it from a backup, or move it away to have a new key made"

// open opens the private half of a key that is in a file.
func (a *app) openKept(k keptKey) (crypto.Signer, error) {
	all, err := a.readKeyFile(k.file, k.role)
	if err != nil {
		return nil, err
	}
	for _, private := range all {
		if key, err := private.Public(); err == nil && key.ID() == k.key.ID() {
			return private.Signer, nil
		}
	}
	return nil, badKey(k.file, keptKeyHint, errors.New("it holds another key than its name says"))
}

// keepKeys decides about the keys of a top-level role: Notary's, all of them, if
// enough private halves are here to sign; else new ones. The signer's roles are
// its own.
func (p *importPlan) keepKeys(private *notaryKeys, name string, old notary.Role) error {
	role := importedRole{Role: name, Threshold: 1}
	kept, table, why, err := private.findAll(name, old)
	switch {
	case err != nil:
		return err
	case p.new.count[name] == 0:
		role.Why = "a key of the online signer"
	case int64(len(kept)) < old.Threshold:
		role.Why = fmt.Sprintf("a new key: %v", why)
	default:
		role.Kept, role.Threshold, role.KeyIDs = true, old.Threshold, idsOf(table)
		p.new.Keys[name], p.new.Thresholds[name], p.new.count[name] = table, old.Threshold, len(table)
		p.keep(kept)
		if name == tuf.RoleRoot {
			p.certify(old, role.KeyIDs)
		}
	}
	p.Roles = append(p.Roles, role)
	return nil
}

// certify keeps the certificates of root keys that a CA has issued for the name
// of the new collection, for those who have pinned that CA.
func (p *importPlan) certify(old notary.Role, kept []string) {
	for _, key := range old.Keys {
		public, err := key.TUF()
		if err != nil || !slices.Contains(kept, public.ID()) {
			continue
		}
		if chain := key.Issued(); chain != nil && key.CommonName() == p.Collection {
			p.new.Certs = append(p.new.Certs, chain)
		}
	}
}

func idsOf(table []tuf.Key) []string {
	ids := make([]string, len(table))
	for i, key := range table {
		ids[i] = key.ID()
	}
	return ids
}

// findAll looks for the private halves of a role's keys. table is all public
// keys that can be used; why is of one that is not kept.
func (n *notaryKeys) findAll(name string, old notary.Role) (kept []keptKey, table []tuf.Key, why, err error) {
	for _, key := range old.Keys {
		k, err := n.find(name, key)
		if errors.Is(err, errUnfit) {
			why = err
			continue
		}
		if slices.ContainsFunc(table, func(t tuf.Key) bool { return t.ID() == k.key.ID() }) {
			continue
		}
		table = append(table, k.key)
		switch {
		case errors.Is(err, errNotHeld):
			why = err
		case err != nil:
			return nil, nil, nil, err
		default:
			kept = append(kept, k)
		}
	}
	return kept, table, why, nil
}

// keep has private keys stored that are not in the trust directory.
func (p *importPlan) keep(kept []keptKey) {
	for _, k := range kept {
		known := slices.ContainsFunc(p.kept, func(o keptKey) bool { return o.key.ID() == k.key.ID() })
		if k.file != "" && !known {
			p.kept = append(p.kept, k)
		}
	}
}

// openKeys opens the keys that are kept, and makes the new ones.
func (a *app) openKeys(p *importPlan, o initOptions) error {
	for _, k := range p.kept {
		signer, err := a.openKept(k)
		if err != nil {
			return err
		}
		p.new.pairs = append(p.new.pairs, pair{role: k.role, signer: signer, id: k.key.ID()})
	}
	return a.makePairs(p.new, o)
}

// rings is keyrings, of which the first that has a key signs.
type rings []repo.Keyring

func (r rings) Signer(ctx context.Context, role, keyID string) (signature.Signer, error) {
	for _, ring := range r {
		s, err := ring.Signer(ctx, role, keyID)
		if !errors.Is(err, repo.ErrNoKey) {
			return s, err
		}
	}
	return nil, repo.ErrNoKey
}
