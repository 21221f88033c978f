package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

var (
	// ErrPassphrase reports that a passphrase does not open the key, or that
	// there was none to try.
	ErrPassphrase = errors.New("wrong passphrase")

	// ErrNotPrivateKey reports a file that holds no private key that is read.
	ErrNotPrivateKey = errors.New("not a private key")
)

// The types of PEM blocks that are read.
const (
	typeSigstore  = "ENCRYPTED SIGSTORE PRIVATE KEY"
	typeCosign    = "ENCRYPTED COSIGN PRIVATE KEY"
	typeEncrypted = "ENCRYPTED PRIVATE KEY"
	typePKCS8     = "PRIVATE KEY"
	typeSEC1      = "EC PRIVATE KEY"
	typePKCS1     = "RSA PRIVATE KEY"
	typePublic    = "PUBLIC KEY"
)

// The headers by which Notary says what a key is for.
const (
	headerRole       = "role"
	headerCollection = "gun"
)

// maxBlock is how many bytes one key may have: an RSA key of 16,384 bits has
// 9,500. What is larger would only cost time.
const maxBlock = 16 << 10

// Header is what a key file says of a key without its passphrase.
type Header struct {
	Role       string // empty if not told
	Collection string // empty if not told
	Encrypted  bool
}

// Inspect returns the headers of every private key in a file, in order. It does
// not parse the keys.
func Inspect(data []byte) ([]Header, error) {
	blocks, err := private(data)
	if err != nil {
		return nil, err
	}
	headers := make([]Header, len(blocks))
	for i, b := range blocks {
		headers[i] = header(b)
	}
	return headers, nil
}

func header(b *pem.Block) Header {
	return Header{
		Role:       b.Headers[headerRole],
		Collection: b.Headers[headerCollection],
		Encrypted:  strings.HasPrefix(b.Type, "ENCRYPTED ") || legacy(b),
	}
}

// Encode returns the PEM file of a key. With a passphrase it is of the
// encrypted Sigstore kind: PKCS#8 sealed by a key that scrypt derives (64 MiB
// and about a sixth of a second each time it is opened). Without, it is plain
// PKCS#8, and whoever reads the file has the key.
func Encode(p Private, passphrase []byte) ([]byte, error) {
	block := pem.Block{Type: typePKCS8, Headers: map[string]string{}}
	for name, value := range map[string]string{headerRole: p.Role, headerCollection: p.Collection} {
		if strings.ContainsFunc(value, unicode.IsControl) {
			return nil, fmt.Errorf("encode key: %s %q has a control character", name, value)
		}
		if value != "" {
			block.Headers[name] = value
		}
	}
	var err error
	if block.Bytes, err = x509.MarshalPKCS8PrivateKey(p.Signer); err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	if len(passphrase) > 0 {
		block.Type = typeSigstore
		if block.Bytes, err = encrypted.Encrypt(block.Bytes, passphrase); err != nil {
			return nil, fmt.Errorf("encrypt key: %w", err)
		}
	}
	return pem.EncodeToMemory(&block), nil
}

// Decode reads every private key in a file: of the encrypted Sigstore kind, and
// its older name Cosign; PKCS#8, plain or encrypted with PBES2; SEC 1, PKCS#1
// and Notary's own form of Ed25519, plain or encrypted as OpenSSL used to. It asks passphrase once for
// each encrypted key, and fails with an error wrapping ErrPassphrase if that
// was not it, or ErrNotPrivateKey if there is no private key to read. Keys that
// some TUF clients cannot verify with are refused.
//
// No file makes Decode spend more than 256 MiB or some seconds per key.
func Decode(data []byte, passphrase func(hint Header) ([]byte, error)) ([]Private, error) {
	blocks, err := private(data)
	if err != nil {
		return nil, err
	}
	keys := make([]Private, len(blocks))
	for i, b := range blocks {
		if keys[i], err = decode(b, passphrase); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Type, err)
		}
	}
	return keys, nil
}

func decode(b *pem.Block, passphrase func(Header) ([]byte, error)) (Private, error) {
	h := header(b)
	der := b.Bytes
	if h.Encrypted {
		pass, err := ask(passphrase, h)
		if err != nil {
			return Private{}, err
		}
		if der, err = decrypt(b, pass); err != nil {
			return Private{}, err
		}
	}
	key, err := parse(b.Type, der)
	if err != nil {
		return Private{}, err
	}
	s, err := signer(key)
	return Private{Signer: s, Role: h.Role, Collection: h.Collection}, err
}

func ask(passphrase func(Header) ([]byte, error), h Header) ([]byte, error) {
	if passphrase == nil {
		return nil, fmt.Errorf("%w: the key is encrypted and none was given", ErrPassphrase)
	}
	return passphrase(h)
}

func parse(kind string, der []byte) (key any, err error) {
	switch kind {
	case typeNotaryEd25519:
		key, err = parseNotaryEd25519(der)
	case typeSEC1:
		key, err = x509.ParseECPrivateKey(der)
	case typePKCS1:
		key, err = x509.ParsePKCS1PrivateKey(der)
	default:
		key, err = parsePKCS8(der)
	}
	if err != nil {
		return nil, fmt.Errorf("not an ed25519, ECDSA P-256 or RSA key: %w", err)
	}
	return key, nil
}

func parsePKCS8(der []byte) (any, error) {
	if raw, ok := notaryPKCS8(der); ok {
		return parseNotaryEd25519(raw)
	}
	return x509.ParsePKCS8PrivateKey(der)
}

// private returns the blocks of a file that are private keys, of which there is
// at least one. Public keys, certificates and curve parameters beside them are
// passed over; a private key of a kind that is not read is an error.
func private(data []byte) ([]*pem.Block, error) {
	blocks, err := split(data)
	if err != nil {
		return nil, err
	}
	var keys []*pem.Block
	for _, b := range blocks {
		switch b.Type {
		case typeSigstore, typeCosign, typeEncrypted, typePKCS8, typeSEC1, typePKCS1, typeNotaryEd25519:
			keys = append(keys, b)
		case "OPENSSH PRIVATE KEY":
			return nil, fmt.Errorf("%w that is read: OpenSSH's own format; convert it to PKCS#8", ErrNotPrivateKey)
		default:
			if strings.Contains(b.Type, "PRIVATE KEY") {
				return nil, fmt.Errorf("%w that is read: %s", ErrNotPrivateKey, b.Type)
			}
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the file holds %s", ErrNotPrivateKey, types(blocks))
	}
	return keys, nil
}

// split returns the PEM blocks of a file. A block that is cut off or damaged is
// an error; the PEM reader would pass over it.
func split(data []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	begun := bytes.Count(data, []byte("-----BEGIN "))
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if len(b.Bytes) > maxBlock {
			return nil, fmt.Errorf("%s of %d bytes, at most %d allowed", b.Type, len(b.Bytes), maxBlock)
		}
		blocks = append(blocks, b)
	}
	if len(blocks) < begun {
		return nil, fmt.Errorf("%w: the file is cut off or damaged: %d of %d PEM blocks can be read",
			ErrNotPrivateKey, len(blocks), begun)
	}
	return blocks, nil
}

// types names the types of blocks, for errors.
func types(blocks []*pem.Block) string {
	if len(blocks) == 0 {
		return "no PEM block"
	}
	names := make([]string, len(blocks))
	for i, b := range blocks {
		names[i] = b.Type
	}
	return strings.Join(names, ", ")
}
