package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/repo/tuf"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A sim is a repository that makes its metadata when it is asked for it, and a
// client of it. Tests change its fields between two runs of the client.
type sim struct {
	t   *testing.T
	now time.Time

	root      tuf.Root
	roots     [][]byte // as published, from version 1
	timestamp tuf.Timestamp
	snapshot  tuf.Snapshot
	targets   map[string]*tuf.Targets
	signers   map[string][]signer // by role
	contents  map[string]string   // of targets, by name
	detailed  bool                // length and hashes stand in snapshot and timestamp

	// spoil changes what is served under a name.
	spoil map[string]func([]byte) []byte

	requests []string
	url      string
	dir      string
}

func newSim(t *testing.T) *sim {
	s := &sim{
		t: t, now: start, targets: map[string]*tuf.Targets{}, signers: map[string][]signer{},
		contents: map[string]string{}, spoil: map[string]func([]byte) []byte{}, dir: t.TempDir(),
	}
	s.root.ConsistentSnapshot = true
	s.root.Keys, s.root.Roles = map[string]tuf.Key{}, map[string]tuf.Role{}
	for _, role := range tuf.TopLevel {
		s.rotate(role, newEd25519(t))
	}
	s.timestamp.Meta, s.snapshot.Meta = map[string]tuf.MetaFile{}, map[string]tuf.MetaFile{}
	s.targets[tuf.RoleTargets] = &tuf.Targets{Targets: map[string]tuf.TargetFile{}}
	for _, head := range []*tuf.Common{s.root.Head(), s.timestamp.Head(), s.snapshot.Head(), s.targets[tuf.RoleTargets].Head()} {
		head.Version, head.Expires = 1, start.AddDate(0, 0, 30)
	}
	s.publishRoot()
	s.list()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.client("init", s.write("initial.json", s.roots[0])).succeeds()
	return s
}

// rotate gives a top-level role other keys, all of which must sign.
func (s *sim) rotate(role string, signers ...signer) {
	s.signers[role] = signers
	r := tuf.Role{Threshold: int64(len(signers))}
	for _, k := range signers {
		s.root.Keys[k.id] = k.key
		r.KeyIDs = append(r.KeyIDs, k.id)
	}
	s.root.Roles[role] = r
}

// publishRoot signs the root with its own keys, and others that the test names.
func (s *sim) publishRoot(others ...signer) {
	s.roots = append(s.roots, sealed(s.t, s.root, append(others, s.signers[tuf.RoleRoot]...)...))
}

// bumpRoot publishes the next root, signed by the old and the new keys.
func (s *sim) bumpRoot(old ...signer) {
	s.root.Version++
	s.publishRoot(old...)
}

// list sets what the snapshot says of the targets roles and the timestamp of
// the snapshot.
func (s *sim) list() {
	for role, t := range s.targets {
		s.snapshot.Meta[role+".json"] = s.meta(t.Version, func() []byte { return sealed(s.t, *t, s.signers[role]...) })
	}
	s.listSnapshot()
}

func (s *sim) listSnapshot() {
	s.timestamp.Meta["snapshot.json"] = s.meta(s.snapshot.Version, func() []byte {
		return sealed(s.t, s.snapshot, s.signers[tuf.RoleSnapshot]...)
	})
}

func (s *sim) meta(version int64, data func() []byte) tuf.MetaFile {
	if !s.detailed {
		return tuf.MetaFile{Version: version}
	}
	b := data()
	return tuf.MetaFile{Version: version, Length: int64(len(b)), Hashes: map[string]string{"sha256": hash(string(b))}}
}

// publish lists everything under new versions of snapshot and timestamp.
func (s *sim) publish() {
	s.snapshot.Version++
	s.timestamp.Version++
	s.list()
}

// add lists a target in a role.
func (s *sim) add(role, name, content string) {
	s.contents[name] = content
	s.targets[role].Targets[name] = tuf.TargetFile{Length: int64(len(content)), Hashes: map[string]string{"sha256": hash(content)}}
}

// delegate adds a role below parent, with a key of its own.
func (s *sim) delegate(parent string, d tuf.DelegatedRole) {
	if s.targets[d.Name] == nil {
		s.signers[d.Name] = []signer{newEd25519(s.t)}
		s.targets[d.Name] = &tuf.Targets{Targets: map[string]tuf.TargetFile{}}
		s.targets[d.Name].Version, s.targets[d.Name].Expires = 1, start.AddDate(0, 0, 30)
	}
	p := s.delegations(parent)
	d.Threshold = int64(len(s.signers[d.Name]))
	for _, k := range s.signers[d.Name] {
		p.Keys[k.id] = k.key
		d.KeyIDs = append(d.KeyIDs, k.id)
	}
	p.Roles = append(p.Roles, d)
}

func (s *sim) delegations(parent string) *tuf.Delegations {
	p := s.targets[parent]
	if p.Delegations == nil {
		p.Delegations = &tuf.Delegations{Keys: map[string]tuf.Key{}}
	}
	return p.Delegations
}

// ServeHTTP serves metadata under /m/ and targets under /t/.
func (s *sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, isMetadata := strings.CutPrefix(r.URL.EscapedPath(), "/m/")
	if !isMetadata {
		rest = strings.TrimPrefix(rest, "/t/")
	}
	name, err := url.PathUnescape(rest)
	s.requests = append(s.requests, rest)
	var data []byte
	if err == nil && isMetadata {
		data = s.metadata(name)
	} else if err == nil {
		data = s.content(name)
	}
	if f := s.spoil[name]; f != nil {
		data = f(data)
	}
	if data == nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data)
}

