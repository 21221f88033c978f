package notary_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/interop"
	"publisher/internal/notary"
	"publisher/repo/keys"
	"publisher/storage"
	"publisher/storage/web"
)

const gun = "docker.io/library/alpine"

// A scene is one collection that the real Notary has made.
type scene struct {
	user *interop.NotaryUser
	url  string
	dir  string // for files
}

func newScene(t *testing.T) *scene {
	t.Helper()
	n := interop.InstallNotary(t)
	s := &scene{url: n.Serve(t), dir: t.TempDir()}
	s.user = n.User(t, s.url, t.TempDir())
	return s
}

// alpine has two root rotations, delegations two deep, and custom data.
func alpine(t *testing.T) *scene {
	s := newScene(t)
	run := s.user.Run
	run("init", gun, "-p")
	run("add", gun, "v1", s.file("v1"), "-p")
	run("add", gun, "v1.1", s.file("v1.1"), "--custom", s.json(`{"arch":["arm",64],"note":"ä"}`), "-p")
	run("delegation", "add", gun, "targets/releases", s.delegate("releases"), "--paths", "rel/,v2", "-p")
	run("delegation", "add", gun, "targets/qa", s.delegate("qa"), "--all-paths", "-p")
	run("key", "import", s.path("releases.key"), "-r", "user")
	run("add", gun, "rel/3", s.file("rel3"), "-r", "targets/releases", "-p")
	run("delegation", "add", gun, "targets/releases/ci", s.delegate("ci"), "--paths", "rel/ci/", "-p")
	run("key", "import", s.path("ci.key"), "-r", "user")
	run("add", gun, "rel/ci/4", s.file("rel4"), "-r", "targets/releases/ci", "-p")
	run("key", "rotate", gun, "root")
	run("key", "rotate", gun, "targets")
	run("key", "rotate", gun, "snapshot", "-r")
	run("key", "rotate", gun, "root")
	run("list", gun) // brings what the server has signed into the trust directory
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) write(name string, data []byte) string {
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		panic(err)
	}
	return s.path(name)
}

func (s *scene) file(name string) string { return s.write(name, []byte(name)) }
func (s *scene) json(text string) string { return s.write("custom.json", []byte(text)) }

// delegate makes a key and returns the file of its certificate.
func (s *scene) delegate(name string) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	s.write(name+".key", pemOf("PRIVATE KEY", func() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(key) }))
	return s.write(name+".crt", certificate(key, name))
}

func certificate(key crypto.Signer, name string) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0),
	}
	return pemOf("CERTIFICATE", func() ([]byte, error) {
		return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	})
}

func pemOf(kind string, der func() ([]byte, error)) []byte {
	data, err := der()
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
}

// server is the files of a collection as the server hands them out.
type server struct {
	get  storage.Getter
	path string
}

func (s *scene) server(t *testing.T, gun string) server {
	get, err := web.Open(s.url, &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return server{get, "v2/" + gun + "/_trust/tuf/"}
}

func (s server) Read(ctx context.Context, name string, max int64) ([]byte, error) {
	data, _, err := storage.Read(ctx, s.get, s.path+name+".json", max)
	return data, err
}

// files is a source in memory.
type files map[string][]byte

func (f files) Read(_ context.Context, name string, max int64) ([]byte, error) {
	data, ok := f[name]
	switch {
	case !ok:
		return nil, fs.ErrNotExist
	case int64(len(data)) > max:
		return nil, errors.New("too large")
	}
	return bytes.Clone(data), nil
}

// recorded is a source that keeps what it was asked for.
type recorded struct {
	notary.Source
	kept files
}

func (r recorded) Read(ctx context.Context, name string, max int64) ([]byte, error) {
	data, err := r.Source.Read(ctx, name, max)
	if err == nil {
		r.kept[name] = data
	}
	return data, err
}

func mustRead(t *testing.T, from notary.Source, gun string) *notary.Collection {
	t.Helper()
	c, err := notary.Read(t.Context(), from, gun, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// summary is a collection as a test compares it: names, hashes and paths.
func summary(t *notary.Targets) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		f := t.Files[name]
		lines = append(lines, fmt.Sprintf("%s %s %d %s %s", t.Name, name, f.Length, f.Hashes["sha256"][:8], string(f.Custom)))
	}
	for _, d := range t.Delegations {
		lines = append(lines, fmt.Sprintf("%s %d of %d keys, paths %q: %v", d.Name, d.Threshold, len(d.Keys), d.Paths, d.Reason))
		if d.Content != nil {
			lines = append(lines, summary(d.Content)...)
		}
	}
	return lines
}

// TestRead reads what the real Notary has made, from its server and from its
// trust directory, and then refuses every file of it that was touched.
func TestRead(t *testing.T) {
	s := alpine(t)
	kept := files{}
	c := mustRead(t, recorded{s.server(t, gun), kept}, gun)
	line := func(role, name, content, custom string) string {
		return fmt.Sprintf("%s %s %d %s %s", role, name, len(content), sha256Hex(content)[:8], custom)
	}
	want := []string{
		line("targets", "v1", "v1", ""),
		line("targets", "v1.1", "v1.1", `{"arch":["arm",64],"note":"ä"}`),
		`targets/releases 1 of 1 keys, paths ["rel/" "v2"]: <nil>`,
		line("targets/releases", "rel/3", "rel3", ""),
		`targets/releases/ci 1 of 1 keys, paths ["rel/ci/"]: <nil>`,
		line("targets/releases/ci", "rel/ci/4", "rel4", ""),
		`targets/qa 1 of 1 keys, paths [""]: it was never published`,
	}
	if diff := cmp.Diff(want, summary(c.Targets)); diff != "" {
		t.Error(diff)
	}
	if len(c.Roots) < 3 || c.Roots[0].Version != 1 || c.Roots[0].KeyIDs[0] == c.Roots[len(c.Roots)-1].KeyIDs[0] {
		t.Errorf("roots %v, want a history from version 1 on with other keys at the end", c.Roots)
	}
	if len(c.Expired) > 0 {
		t.Errorf("expired: %v", c.Expired)
	}
	t.Run("directory", func(t *testing.T) { readDir(t, s, c) })
	t.Run("expired", func(t *testing.T) { readExpired(t, kept) })
	t.Run("tampered", func(t *testing.T) { refuseTampered(t, kept) })
}

func readDir(t *testing.T, s *scene, want *notary.Collection) {
	for _, dir := range []string{s.user.Dir, filepath.Join(s.user.Dir, "tuf", gun), filepath.Join(s.user.Dir, "tuf", gun, "metadata")} {
		from, err := notary.OpenDir(dir, gun)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		got := mustRead(t, from, gun)
		if diff := cmp.Diff(summary(want.Targets), summary(got.Targets)); diff != "" {
			t.Errorf("%s: %s", dir, diff)
		}
	}
	if got := notary.GUNs(s.user.Dir); !slices.Equal(got, []string{gun}) {
		t.Errorf("the trust directory has %q", got)
	}
	if _, err := notary.OpenDir(s.user.Dir, "docker.io/library/other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another collection: %v", err)
	}
}

