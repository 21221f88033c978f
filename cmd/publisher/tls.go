package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"publisher/internal/config"
)

// tlsConfig is for reading over HTTPS: the CAs that were named and no others,
// else those of the system; and the certificate by which the server knows this
// client, if there is one.
func tlsConfig(layers []layer) (*tls.Config, error) {
	conf := &tls.Config{}
	if file := valueOf(layers, config.TLSCACert).value; file != "" {
		pool, err := certPool(file, "--tlscacert FILE, with certificates in PEM form")
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	cert, err := clientCertificate(valueOf(layers, config.TLSCert).value, valueOf(layers, config.TLSKey).value)
	if cert != nil {
		conf.Certificates = []tls.Certificate{*cert}
	}
	return conf, err
}

// certPool reads the certificates of CAs. The hint is for a file without any.
func certPool(file, hint string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, usage(hint, "no certificate in %s", file)
	}
	return pool, nil
}

// clientCertificate is nil if no file is named. Nobody could type a passphrase
// for every request of a machine, so an encrypted key is refused.
func clientCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case keyFile == "":
		return nil, usage("--tlskey FILE, the private key of the certificate", "--tlscert goes with --tlskey")
	case certFile == "":
		return nil, usage("--tlscert FILE, the certificate of the key", "--tlskey goes with --tlscert")
	}
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read client certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the client certificate's key: %w", err)
	}
	if encryptedPEM(key) {
		return nil, keyError(fmt.Sprintf("openssl pkey -in %s -out FILE, and --tlskey FILE", keyFile), "the key in %s is encrypted", keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, keyError("--tlscert FILE --tlskey FILE, a certificate and its key in PEM form", "client certificate %s with %s: %s", certFile, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
}

// encryptedPEM reports whether there is an encrypted private key in data: of
// PKCS #8, or of the older kind that says so in a header.
func encryptedPEM(data []byte) bool {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return false
		}
		if strings.HasPrefix(b.Type, "ENCRYPTED ") || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
}

// wantsCertificate reports whether a server has refused this client's
// certificate, or that it has none; section 6.2 of RFC 8446. There is no type
// for the alerts of a server. Those of TLS 1.2 call it a failed handshake.
func wantsCertificate(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return false
	}
	text := op.Err.Error()
	return strings.Contains(text, "certificate") || strings.Contains(text, "handshake failure")
}
