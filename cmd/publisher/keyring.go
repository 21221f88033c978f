package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

// keyring signs with the keys of the trust directory. Each is opened when it is
// first needed, and stays open.
type keyring struct {
	app *app

	mu      sync.Mutex
	signers map[string]signature.Signer // by key ID
}

func (a *app) keyring() repo.Keyring {
	return &keyring{app: a, signers: map[string]signature.Signer{}}
}

// Signer fails with repo.ErrNoKey for a key that the trust directory does not
// have, with keys.ErrPassphrase for one that could not be opened.
func (k *keyring) Signer(_ context.Context, role, keyID string) (signature.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.signers[keyID]; ok {
		return s, nil
	}
	held, err := k.app.heldKey(keyID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("%s key %s in %s: %w", shownRole(role), tuf.ShortID(keyID), k.app.trust.Path(), repo.ErrNoKey)
	}
	if err != nil {
		return nil, err
	}
	key, err := k.app.openKey(&held, role)
	if err != nil {
		return nil, err
	}
	signer, _, err := keys.NewSigner(key.Signer)
	if err != nil {
		return nil, err
	}
	k.signers[keyID] = signer
	k.app.debugf("signing %s with key %s", shownRole(role), tuf.ShortID(keyID))
	return signer, nil
}

// openKey opens a key of the trust directory. The role is for those whose file
// tells none.
func (a *app) openKey(held *heldKey, role string) (keys.Private, error) {
	key, err := a.unlockHeld(held, role)
	if err != nil {
		return keys.Private{}, err
	}
	return key, a.warnOfKey(held)
}

func (a *app) unlockHeld(held *heldKey, role string) (keys.Private, error) {
	if held.Role != "" {
		role = held.Role
	}
	h := keys.Header{Role: role, Collection: held.Collection, Encrypted: held.Encrypted}
	key, err := a.decodeKey(held.pem, h, keyOf(role, held.ID, held.Collection), heldKeyHint(held.ID))
	if err != nil {
		return keys.Private{}, err
	}
	if public, err := key.Public(); err != nil || public.ID() != held.ID {
		return keys.Private{}, keyError("publisher key remove "+tuf.ShortID(held.ID)+", and import the right one", "the file of key %s holds another key", tuf.ShortID(held.ID))
	}
	return key, nil
}

// heldHeader is what the file of a key in the trust directory says of it.
func heldHeader(keyID string, data []byte) (keys.Header, error) {
	headers, err := keys.Inspect(data)
	if err == nil && len(headers) != 1 {
		err = fmt.Errorf("%d keys in one file", len(headers))
	}
	if err != nil {
		return keys.Header{}, badKey("key "+tuf.ShortID(keyID), heldKeyHint(keyID), err)
	}
	return headers[0], nil
}

// decodeKey opens the one private key in data. What it is for stands in h, name
// is how people know it, and the hint is for damaged ones.
func (a *app) decodeKey(data []byte, h keys.Header, name, hint string) (key keys.Private, err error) {
	open := func(passphrase []byte) error {
		all, err := keys.Decode(data, func(keys.Header) ([]byte, error) { return passphrase, nil })
		if err != nil {
			return badKey(name, hint, err)
		}
		key = keys.Private{Signer: all[0].Signer, Role: h.Role, Collection: h.Collection}
		return nil
	}
	if h.Encrypted {
		return key, a.unlock(h.Role, name, open)
	}
	return key, open(nil)
}

// badKey is an error about the bytes of a key.
func badKey(name, hint string, err error) error {
	return keyError(hint, "read %s: %w", name, err)
}

const keyFileHint = "give a PEM file with an ed25519, ECDSA P-256 or RSA private key"

// heldKeyHint is for a damaged key of the trust directory.
func heldKeyHint(keyID string) string {
	return fmt.Sprintf("publisher key remove %s, and publisher key import FILE to bring in a good copy", tuf.ShortID(keyID))
}

// warnOfKey warns if more people than the user could sign with the key.
func (a *app) warnOfKey(held *heldKey) error {
	if !held.Encrypted {
		a.warnf("the %s is not encrypted: publisher key passwd %s", held, tuf.ShortID(held.ID))
	}
	insecure, err := a.trust.Keys().Insecure(held.ID)
	if insecure {
		a.warnf("others can read the %s: chmod 600 %s", held, held.Location)
	}
	return err
}

// storeKey puts a key into the trust directory and returns its ID. It is
// encrypted unless the passphrase is empty. A key that is there stays as it is.
func (a *app) storeKey(signer crypto.Signer, role, collection string, passphrase []byte) (id string, err error) {
	id, data, err := encodeKey(keys.Private{Signer: signer, Role: role, Collection: collection}, passphrase)
	if err != nil {
		return "", err
	}
	if err = a.trust.Keys().Add(id, data); errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return id, err
}

// encodeKey is a file of the trust directory: the private key, and the public
// one, which tells what it is without the passphrase.
func encodeKey(key keys.Private, passphrase []byte) (id string, data []byte, err error) {
	public, err := key.Public()
	if err != nil {
		return "", nil, err
	}
	key.Role = shownRole(key.Role)
	if data, err = keys.Encode(key, passphrase); err != nil {
		return "", nil, err
	}
	text, err := publicPEM(public)
	return public.ID(), append(data, text...), err
}

// publicPEM is a public key as keys.ParsePublic reads it.
func publicPEM(key tuf.Key) ([]byte, error) {
	pub, err := key.Public()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicType, Bytes: der}), nil
}

const publicType = "PUBLIC KEY"
