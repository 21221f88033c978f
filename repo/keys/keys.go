// Package keys is the private keys that sign metadata: making them, reading
// and writing their files, and signing with them. It sees bytes and
// passphrases only; where files lie and who is asked is the caller's.
package keys

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo/tuf"
)

// The algorithms that Generate knows.
const (
	Ed25519 = "ed25519" // the default
	ECDSA   = "ecdsa"   // on P-256
	RSA     = "rsa"     // 3072 bits
)

const rsaBits = 3072

// Generate makes a new private key.
func Generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case ECDSA:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("unknown key algorithm %q: one of %s, %s, %s", algorithm, Ed25519, ECDSA, RSA)
}

// Private is a private key with what the headers of its file say of it, as
// they stand there: Notary's role names are not TUF's.
type Private struct {
	Signer     crypto.Signer
	Role       string // empty if not told
	Collection string // Notary's gun header, empty if not told
}

// Public is the key as metadata carries it.
func (p Private) Public() (tuf.Key, error) { return tuf.NewKey(p.Signer.Public()) }

// NewSigner returns a signer whose signatures every TUF client verifies, and
// the key they verify with: Ed25519 over the message, ECDSA P-256 as DER, or
// RSA-PSS with a salt of 32 bytes, the latter two over SHA-256. An RSA signer is
// for one goroutine at a time. It fails for every other kind of key, and for
// keys that are not held in memory.
func NewSigner(s crypto.Signer) (signature.Signer, tuf.Key, error) {
	key, err := tuf.NewKey(s.Public())
	if err != nil {
		return nil, tuf.Key{}, err
	}
	signer, err := newSigner(s)
	return signer, key, err
}

func newSigner(s crypto.Signer) (signature.Signer, error) {
	switch s := s.(type) {
	case ed25519.PrivateKey:
		return signature.LoadED25519Signer(s)
	case *ecdsa.PrivateKey:
		return signature.LoadECDSASigner(s, crypto.SHA256)
	case *rsa.PrivateKey:
		opts := &rsa.PSSOptions{SaltLength: crypto.SHA256.Size(), Hash: crypto.SHA256}
		return signature.LoadRSAPSSSigner(s, crypto.SHA256, opts)
	}
	return nil, fmt.Errorf("a %T is not a key in memory", s)
}

var errX25519 = errors.New("an X25519 key is for key exchange and cannot sign")

// signer returns key as a signer if every TUF client can verify with it.
func signer(key any) (crypto.Signer, error) {
	if _, ok := key.(*ecdh.PrivateKey); ok {
		return nil, errX25519
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	if _, err := tuf.NewKey(s.Public()); err != nil {
		return nil, err
	}
	return s, nil
}

// ParsePublic reads a public key from a file with one PEM block of the type
// PUBLIC KEY. It refuses keys that some TUF clients cannot read.
func ParsePublic(data []byte) (tuf.Key, error) {
	blocks, err := split(data)
	if err != nil {
		return tuf.Key{}, err
	}
	if len(blocks) != 1 || blocks[0].Type != typePublic {
		return tuf.Key{}, fmt.Errorf("not a public key: want one block BEGIN %s, have %s", typePublic, types(blocks))
	}
	pub, err := x509.ParsePKIXPublicKey(blocks[0].Bytes)
	if err != nil {
		return tuf.Key{}, fmt.Errorf("parse %s: %w", typePublic, err)
	}
	if _, ok := pub.(*ecdh.PublicKey); ok {
		return tuf.Key{}, errX25519
	}
	return tuf.NewKey(pub)
}
