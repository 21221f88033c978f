package notary

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/repo/tuf"
)

// A Key is a public key as Notary's metadata has it.
type Key struct {
	ID     string // Notary's: that of the certificate for a key that comes with one
	Type   string // ecdsa, rsa, ed25519, ecdsa-x509 or rsa-x509
	Public crypto.PublicKey

	certificates []*x509.Certificate // the key's own first
}

// CommonName is that of the key's certificate, empty if it has none.
func (k Key) CommonName() string {
	if len(k.certificates) == 0 {
		return ""
	}
	return k.certificates[0].Subject.CommonName
}

// Issued is the key's certificate and those between it and its CA, nil if it has
// none that somebody else has issued.
func (k Key) Issued() []*x509.Certificate {
	if len(k.certificates) == 0 || bytes.Equal(k.certificates[0].RawIssuer, k.certificates[0].RawSubject) {
		return nil
	}
	return k.certificates
}

// TUF is the key as publisher's metadata has it. It fails for a key that some
// TUF client cannot verify with.
func (k Key) TUF() (tuf.Key, error) { return tuf.NewKey(k.Public) }

// Bounds of an RSA modulus, in bits: the lower is Notary's, the upper keeps a
// verification short.
const minRSA, maxRSA = 2048, 16384

// keyID is the hash of the canonical form of a key, in which Notary keeps a
// place for the private half.
func keyID(c keyContent) (string, error) {
	text, err := json.Marshal(map[string]any{
		"keytype": c.Type,
		"keyval":  map[string]any{"private": nil, "public": base64.StdEncoding.EncodeToString(c.Value.Public)},
	})
	if err != nil {
		return "", err
	}
	canonical, err := tuf.Canonical(text)
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), err
}

// newKey reads a key that stands under an ID.
func newKey(id string, c keyContent) (Key, error) {
	k := Key{ID: id, Type: c.Type}
	switch got, err := keyID(c); {
	case err != nil:
		return k, err
	case got != id:
		return k, fmt.Errorf("key %s: its ID is %s", tuf.ShortID(id), tuf.ShortID(got))
	}
	if err := k.parse(c.Value.Public); err != nil {
		return k, fmt.Errorf("key %s: %w", tuf.ShortID(id), err)
	}
	return k, nil
}

func (k *Key) parse(public []byte) (err error) {
	switch k.Type {
	case "ed25519":
		if len(public) != ed25519.PublicKeySize {
			return fmt.Errorf("an ed25519 key of %d bytes", len(public))
		}
		k.Public = ed25519.PublicKey(public)
		return nil
	case "ecdsa", "rsa":
		k.Public, err = x509.ParsePKIXPublicKey(public)
	case "ecdsa-x509", "rsa-x509":
		if k.certificates, err = parseCertificates(public); err == nil {
			k.Public = k.certificates[0].PublicKey
		}
	default:
		return fmt.Errorf("unknown key type %q", k.Type)
	}
	if err != nil {
		return err
	}
	return k.checkType()
}

// checkType: a key must be of the type that it is said to be.
func (k *Key) checkType() error {
	switch pub := k.Public.(type) {
	case *ecdsa.PublicKey:
		if strings.HasPrefix(k.Type, "ecdsa") {
			return nil
		}
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < minRSA || bits > maxRSA {
			return fmt.Errorf("an RSA key of %d bits", bits)
		}
		if strings.HasPrefix(k.Type, "rsa") {
			return nil
		}
	}
	return fmt.Errorf("a %T is said to be of type %q", k.Public, k.Type)
}

const maxCertificates = 10

func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(all) == maxCertificates {
			return nil, fmt.Errorf("not a chain of at most %d certificates", maxCertificates)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, errors.New("no certificate")
	}
	return all, nil
}

// checkRoot reports why Notary would not let the key sign the root of a
// collection: only a certificate that names the collection may. That the
// certificate has expired is told apart: see Expired.
func (k Key) checkRoot(gun string) error {
	if len(k.certificates) == 0 {
		return errors.New("it is not a certificate")
	}
	leaf := k.certificates[0]
	leaves := 0
	for _, cert := range k.certificates {
		if !cert.IsCA {
			leaves++
		}
	}
	name, pattern := strings.CutSuffix(leaf.Subject.CommonName, "*")
	switch {
	case leaf.IsCA || leaves != 1:
		return errors.New("it is not one certificate and those it comes from")
	case pattern && !strings.HasPrefix(gun, strings.TrimRight(name, "*")), !pattern && name != gun:
		return fmt.Errorf("its certificate is for %q", leaf.Subject.CommonName)
	case outdated(leaf.SignatureAlgorithm):
		return fmt.Errorf("its certificate is signed with %s", leaf.SignatureAlgorithm)
	}
	return nil
}

func outdated(a x509.SignatureAlgorithm) bool {
	return a == x509.SHA1WithRSA || a == x509.ECDSAWithSHA1 || a == x509.DSAWithSHA1
}

// notAfter is until when the key's certificate holds; ok is false if it has none.
func (k Key) notAfter() (at time.Time, ok bool) {
	if len(k.certificates) == 0 {
		return at, false
	}
	return k.certificates[0].NotAfter, true
}

// verify reports whether a signature is the key's.
func (k Key) verify(payload []byte, s signature) bool {
	sum := sha256.Sum256(payload)
	switch pub := k.Public.(type) {
	case ed25519.PublicKey:
		return isMethod(s, "eddsa", "ed25519") && ed25519.Verify(pub, payload, s.Sig)
	case *ecdsa.PublicKey:
		return isMethod(s, "ecdsa") && verifyECDSA(pub, sum[:], s.Sig)
	case *rsa.PublicKey:
		if isMethod(s, "rsapkcs1v15") {
			return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], s.Sig) == nil
		}
		return isMethod(s, "rsapss") &&
			rsa.VerifyPSS(pub, crypto.SHA256, sum[:], s.Sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	}
	return false
}

// isMethod compares as Notary does, for which case does not count.
func isMethod(s signature, methods ...string) bool {
	for _, m := range methods {
		if strings.EqualFold(s.Method, m) {
			return true
		}
	}
	return false
}

// verifyECDSA: Notary writes the two numbers one after the other, each as long as
// the curve's.
func verifyECDSA(pub *ecdsa.PublicKey, sum, sig []byte) bool {
	n := (pub.Curve.Params().BitSize + 7) / 8
	if len(sig) != 2*n {
		return false
	}
	return ecdsa.Verify(pub, sum, new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:]))
}

// PrivateID is the ID under which Notary keeps the private half of the key: for
// one that comes with a certificate that of the bare key.
func (k Key) PrivateID() string {
	kind, isCertificate := strings.CutSuffix(k.Type, "-x509")
	if !isCertificate {
		return k.ID
	}
	bare := keyContent{Type: kind}
	var err error
	if bare.Value.Public, err = x509.MarshalPKIXPublicKey(k.Public); err != nil {
		return ""
	}
	id, err := keyID(bare)
	if err != nil {
		return ""
	}
	return id
}
