package repo

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"publisher/repo/tuf"
)

// This file binds root keys to X.509 certificates, which TUF does not have, for
// those who trust a CA to say whose a name is. A root carries them beside its
// keys, in x-publisher.certs: a chain for each certified key, its own certificate
// first. A certificate says whose the key is; that the holder of the key means
// this very root is for the key's signature on it to say.

// maxChain is how many certificates there may be for one key.
const maxChain = 10

// nameScheme begins the URI, in a certificate, of a collection whose name is too
// long for a common name, which has 64 characters at most.
const nameScheme = "tuf:"

// ParseChain reads certificates in PEM form, that of the key first. Other blocks
// than certificates are passed over.
func ParseChain(data []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		if chain = append(chain, cert); len(chain) > maxChain {
			return nil, fmt.Errorf("more than %d certificates", maxChain)
		}
	}
	if len(chain) == 0 {
		return nil, errors.New("no certificate")
	}
	return chain, nil
}

// encodeChain is what ParseChain reads.
func encodeChain(chain []*x509.Certificate) string {
	var text strings.Builder
	for _, cert := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	return text.String()
}

// certify puts chains into a root. That each is of one of its root keys, and names
// the collection, is for the check of the root to find out.
func certify(root *tuf.Root, chains [][]*x509.Certificate) error {
	if len(chains) == 0 {
		return nil
	}
	certs := maps.Clone(root.Publisher.Certs)
	if certs == nil {
		certs = map[string]string{}
	}
	for _, chain := range chains {
		key, err := tuf.NewKey(chain[0].PublicKey)
		if err != nil {
			return fmt.Errorf("certificate of %q: %w", chain[0].Subject.CommonName, err)
		}
		certs[key.ID()] = encodeChain(chain)
	}
	root.Publisher.Certs = certs
	return nil
}

// hasCerts reports whether these chains are in a root.
func hasCerts(root *tuf.Root, chains [][]*x509.Certificate) bool {
	return !slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool {
		key, err := tuf.NewKey(chain[0].PublicKey)
		return err != nil || root.Publisher.Certs[key.ID()] != encodeChain(chain)
	})
}

// dropCerts forgets the certificates of keys that are no root keys any more.
func dropCerts(root *tuf.Root) {
	certs := maps.Clone(root.Publisher.Certs)
	maps.DeleteFunc(certs, func(id, _ string) bool {
		return !slices.Contains(root.Roles[tuf.RoleRoot].KeyIDs, id)
	})
	root.Publisher.Certs = certs
}

// checkCerts checks that each certificate in a root is that of one of its root
// keys, and is made out to the collection. Who has issued it is for those to
// judge who pin a CA, and until when it is valid, too.
func checkCerts(root *tuf.Root) error {
	for id, text := range root.Publisher.Certs {
		if !slices.Contains(root.Roles[tuf.RoleRoot].KeyIDs, id) {
			return fmt.Errorf("a certificate for key %s, which is not a root key", tuf.ShortID(id))
		}
		chain, err := certificates(root, id)
		if err != nil {
			return fmt.Errorf("certificate of key %s: %w", tuf.ShortID(id), err)
		}
		if encodeChain(chain) != text {
			return fmt.Errorf("certificate of key %s: there is something beside the certificates", tuf.ShortID(id))
		}
	}
	return nil
}

// certificates is the chain of one root key, whose first certificate is of that
// very key and names the collection.
func certificates(root *tuf.Root, id string) ([]*x509.Certificate, error) {
	chain, err := ParseChain([]byte(root.Publisher.Certs[id]))
	if err != nil {
		return nil, err
	}
	key, err := tuf.NewKey(chain[0].PublicKey)
	if err != nil {
		return nil, err
	}
	if key.ID() != id {
		return nil, fmt.Errorf("it is of key %s", tuf.ShortID(key.ID()))
	}
	return chain, checkCertName(chain[0], root.Publisher.Collection)
}

// checkCertName refuses a certificate that is not made out to a collection: its
// common name, as Notary has it, or one of its URIs, tuf: and the name.
func checkCertName(cert *x509.Certificate, collection string) error {
	if cert.Subject.CommonName == collection {
		return nil
	}
	for _, u := range cert.URIs {
		if u.String() == nameScheme+collection {
			return nil
		}
	}
	return fmt.Errorf("it is made out to %q, not to %s", cert.Subject.CommonName, collection)
}

// certified checks that a root of a collection is signed by one of its root keys
// for which a CA vouches at a time, with a certificate for signing code: one of a
// web server does not do, whose keys lie in many hands.
func certified(root *tuf.File[tuf.Root], collection string, cas *x509.CertPool, now time.Time) error {
	r := &root.Signed
	if r.Publisher.Collection != collection {
		return fmt.Errorf("it does not say that it is of %s", collection)
	}
	signed := root.SignedBy(r.Roles[tuf.RoleRoot].KeyIDs, r.Keys, false)
	err := errors.New("it has no certificate for a key that has signed it")
	for _, id := range signed {
		if r.Publisher.Certs[id] == "" {
			continue
		}
		chain, chainErr := certificates(r, id)
		if chainErr == nil {
			chainErr = verifyChain(chain, cas, now)
		}
		if chainErr == nil {
			return nil
		}
		err = fmt.Errorf("certificate of key %s: %w", tuf.ShortID(id), chainErr)
	}
	return err
}

func verifyChain(chain []*x509.Certificate, cas *x509.CertPool, now time.Time) error {
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: cas, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	return err
}