func readExpired(t *testing.T, from files) {
	c, err := notary.Read(t.Context(), from, gun, time.Now().AddDate(20, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, e := range c.Expired {
		what = append(what, strings.Fields(e.What)[0])
	}
	want := []string{"root", "certificate", "timestamp", "snapshot", "targets", "targets/releases", "targets/releases/ci"}
	if diff := cmp.Diff(want, what); diff != "" {
		t.Error(diff)
	}
}

// refuseTampered changes each file in turn.
func refuseTampered(t *testing.T, good files) {
	for _, name := range slices.Sorted(maps.Keys(good)) {
		for what, edit := range map[string]func([]byte) []byte{
			"other version":   func(b []byte) []byte { return replace(b, `"version":`, `"version":1`) },
			"other expiry":    func(b []byte) []byte { return replace(b, `"expires":"20`, `"expires":"21`) },
			"other signature": func(b []byte) []byte { return replace(b, `"sig":"`, `"sig":"AAAA`) },
			"unsigned":        func(b []byte) []byte { return replace(b, `"keyid":"`, `"keyid":"0`) },
			"cut off":         func(b []byte) []byte { return b[:len(b)-1] },
			"duplicate name":  func(b []byte) []byte { return replace(b, `{"signed":{`, `{"signed":{"version":1,`) },
			"more":            func(b []byte) []byte { return append(bytes.Clone(b), '{') },
		} {
			bad := maps.Clone(good)
			bad[name] = edit(good[name])
			_, err := notary.Read(t.Context(), bad, gun, time.Now())
			if e := new(notary.Error); !errors.As(err, &e) {
				t.Errorf("%s, %s: %v, want an *Error", name, what, err)
			}
		}
		gone := maps.Clone(good)
		delete(gone, name)
		if _, err := notary.Read(t.Context(), gone, gun, time.Now()); !strings.HasSuffix(name, ".root") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	mixed := maps.Clone(good)
	mixed["1.root"], mixed["2.root"] = good["2.root"], good["1.root"]
	if _, err := notary.Read(t.Context(), mixed, gun, time.Now()); !errors.As(err, new(*notary.Error)) {
		t.Errorf("roots in another order: %v", err)
	}
	if _, err := notary.Read(t.Context(), good, "docker.io/library/other", time.Now()); err == nil || !strings.Contains(err.Error(), "certificate is for") {
		t.Errorf("under another name: %v", err)
	}
}

func replace(b []byte, old, new string) []byte {
	if !bytes.Contains(b, []byte(old)) {
		panic("no " + old)
	}
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}

// TestReadRSA reads a collection whose root key is RSA, with a certificate that
// its owner brought.
func TestReadRSA(t *testing.T) {
	n := interop.InstallNotary(t)
	s := newScene(t)
	n.WriteKeys(t, s.dir)
	key := s.rootKey(t, "rsa-encrypted.pem")
	s.user.Run("init", gun, "--rootkey", s.path("root.key"), "--rootcert", s.write("root.crt", certificate(key, gun)), "-p")
	c := mustRead(t, s.server(t, gun), gun)
	root := c.Roles["root"]
	if len(root.Keys) != 1 || root.Keys[0].Type != "rsa-x509" || root.Keys[0].CommonName() != gun || !key.Public().(*rsa.PublicKey).Equal(root.Keys[0].Public) {
		t.Errorf("root keys %+v, want that of the certificate", root.Keys)
	}
	if tufKey, err := root.Keys[0].TUF(); err != nil || tufKey.Type != "rsa" {
		t.Errorf("in TUF it is %v, %v", tufKey, err)
	}
}

// rootKey makes root.key of a key file, which must say that it is one.
func (s *scene) rootKey(t *testing.T, name string) crypto.Signer {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	all, err := keys.Decode(text, func(keys.Header) ([]byte, error) { return []byte(interop.NotaryPassphrase), nil })
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	block.Headers = map[string]string{"role": "root"}
	s.write("root.key", pem.EncodeToMemory(block))
	return all[0].Signer
}
