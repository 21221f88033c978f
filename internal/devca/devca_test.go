package devca_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"publisher/internal/devca"
)

const day = 24 * time.Hour

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func load(t *testing.T, dir string, now time.Time) tls.Certificate {
	t.Helper()
	cert, err := devca.Load(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func root(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, devca.RootFile))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(data)
	if block == nil || len(rest) > 0 {
		t.Fatalf("%s is not one certificate", devca.RootFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pool(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	p.AddCert(root(t, dir))
	return p
}

// wantValid checks that clients that trust the root accept the certificate now
// and for 30 days more, under each name.
func wantValid(t *testing.T, dir string, cert tls.Certificate, now time.Time) {
	t.Helper()
	for _, at := range []time.Time{now.Add(-time.Minute), now, now.Add(30 * day)} {
		for _, name := range []string{"localhost", "127.0.0.1", "[::1]"} {
			if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool(t, dir), CurrentTime: at, DNSName: name}); err != nil {
				t.Errorf("%s at %v: %v", name, at, err)
			}
		}
	}
}

func TestHandshake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "ca")
	cert := load(t, dir, time.Now())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, dir)}}}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		resp, err := client.Get(strings.Replace(server.URL, "127.0.0.1", host, 1))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

func TestKindOfKeys(t *testing.T) {
	dir := t.TempDir()
	cert := load(t, dir, start)
	for _, c := range []*x509.Certificate{cert.Leaf, root(t, dir)} {
		if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve.Params().BitSize != 256 {
			t.Errorf("%s has a %T", c.Subject, c.PublicKey)
		}
	}
}

// TestRootVouchesForThisMachineOnly: the key of the CA lies about; with it
// nobody can be somebody else.
func TestRootVouchesForThisMachineOnly(t *testing.T) {
	dir := t.TempDir()
	load(t, dir, start)
	ca := root(t, dir)
	if !ca.PermittedDNSDomainsCritical || len(ca.PermittedDNSDomains) != 1 || len(ca.PermittedIPRanges) != 2 || !ca.MaxPathLenZero {
		t.Errorf("constraints: %v %v %v", ca.PermittedDNSDomainsCritical, ca.PermittedDNSDomains, ca.PermittedIPRanges)
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	dir := filepath.Join(t.TempDir(), "ca")
	load(t, dir, start)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(e.Name()) == ".key" {
			keys++
			if info.Mode() != 0o600 {
				t.Errorf("%s: %v", e.Name(), info.Mode())
			}
		}
	}
	if keys != 2 {
		t.Errorf("%d keys", keys)
	}
}

func TestRenewal(t *testing.T) {
	year := 365 * day
	for _, tt := range []struct {
		name               string
		after              time.Duration
		newServer, newRoot bool
	}{
		{"at once", 0, false, false},
		{"31 days left", year - 31*day, false, false},
		{"29 days left", year - 29*day, true, false},
		{"expired", year + day, true, false},
		{"CA has 31 days left", 10*year - 31*day, true, false},
		{"CA has 29 days left", 10*year - 29*day, true, true},
		{"CA expired", 11 * year, true, true},
		{"clock went back", -2 * time.Hour, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			before, rootBefore := load(t, dir, start), root(t, dir)
			now := start.Add(tt.after)
			after := load(t, dir, now)
			if changed := !before.Leaf.Equal(after.Leaf); changed != tt.newServer {
				t.Errorf("new server certificate: %v", changed)
			}
			if changed := !rootBefore.Equal(root(t, dir)); changed != tt.newRoot {
				t.Errorf("new CA: %v", changed)
			}
			wantValid(t, dir, after, now)
		})
	}
}

// TestDamage: whatever is missing or does not fit, the next Load mends.
func TestDamage(t *testing.T) {
	other := t.TempDir()
	load(t, other, start)
	files := []string{devca.RootFile, "root-ca.key", "server.crt", "server.key"}
	damages := map[string]func(file string) error{
		"missing": os.Remove,
		"empty":   func(file string) error { return os.WriteFile(file, nil, 0o600) },
		"of another CA": func(file string) error {
			data, err := os.ReadFile(filepath.Join(other, filepath.Base(file)))
			if err != nil {
				return err
			}
			return os.WriteFile(file, data, 0o600)
		},
	}
	for _, file := range files {
		for what, damage := range damages {
			t.Run(file+" "+what, func(t *testing.T) {
				dir := t.TempDir()
				load(t, dir, start)
				if err := damage(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				cert := load(t, dir, start)
				wantValid(t, dir, cert, start)
				if again := load(t, dir, start); !again.Leaf.Equal(cert.Leaf) {
					t.Error("made new again")
				}
			})
		}
	}
}

func TestRace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	certs := make([]tls.Certificate, 8)
	var wg sync.WaitGroup
	for i := range certs {
		wg.Go(func() {
			var err error
			if certs[i], err = devca.Load(dir, start); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, cert := range certs {
		wantValid(t, dir, cert, start)
	}
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := devca.Load(file, start); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that names the directory", err)
	}
}
