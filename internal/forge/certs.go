package forge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	"publisher/repo/tuf"
)

// A CA issues certificates for root keys.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a CA that is valid for a day around now.
func NewCA(t testing.TB, now time.Time) *CA {
	return (&CA{}).Below(t, now)
}

// Below makes another CA, for which this one vouches.
func (ca *CA) Below(t testing.TB, now time.Time) *CA {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := certificate("some CA", now)
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	return &CA{ca.issue(t, template, &key.PublicKey, key), key}
}

// Issue makes a certificate for a key, made out to name, after a change that a
// test makes.
func (ca *CA) Issue(t testing.TB, key tuf.Key, name string, now time.Time, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := certificate(name, now)
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	if change != nil {
		change(template)
	}
	return ca.issue(t, template, must(key.Public()), nil)
}

// issue signs with the CA's key, or, for a CA that does not exist yet, with self.
func (ca *CA) issue(t testing.TB, template *x509.Certificate, public any, self *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	parent, signer := ca.Cert, ca.key
	if parent == nil {
		parent, signer = template, self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return must(x509.ParseCertificate(der))
}

func certificate(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-12 * time.Hour), NotAfter: now.Add(12 * time.Hour), BasicConstraintsValid: true,
	}
}

// URI makes a certificate out to a URI as well.
func URI(text string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.URIs = []*url.URL{must(url.Parse(text))} }
}

// Certs is what is refused of the certificates of root keys.
func Certs() []Row {
	return []Row{
		{"certificate that is none", func(f *Forge) { f.certify("root", func(tuf.Key) string { return "garbage" }) }, "no certificate"},
		{"certificate that is garbage", func(f *Forge) {
			f.certify("root", func(tuf.Key) string { return "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" })
		}, "certificate 1:"},
		{"certificate of a key of targets", func(f *Forge) {
			f.certify("targets", func(key tuf.Key) string { return f.certificate(key, Collection) })
		}, "which is not a root key"},
		{"certificate of another key", func(f *Forge) {
			other := Ring{}.Generate(f.T)
			f.certify("root", func(tuf.Key) string { return f.certificate(other, Collection) })
		}, "it is of key"},
		{"certificate of a key of an unknown kind", func(f *Forge) {
			p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
			cert := (&CA{}).issue(f.T, certificate(Collection, time.Now()), &p224.PublicKey, p224)
			f.certify("root", func(tuf.Key) string { return encode("CERTIFICATE", cert.Raw) })
		}, "certificate of key"},
		{"certificate made out to another collection", func(f *Forge) {
			f.certify("root", func(key tuf.Key) string { return f.certificate(key, Collection+"/other") })
		}, "it is made out to"},
		{"certificate beside something else", func(f *Forge) {
			f.certify("root", func(key tuf.Key) string { return f.certificate(key, Collection) + "x" })
		}, "something beside the certificates"},
		{"certificates of a whole crowd", func(f *Forge) {
			f.certify("root", func(key tuf.Key) (text string) {
				for range 11 {
					text += f.certificate(key, Collection)
				}
				return text
			})
		}, "more than 10 certificates"},
	}
}

// certify puts what text makes of a role's first key into the new root.
func (f *Forge) certify(role string, text func(tuf.Key) string) {
	id := f.old(role)[0]
	set("root", Object{id: text(f.View().Root().Signed.Keys[id])}, "x-publisher", "certs")(f)
}

// PEM is a certificate in PEM form.
func PEM(cert *x509.Certificate) string { return encode("CERTIFICATE", cert.Raw) }

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (f *Forge) certificate(key tuf.Key, name string) string {
	return encode("CERTIFICATE", NewCA(f.T, time.Now()).Issue(f.T, key, name, time.Now(), nil).Raw)
}