func (s *sim) metadata(name string) []byte {
	if name == "timestamp.json" {
		return sealed(s.t, s.timestamp, s.signers[tuf.RoleTimestamp]...)
	}
	role, version, numbered := repo.ParseSlot(name)
	if !numbered && !s.root.ConsistentSnapshot {
		role = strings.TrimSuffix(name, ".json")
	} else if !numbered || role != tuf.RoleRoot && !s.root.ConsistentSnapshot {
		return nil
	}
	switch t := s.targets[role]; {
	case role == tuf.RoleRoot && version >= 1 && version <= int64(len(s.roots)):
		return s.roots[version-1]
	case role == tuf.RoleSnapshot && (!numbered || version == s.timestamp.Meta["snapshot.json"].Version):
		return sealed(s.t, s.snapshot, s.signers[role]...)
	case t != nil && (!numbered || version == s.snapshot.Meta[role+".json"].Version):
		return sealed(s.t, *t, s.signers[role]...)
	}
	return nil
}

func (s *sim) content(name string) []byte {
	if s.root.ConsistentSnapshot {
		dir, base := path.Split(name)
		prefix, rest, _ := strings.Cut(base, ".")
		name = dir + rest
		if prefix != hash(s.contents[name]) {
			return nil
		}
	}
	content, ok := s.contents[name]
	if !ok {
		return nil
	}
	return append([]byte{}, content...)
}

// outcome is what a run of the client came to.
type outcome struct {
	t   *testing.T
	err error
}

func (o outcome) succeeds() {
	o.t.Helper()
	if o.err != nil {
		o.t.Fatal(o.err)
	}
}

func (o outcome) fails(with string) {
	o.t.Helper()
	if o.err == nil || !strings.Contains(o.err.Error(), with) {
		o.t.Fatalf("got %v, want an error with %q", o.err, with)
	}
}

func (s *sim) client(args ...string) outcome {
	s.requests = nil
	args = append([]string{
		"--metadata-dir", filepath.Join(s.dir, "metadata"), "--metadata-url", s.url + "/m",
		"--target-base-url", s.url + "/t/", "--target-dir", s.dir, "--now", fmt.Sprint(s.now.Unix()),
	}, args...)
	return outcome{s.t, run(s.t.Context(), args)}
}

func (s *sim) refresh() outcome { return s.client("refresh") }

func (s *sim) download(name string) outcome { return s.client("--target-name", name, "download") }

func (s *sim) write(name string, data []byte) string {
	file := filepath.Join(s.dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// trusts checks which metadata the client has, as "root 1" and so on.
func (s *sim) trusts(want ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "metadata"))
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(s.dir, "metadata", e.Name()))
		if err != nil {
			s.t.Fatal(err)
		}
		var f struct {
			Signed tuf.Common `json:"signed"`
		}
		if err := json.Unmarshal(data, &f); err != nil {
			s.t.Fatal(err)
		}
		got = append(got, fmt.Sprint(strings.TrimSuffix(e.Name(), ".json"), " ", f.Signed.Version))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("trusted metadata:\n%s", diff)
	}
}

// asked checks which files the last run of the client asked for.
func (s *sim) asked(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.requests); diff != "" {
		s.t.Errorf("requests:\n%s", diff)
	}
}

// sealed is signed with signatures, as a file.
func sealed[T tuf.Content](t *testing.T, signed T, signers ...signer) []byte {
	t.Helper()
	f, err := tuf.New(signed)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AddSignature(strings.Repeat("0", 64), []byte("of an unknown key")); err != nil {
		t.Fatal(err)
	}
	for _, k := range signers {
		if err := f.AddSignature(k.id, k.sign(t, f.Payload())); err != nil {
			t.Fatal(err)
		}
	}
	return f.Bytes()
}

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// A signer is a key pair under a key ID.
type signer struct {
	id      string
	key     tuf.Key
	private crypto.Signer
}

func (k signer) sign(t *testing.T, payload []byte) []byte {
	t.Helper()
	digest, opts := payload, crypto.SignerOpts(crypto.Hash(0))
	switch k.key.Scheme {
	case tuf.SchemeECDSA:
		sum := sha256.Sum256(payload)
		digest, opts = sum[:], crypto.SHA256
	case "ecdsa-sha2-nistp384":
		sum := sha512.Sum384(payload)
		digest, opts = sum[:], crypto.SHA384
	case tuf.SchemeRSA:
		sum := sha256.Sum256(payload)
		digest, opts = sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}
	}
	sig, err := k.private.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func newEd25519(t *testing.T) signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return describe(tuf.Key{
		Type: "ed25519", Scheme: "ed25519", Value: tuf.KeyValue{Public: hex.EncodeToString(public)},
	}, private)
}

func newPEM(t *testing.T, keytype, scheme string, private crypto.Signer, err error) signer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return describe(tuf.Key{Type: keytype, Scheme: scheme, Value: tuf.KeyValue{Public: string(text)}}, private)
}

func newECDSA(t *testing.T, keytype, scheme string, curve elliptic.Curve) signer {
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	return newPEM(t, keytype, scheme, private, err)
}

func newRSA(t *testing.T) signer {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	return newPEM(t, "rsa", "rsassa-pss-sha256", private, err)
}

func describe(key tuf.Key, private crypto.Signer) signer { return signer{key.ID(), key, private} }

// edit changes a file as JSON, its signatures included.
func edit(change func(file map[string]any)) func([]byte) []byte {
	return func(data []byte) []byte {
		file := map[string]any{}
		if err := json.Unmarshal(data, &file); err != nil {
			panic(err)
		}
		change(file)
		data, err := json.Marshal(file)
		if err != nil {
			panic(err)
		}
		return data
	}
}
