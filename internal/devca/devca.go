// Package devca keeps a certificate authority and a server certificate for
// development on one machine. Its CA can vouch for this machine alone, so that
// who trusts it gives nothing else away.
package devca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"publisher/internal/durable"
)

// RootFile is the name of the CA's certificate, which clients are to trust.
const RootFile = "root-ca.crt"

const (
	rootKey    = "root-ca.key"
	serverFile = "server.crt"
	serverKey  = "server.key"

	day        = 24 * time.Hour
	rootLife   = 10 * 365 * day
	serverLife = 365 * day
	renewal    = 30 * day // what must be left of a certificate's life
)

var (
	hosts     = []string{"localhost"}
	addresses = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
)

// Load returns the certificate of a server on this machine, which is called
// localhost, 127.0.0.1 or ::1, from the files in dir. What is missing, does not
// fit together or has less than 30 days left is made new; RootFile stays the
// same until it is the one to be renewed. Any number of processes may call it.
func Load(dir string, now time.Time) (tls.Certificate, error) {
	cert, err := load(dir, now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("development certificates in %s: %w", dir, err)
	}
	return cert, nil
}

func load(dir string, now time.Time) (_ tls.Certificate, err error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return tls.Certificate{}, err
	}
	lock := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return tls.Certificate{}, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()

	root, err := renewed(dir, RootFile, rootKey, now, usableRoot, newRoot)
	if err != nil {
		return tls.Certificate{}, err
	}
	return renewed(dir, serverFile, serverKey, now,
		func(cert *x509.Certificate, now time.Time) error { return usableServer(root.Leaf, cert, now) },
		func(now time.Time) (tls.Certificate, error) { return newServer(root, now) })
}

// renewed returns the certificate in two files. If it is not usable until well
// after now, that is one from issue, written to the files.
func renewed(dir, certFile, keyFile string, now time.Time,
	usable func(*x509.Certificate, time.Time) error, issue func(time.Time) (tls.Certificate, error),
) (tls.Certificate, error) {
	certFile, keyFile = filepath.Join(dir, certFile), filepath.Join(dir, keyFile)
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil && usable(cert.Leaf, now) == nil && usable(cert.Leaf, now.Add(renewal)) == nil {
		return cert, nil
	}
	if errors.Is(err, os.ErrPermission) {
		return tls.Certificate{}, err
	}
	if cert, err = issue(now); err != nil {
		return tls.Certificate{}, err
	}
	return cert, write(certFile, keyFile, cert)
}

// write writes the key first: a crash in between leaves a pair that does not
// fit, which is made new.
func write(certFile, keyFile string, cert tls.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := durable.WriteFile(keyFile, key, 0o600); err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	return durable.WriteFile(certFile, text, 0o644)
}

func usableRoot(root *x509.Certificate, now time.Time) error {
	if !root.IsCA {
		return errors.New("not a CA")
	}
	_, err := root.Verify(x509.VerifyOptions{Roots: poolOf(root), CurrentTime: now})
	return err
}

func usableServer(root, cert *x509.Certificate, now time.Time) error {
	_, err := cert.Verify(x509.VerifyOptions{Roots: poolOf(root), CurrentTime: now})
	for _, name := range hosts {
		err = errors.Join(err, cert.VerifyHostname(name))
	}
	for _, ip := range addresses {
		err = errors.Join(err, cert.VerifyHostname(ip.String()))
	}
	return err
}

func poolOf(root *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool
}

func newRoot(now time.Time) (tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "publisher development CA"},
		NotAfter:                    now.Add(rootLife),
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         hosts,
	}
	for _, ip := range addresses {
		whole := net.CIDRMask(len(ip)*8, len(ip)*8)
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip, Mask: whole})
	}
	return issue(template, nil, now)
}

func newServer(root tls.Certificate, now time.Time) (tls.Certificate, error) {
	notAfter := now.Add(serverLife)
	if root.Leaf.NotAfter.Before(notAfter) {
		notAfter = root.Leaf.NotAfter
	}
	return issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "publisher development server"},
		NotAfter:    notAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    hosts,
		IPAddresses: addresses,
	}, &root, now)
}

// issue makes a key and has its certificate signed by parent, or by itself.
func issue(template *x509.Certificate, parent *tls.Certificate, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1)) // zero is not allowed
	template.NotBefore = now.Add(-time.Hour)                  // for clocks that are slow
	if parent == nil {
		parent = &tls.Certificate{Leaf: template, PrivateKey: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.Leaf, key.Public(), parent.PrivateKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
