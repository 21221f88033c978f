package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A testCA issues certificates of clients.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newTestCA(t *testing.T) *testCA {
	t.Helper()
	ca := &testCA{}
	ca.cert, ca.key = ca.certificate(t, "CA", true)
	return ca
}

// certificate makes one that the CA signs, or the CA's own.
func (ca *testCA) certificate(t *testing.T, name string, isCA bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: isCA, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if ca.cert != nil {
		parent, signer = ca.cert, ca.key
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// client writes a client's certificate and key, and a key that says that it is
// encrypted.
func (ca *testCA) client(t *testing.T, dir string) (certFile, keyFile, encryptedFile string) {
	t.Helper()
	cert, key := ca.certificate(t, "client", false)
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, dir, "client.pem", "CERTIFICATE", cert.Raw),
		writePEM(t, dir, "client.key", "PRIVATE KEY", plain),
		writePEM(t, dir, "encrypted.key", "ENCRYPTED PRIVATE KEY", plain) // its content is not looked at
}

func writePEM(t *testing.T, dir, name, kind string, der []byte) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestClientCertificate: a server that demands a certificate serves who shows
// one from its CA, by flags, environment, configuration or what trust add has
// remembered, and nobody else.
func TestClientCertificate(t *testing.T) {
	store := readable(t)
	dir := workDir(t)
	ca := newTestCA(t)
	server := httptest.NewUnstartedServer(store)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	server.TLS.ClientCAs.AddCert(ca.cert)
	server.StartTLS()
	t.Cleanup(server.Close)
	cert, key, encrypted := ca.client(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	otherCert, otherKey, _ := newTestCA(t).client(t, filepath.Join(dir, "other"))
	caFile := writePEM(t, dir, "ca.pem", "CERTIFICATE", server.Certificate().Raw)
	base := []string{"list", testCollection, "--url", server.URL, "--tlscacert", caFile}

	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"none":                 {nil, exitFailed, "hint: --tlscert FILE --tlskey FILE, with a certificate that this server accepts"},
		"one":                  {[]string{"--tlscert", cert, "--tlskey", key}, exitOK, ""},
		"one of another CA":    {[]string{"--tlscert", otherCert, "--tlskey", otherKey}, exitFailed, "hint: --tlscert FILE --tlskey FILE, with a certificate that this server accepts"},
		"an encrypted key":     {[]string{"--tlscert", cert, "--tlskey", encrypted}, exitKey, "hint: openssl pkey -in " + encrypted},
		"another's key":        {[]string{"--tlscert", cert, "--tlskey", otherKey}, exitKey, "private key does not match"},
		"no key":               {[]string{"--tlscert", cert}, exitUsage, "hint: --tlskey FILE"},
		"no certificate":       {[]string{"--tlskey", key}, exitUsage, "hint: --tlscert FILE"},
		"what is not there":    {[]string{"--tlscert", cert + ".not", "--tlskey", key}, exitNotFound, "read client certificate"},
		"a key that is no key": {[]string{"--tlscert", cert, "--tlskey", caFile}, exitKey, "hint: --tlscert FILE --tlskey FILE"},
	} {
		r := runWith(t, t.Context(), nil, append(base, test.args...)...)
		if r.code != test.code || !strings.Contains(r.err, test.says) || (r.code == exitOK) != strings.Contains(r.out, "install.sh") {
			t.Errorf("%s: exit code %d, want %d with %q: %s%s", name, r.code, test.code, test.says, r.out, r.err)
		}
	}

	t.Run("environment", func(t *testing.T) {
		t.Setenv("PUBLISHER_TLSCERT", cert)
		t.Setenv("PUBLISHER_TLSKEY", key)
		if r := runWith(t, t.Context(), nil, base...); r.code != exitOK {
			t.Error(r.err)
		}
	})
	t.Run("configuration", func(t *testing.T) {
		file := filepath.Join(dir, "config.yaml")
		text := "url: " + server.URL + "\ntlscacert: ca.pem\ntlscert: client.pem\ntlskey: client.key\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		root := filepath.Join(dir, "root.json")
		reader := filepath.Join(dir, "reader")
		for _, args := range [][]string{
			{"trust", "export", testCollection, "-o", root},
			{"trust", "add", testCollection, "--root", root, "-d", reader, "-c", file},
			{"download", testCollection, "install.sh", "-o", "-", "-d", reader, "-c", file},
		} {
			if r := runWith(t, t.Context(), nil, args...); r.code != exitOK {
				t.Fatalf("%q: %s", args, r.err)
			}
		}
	})
	t.Run("remembered", func(t *testing.T) {
		reader := filepath.Join(dir, "remembers")
		add := append([]string{"trust", "add", testCollection, "--tofu", "--tlscert", cert, "--tlskey", key, "-d", reader}, base[2:]...)
		for _, args := range [][]string{add, {"list", testCollection, "-d", reader}} {
			if r := runWith(t, t.Context(), nil, args...); r.code != exitOK {
				t.Fatalf("%q: %s", args, r.err)
			}
		}
	})
}

// TestClientCertificateTLS12: a server may refuse clients over older TLS too, in the
// handshake and not after it.
func TestClientCertificateTLS12(t *testing.T) {
	store := readable(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(store.ServeHTTP))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile := writePEM(t, workDir(t), "ca.pem", "CERTIFICATE", server.Certificate().Raw)
	r := runWith(t, t.Context(), nil, "list", testCollection, "--url", server.URL, "--tlscacert", caFile)
	if r.code != exitFailed || !strings.Contains(r.err, "hint: --tlscert FILE --tlskey FILE") {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
}
