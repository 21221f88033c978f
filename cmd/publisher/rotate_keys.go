package main

import (
	"context"
	"fmt"
	"slices"

	"publisher/lambda"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

// This file is where the new keys of a rotation come from.

// A givenKey is one of a file that the user names.
type givenKey struct {
	key  tuf.Key
	pair *pair // nil for a public key, of somebody else
}

// given reads the files of -k. No key may be of use elsewhere, or have been here
// before.
func (r *rotation) given() ([]givenKey, error) {
	var all []givenKey
	for _, file := range r.o.files {
		found, err := r.readGiven(file)
		if err != nil {
			return nil, err
		}
		for _, k := range found {
			id := k.key.ID()
			if slices.ContainsFunc(all, func(other givenKey) bool { return other.key.ID() == id }) {
				return nil, usage("name each key once", "%s: key %s is given twice", file, tuf.ShortID(id))
			}
			all = append(all, k)
		}
	}
	return all, nil
}

func (r *rotation) readGiven(file string) ([]givenKey, error) {
	data, err := r.app.readAtMost(file, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if len(privateBlocks(data)) == 0 {
		key, err := r.parsePublic(data)
		if err != nil {
			return nil, badKey(file, r.publicHint(), err)
		}
		return []givenKey{{key: key}}, r.checkGiven(file, key, keys.Private{})
	}
	private, err := r.app.readKeyFile(file, r.role)
	if err != nil {
		return nil, err
	}
	var all []givenKey
	for _, k := range private {
		key, err := k.Public()
		if err != nil {
			return nil, badKey(file, keyFileHint, err)
		}
		if err := r.checkGiven(file, key, k); err != nil {
			return nil, err
		}
		all = append(all, givenKey{key, &pair{role: r.role, signer: k.Signer, id: key.ID()}})
	}
	return all, nil
}

// parsePublic reads the public key of somebody else; for a delegation as
// delegation add does, also from a certificate. What certificates a root key has
// is said by --root-cert.
func (r *rotation) parsePublic(data []byte) (tuf.Key, error) {
	if r.delegated() {
		return keys.ParsePublicOrCertificate(data, r.app.now())
	}
	return keys.ParsePublic(data)
}

func (r *rotation) publicHint() string {
	if r.delegated() {
		return "give a PEM file with a private key, or with one public key or x509 certificate"
	}
	return "give a PEM file with a private key, or with one public key"
}

// checkGiven refuses a key of another collection, and one that a root has named
// for something else, or replaced.
func (r *rotation) checkGiven(file string, key tuf.Key, private keys.Private) error {
	id := key.ID()
	other, err := r.app.otherOwner(private, id, r.c.Name())
	switch {
	case err != nil:
		return err
	case other != "":
		return keyError("use a key of its own for each collection", "%s: the key belongs to the collection %s", file, other)
	case r.named[id] && !slices.Contains(r.root.Roles[r.role].KeyIDs, id):
		return keyError("use a new key", "%s: key %s was named by an earlier root, or for another role, and does not come back", file, tuf.ShortID(id))
	}
	return nil
}

// leftover takes keys of the trust directory that are for this role, and that no
// root has named: they were made for a rotation that another one took the place
// of. Of delegations it is not known which keys they have had.
func (r *rotation) leftover(t *turn) error {
	if r.remote() || r.delegated() || t.make == 0 {
		return nil
	}
	held, err := r.app.heldKeys()
	if err != nil {
		return err
	}
	for _, k := range held {
		if t.make == 0 {
			return nil
		}
		if k.Role != t.role || k.Collection != r.c.Name() || r.named[k.ID] {
			continue
		}
		if key, ok := publicIn(k.pem, k.ID); ok && (r.kind == "" || key.Type == r.kind) {
			t.keys = append(t.keys, key)
			t.make--
		}
	}
	return nil
}

// makeKeys makes the keys that are not there yet, in memory.
func (r *rotation) makeKeys(ctx context.Context) error {
	for i := range r.turns {
		t := &r.turns[i]
		if r.remote() && t.make > 0 {
			key, err := r.signersKey(ctx, t.role)
			if err != nil {
				return err
			}
			t.keys, t.make = []tuf.Key{key}, 0
		}
		for ; t.make > 0; t.make-- {
			if err := r.makeKey(t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rotation) makeKey(t *turn) error {
	signer, err := keys.Generate(r.o.keyType)
	if err != nil {
		return usage("--key-type ed25519, ecdsa or rsa", "%w", err)
	}
	key, err := tuf.NewKey(signer.Public())
	if err != nil {
		return err
	}
	t.keys = append(t.keys, key)
	t.store = append(t.store, pair{role: t.role, signer: signer, id: key.ID()})
	return nil
}

// signersKey asks the signer for a key of a role that no root has ever named. To
// ask again gives the same one.
func (r *rotation) signersKey(ctx context.Context, role string) (tuf.Key, error) {
	defer r.app.wait("waiting for the signer")()
	var made lambda.KeyAnswer
	request := lambda.Request{Action: lambda.ActionRotateKey, Collection: r.c.Name(), Role: role}
	if err := r.signer.signer.ask(ctx, request, &made); err != nil {
		return tuf.Key{}, err
	}
	if _, err := made.Key.Public(); err != nil {
		return tuf.Key{}, fmt.Errorf("the signer %s has no good %s key: %w", r.signer.signer.ref.function, role, err)
	}
	return made.Key, nil
}

// lock asks for the passphrases of the private keys that are new here, and
// returns what stores them.
func (r *rotation) lock() (store func() error, err error) {
	var all []pair
	for _, t := range r.turns {
		for _, p := range t.store {
			if !r.held(p.id) {
				all = append(all, p)
			}
		}
	}
	for i := range all {
		if r.o.newSecret.none && i > 0 {
			break // it was warned of once
		}
		passphrase, err := r.app.choosePassphrase(r.o.newSecret, func() ([]byte, error) { return r.app.newPassphrase(all[i].role) })
		if err != nil {
			return nil, err
		}
		all[i].passphrase = passphrase
	}
	return func() error {
		for _, p := range all {
			if _, err := r.app.storeKey(p.signer, p.role, r.c.Name(), p.passphrase); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
