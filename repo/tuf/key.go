package tuf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The kinds of keys that are written; every TUF client reads these.
const (
	TypeEd25519 = "ed25519"
	TypeECDSA   = "ecdsa"
	TypeRSA     = "rsa"

	SchemeEd25519 = "ed25519"
	SchemeECDSA   = "ecdsa-sha2-nistp256"
	SchemeRSA     = "rsassa-pss-sha256"
)

// The smallest and the largest RSA modulus that is taken, in bits. Larger ones
// only cost those who verify.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// Key is a public key as metadata carries it; TUF specification, section 4.2.
type Key struct {
	Type    string         `json:"keytype"`
	Scheme  string         `json:"scheme"`
	Value   KeyValue       `json:"keyval"`
	Unknown jsontext.Value `json:",embed"`
}

// KeyValue is the key itself: hex for Ed25519, PEM otherwise.
type KeyValue struct {
	Public  string         `json:"public"`
	Unknown jsontext.Value `json:",embed"`
}

// NewKey describes a public key: Ed25519, ECDSA on P-256, or RSA of at least
// MinRSABits. Others are refused, because some clients cannot read them.
func NewKey(pub crypto.PublicKey) (Key, error) {
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		return Key{Type: TypeEd25519, Scheme: SchemeEd25519, Value: KeyValue{Public: hex.EncodeToString(pub)}}, nil
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("ECDSA key on %s: only P-256 is read by every client", pub.Curve.Params().Name)
		}
		return pemKey(TypeECDSA, SchemeECDSA, pub)
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return Key{}, fmt.Errorf("RSA key of %d bits: at least %d are needed, at most %d are taken", bits, MinRSABits, MaxRSABits)
		}
		return pemKey(TypeRSA, SchemeRSA, pub)
	}
	return Key{}, fmt.Errorf("a %T is not an ed25519, ecdsa or rsa key", pub)
}

func pemKey(keytype, scheme string, pub any) (Key, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Key{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return Key{Type: keytype, Scheme: scheme, Value: KeyValue{Public: string(text)}}, nil
}

// ID is the key ID: the SHA-256 of the key's canonical form, in hex.
func (k Key) ID() string {
	text, err := json.Marshal(k)
	if err != nil {
		panic(fmt.Sprintf("tuf: encode key: %v", err)) // strings only: cannot fail
	}
	canonical, err := Canonical(text)
	if err != nil {
		panic(fmt.Sprintf("tuf: encode key: %v", err))
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// Public parses the key. It fails if keytype, scheme and value do not belong
// together.
func (k Key) Public() (crypto.PublicKey, error) {
	switch k.Type {
	case TypeEd25519:
		raw, err := hex.DecodeString(k.Value.Public)
		if err != nil || len(raw) != ed25519.PublicKeySize || k.Scheme != SchemeEd25519 {
			return nil, fmt.Errorf("not an ed25519 key: %d characters, scheme %q", len(k.Value.Public), k.Scheme)
		}
		return ed25519.PublicKey(raw), nil
	case TypeECDSA, SchemeECDSA, "ecdsa-sha2-nistp384":
		return k.parse(func(pub any) bool {
			key, ok := pub.(*ecdsa.PublicKey)
			return ok && k.Scheme == ecdsaScheme(key)
		})
	case TypeRSA:
		return k.parse(func(pub any) bool {
			key, ok := pub.(*rsa.PublicKey)
			return ok && k.Scheme == SchemeRSA && key.N.BitLen() >= MinRSABits && key.N.BitLen() <= MaxRSABits
		})
	}
	return nil, fmt.Errorf("unknown key type %q", k.Type)
}

func ecdsaScheme(pub *ecdsa.PublicKey) string {
	switch pub.Curve {
	case elliptic.P256():
		return SchemeECDSA
	case elliptic.P384():
		return "ecdsa-sha2-nistp384"
	}
	return ""
}

func (k Key) parse(fits func(any) bool) (crypto.PublicKey, error) {
	block, rest := pem.Decode([]byte(k.Value.Public))
	if block == nil || len(rest) > 0 {
		return nil, errors.New("the public key is not one PEM block")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	if !fits(pub) {
		return nil, fmt.Errorf("a %T does not fit keytype %q and scheme %q", pub, k.Type, k.Scheme)
	}
	return pub, nil
}

// fingerprint is the same for one key under two descriptions.
func (k Key) fingerprint() string {
	pub, err := k.Public()
	if err != nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	return string(der)
}

var errSignature = errors.New("the signature does not verify")

// Verify checks a signature over payload. RSA salts may have any length unless
// exact, which wants the length of the hash, as some clients do.
func (k Key) Verify(payload, sig []byte, exact bool) error {
	pub, err := k.Public()
	if err != nil {
		return err
	}
	ok := false
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, payload, sig)
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(pub, digest(pub, payload), sig)
	case *rsa.PublicKey:
		salt := rsa.PSSSaltLengthAuto
		if exact {
			salt = rsa.PSSSaltLengthEqualsHash
		}
		sum := sha256.Sum256(payload)
		ok = rsa.VerifyPSS(pub, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: salt}) == nil
	}
	if !ok {
		return errSignature
	}
	return nil
}

func digest(pub *ecdsa.PublicKey, payload []byte) []byte {
	if pub.Curve == elliptic.P384() {
		sum := sha512.Sum384(payload)
		return sum[:]
	}
	sum := sha256.Sum256(payload)
	return sum[:]
}

// ShortID is a key ID, or another hash, as people read it.
func ShortID(id string) string { return id[:min(12, len(id))] }
