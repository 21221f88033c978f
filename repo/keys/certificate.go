package keys

import (
	"crypto/ecdh"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"publisher/repo/tuf"
)

const typeCertificate = "CERTIFICATE"

// early is how long before its time a certificate is taken: Notary's allowance
// for those who issue one in another time zone.
const early = 24 * time.Hour

// weakSignatures are those that anybody may have forged.
var weakSignatures = []x509.SignatureAlgorithm{
	x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
}

// ParsePublicOrCertificate reads a public key from a file with one PEM block: a
// PUBLIC KEY, or a CERTIFICATE, from which only the key is taken. As Notary did,
// it refuses a certificate that is not valid now or that is signed with SHA-1 or
// MD5; who issued it plays no part. It refuses keys that some TUF clients cannot
// read.
func ParsePublicOrCertificate(data []byte, now time.Time) (tuf.Key, error) {
	blocks, err := split(data)
	if err != nil {
		return tuf.Key{}, err
	}
	if len(blocks) != 1 || blocks[0].Type != typeCertificate {
		return ParsePublic(data)
	}
	cert, err := x509.ParseCertificate(blocks[0].Bytes)
	if err != nil {
		return tuf.Key{}, fmt.Errorf("parse certificate: %w", err)
	}
	if err := checkCertificate(cert, now); err != nil {
		return tuf.Key{}, err
	}
	if _, ok := cert.PublicKey.(*ecdh.PublicKey); ok {
		return tuf.Key{}, errX25519
	}
	return tuf.NewKey(cert.PublicKey)
}

func checkCertificate(cert *x509.Certificate, now time.Time) error {
	switch {
	case cert.NotBefore.After(cert.NotAfter):
		return errors.New("the certificate ends before it begins")
	case now.Add(early).Before(cert.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	case !now.Before(cert.NotAfter):
		return fmt.Errorf("the certificate expired at %s", cert.NotAfter.UTC().Format(time.RFC3339))
	case slices.Contains(weakSignatures, cert.SignatureAlgorithm):
		return fmt.Errorf("the certificate is signed with %s, which can be forged", cert.SignatureAlgorithm)
	}
	return nil
}
