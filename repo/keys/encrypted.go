package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"golang.org/x/crypto/scrypt"
)

func decrypt(b *pem.Block, passphrase []byte) ([]byte, error) {
	switch b.Type {
	case typeSigstore, typeCosign:
		return decryptSigstore(b.Bytes, passphrase)
	case typeEncrypted:
		return decryptPKCS8(b.Bytes, passphrase)
	}
	return decryptLegacy(b, passphrase)
}

// decryptSigstore relies on the library to take no scrypt parameters but the
// three sets that it writes itself, up to 128 MiB.
func decryptSigstore(data, passphrase []byte) ([]byte, error) {
	der, err := encrypted.Decrypt(data, passphrase)
	if err != nil && err.Error() == "encrypted: decryption failed" { // it has no name
		return nil, ErrPassphrase
	}
	return der, err
}

// PBES2 (RFC 8018, section 6.2) is read here: the libraries for it panic on
// damaged parameters, bound no cost, and know fewer hashes than OpenSSL writes.

// What a file may ask for. OpenSSL's default is 2,048 iterations, and 16 MiB
// of scrypt (N·r·p = 2^17).
const (
	maxIterations = 10_000_000
	maxScrypt     = 1 << 21 // of N·r·p; 128 bytes each
)

type encryptedPrivateKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParams struct {
	Salt      []byte
	N, R, P   int
	KeyLength int `asn1:"optional"`
}

const (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
	oidScrypt = "1.3.6.1.4.1.11591.4.11"
)

type blockCipher struct {
	keyLen int
	open   func(key []byte) (cipher.Block, error)
}

// ciphers is by object identifier; all in CBC mode.
var ciphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// prfs is by object identifier; without one it is HMAC with SHA-1.
var prfs = map[string]func() hash.Hash{
	"":                    sha1.New,
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

// decryptPKCS8 returns the PKCS#8 key in an encrypted one.
func decryptPKCS8(der, passphrase []byte) ([]byte, error) {
	var outer encryptedPrivateKey
	if err := unmarshal(der, &outer); err != nil {
		return nil, err
	}
	if oid := outer.Algorithm.Algorithm.String(); oid != oidPBES2 {
		return nil, fmt.Errorf("encrypted by an outdated method (%s): convert it with openssl pkcs8 -topk8 -v2 aes256", oid)
	}
	var params pbes2
	if err := unmarshal(outer.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, err
	}
	c, ok := ciphers[params.Cipher.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("unknown cipher %s", params.Cipher.Algorithm)
	}
	var iv []byte
	if err := unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	key, err := derive(params.KDF, passphrase, c.keyLen)
	if err != nil {
		return nil, err
	}
	block, err := c.open(key)
	if err != nil {
		return nil, err
	}
	return decryptCBC(block, iv, outer.Data)
}

// derive makes the key of a cipher from a passphrase.
func derive(kdf pkix.AlgorithmIdentifier, passphrase []byte, keyLen int) ([]byte, error) {
	switch oid := kdf.Algorithm.String(); oid {
	case oidPBKDF2:
		return derivePBKDF2(kdf.Parameters.FullBytes, passphrase, keyLen)
	case oidScrypt:
		return deriveScrypt(kdf.Parameters.FullBytes, passphrase, keyLen)
	default:
		return nil, fmt.Errorf("unknown key derivation %s", oid)
	}
}

func derivePBKDF2(der, passphrase []byte, keyLen int) ([]byte, error) {
	var p pbkdf2Params
	if err := unmarshal(der, &p); err != nil {
		return nil, err
	}
	prf, ok := prfs[p.PRF.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("unknown hash %s", p.PRF.Algorithm)
	}
	if p.Iterations < 1 || p.Iterations > maxIterations {
		return nil, fmt.Errorf("%d iterations of PBKDF2, at most %d allowed", p.Iterations, maxIterations)
	}
	return pbkdf2.Key(prf, string(passphrase), p.Salt, p.Iterations, keyLen)
}

func deriveScrypt(der, passphrase []byte, keyLen int) ([]byte, error) {
	var p scryptParams
	if err := unmarshal(der, &p); err != nil {
		return nil, err
	}
	cost := 1
	for _, factor := range []int{p.N, p.R, p.P} {
		if factor < 1 || factor > maxScrypt/cost {
			return nil, fmt.Errorf("scrypt with N=%d r=%d p=%d, at most 256 MiB allowed", p.N, p.R, p.P)
		}
		cost *= factor
	}
	return scrypt.Key(passphrase, p.Salt, p.N, p.R, p.P, keyLen)
}

// decryptCBC decrypts data and takes the padding off. Nothing authenticates
// the result, but a wrong key leaves no padding and no DER.
func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("the encrypted key is damaged")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > size {
		return nil, ErrPassphrase
	}
	return wellFormed(plain[:len(plain)-pad])
}

// wellFormed returns der if it is one ASN.1 sequence, as every private key is:
// otherwise the passphrase that it was decrypted with was wrong.
func wellFormed(der []byte) ([]byte, error) {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil || len(rest) > 0 || v.Tag != asn1.TagSequence {
		return nil, ErrPassphrase
	}
	return der, nil
}

// unmarshal reads one ASN.1 value.
func unmarshal(der []byte, to any) error {
	rest, err := asn1.Unmarshal(der, to)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes after the end")
	}
	if err != nil {
		return fmt.Errorf("the encrypted key is damaged: %w", err)
	}
	return nil
}
