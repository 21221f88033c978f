package forge

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo"
	"publisher/repo/tuf"
)

// A Ring holds private keys by their IDs. It is a repo.Keyring.
type Ring map[string]crypto.Signer

// Generate adds a new key.
func (r Ring) Generate(t testing.TB) tuf.Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := tuf.NewKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	r[key.ID()] = private
	return key
}

// Signer implements repo.Keyring.
func (r Ring) Signer(_ context.Context, _, keyID string) (signature.Signer, error) {
	key, ok := r[keyID]
	if !ok {
		return nil, repo.ErrNoKey
	}
	return signature.LoadSigner(key, crypto.Hash(0))
}

// Sign is a signature by a key that is in the ring.
func (r Ring) Sign(t testing.TB, keyID string, payload []byte) []byte {
	t.Helper()
	signer, err := r.Signer(t.Context(), "", keyID)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.SignMessage(bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// Signed is a file with the signatures of some keys of the ring.
func Signed[T tuf.Content](t testing.TB, ring Ring, content T, keyIDs ...string) *tuf.File[T] {
	t.Helper()
	f, err := tuf.New(content)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range keyIDs {
		if err := f.AddSignature(id, ring.Sign(t, id, f.Payload())); err != nil {
			t.Fatal(err)
		}
	}
	return f
}
