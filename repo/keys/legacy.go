package keys

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// The encryption of PEM blocks that came before PKCS#8 (RFC 1423, DEK-Info) is
// deprecated in the standard library for good reasons: one round of MD5 derives
// the key, and nothing tells a wrong passphrase for sure. OpenSSL and Notary
// before 0.6 wrote it, so it is read here to bring such keys in; it is never
// written. The exceptions from the linter's rule are for that.

// legacy reports whether a block is encrypted in that way.
func legacy(b *pem.Block) bool {
	return x509.IsEncryptedPEMBlock(b) //lint:ignore SA1019 see above
}

func decryptLegacy(b *pem.Block, passphrase []byte) ([]byte, error) {
	key, err := x509.DecryptPEMBlock(b, passphrase) //lint:ignore SA1019 see above
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	if b.Type != typeNotaryEd25519 {
		return wellFormed(key)
	}
	if _, err := parseNotaryEd25519(key); err != nil {
		return nil, ErrPassphrase
	}
	return key, nil
}
