package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// Notary wrote Ed25519 keys before there was a standard for it (RFC 8410): as
// the public key followed by the private one, which has the public one in it
// again; bare in a PEM block of a type of its own, or in PKCS#8 under another
// object identifier.

const typeNotaryEd25519 = "ED25519 PRIVATE KEY"

var oidNotaryEd25519 = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 15, 1}

var errNotaryEd25519 = errors.New("damaged: the parts of the ed25519 key do not belong together")

// parseNotaryEd25519 reads the 96 bytes, whose three parts must belong together.
func parseNotaryEd25519(raw []byte) (ed25519.PrivateKey, error) {
	if len(raw) != ed25519.PublicKeySize+ed25519.PrivateKeySize {
		return nil, errNotaryEd25519
	}
	public, private := raw[:ed25519.PublicKeySize], raw[ed25519.PublicKeySize:]
	key := ed25519.NewKeyFromSeed(private[:ed25519.SeedSize])
	if !bytes.Equal(key, private) || !bytes.Equal(key[ed25519.SeedSize:], public) {
		return nil, errNotaryEd25519
	}
	return key, nil
}

// notaryPKCS8 returns the 96 bytes in a PKCS#8 key of that kind.
func notaryPKCS8(der []byte) ([]byte, bool) {
	var key struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	rest, err := asn1.Unmarshal(der, &key)
	return key.Key, err == nil && len(rest) == 0 && key.Algorithm.Algorithm.Equal(oidNotaryEd25519)
}
