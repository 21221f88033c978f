package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// later is when the fixture's metadata expires unless a test says otherwise.
var later = time.Now().UTC().Truncate(time.Second).Add(time.Hour)

// A repo is a small TUF repository in a directory, written with go-tuf's metadata types and one key for every role.
type repo struct {
	tb     testing.TB
	dir    string
	signer signature.Signer
	pub    *metadata.Key
	root   []byte
	files  map[string]*metadata.TargetFiles
}

func newRepo(tb testing.TB, key crypto.Signer) *repo {
	tb.Helper()
	pub, err := metadata.KeyFromPublicKey(key.Public())
	r := &repo{tb: tb, dir: tb.TempDir(), signer: signer(tb, key), pub: pub, files: map[string]*metadata.TargetFiles{}}
	r.ok(err)
	root := metadata.Root(later)
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		r.ok(root.Signed.AddKey(pub, role))
	}
	r.root = write(r, "1.root.json", root)
	return r
}

func signer(tb testing.TB, key crypto.Signer) signature.Signer {
	tb.Helper()
	var s signature.Signer
	var err error
	switch k := key.(type) {
	case *rsa.PrivateKey:
		s, err = signature.LoadRSAPSSSigner(k, crypto.SHA256, &rsa.PSSOptions{SaltLength: 32})
	default:
		s, err = signature.LoadSigner(k, crypto.SHA256)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// add stores a target, which the next publish lists.
func (r *repo) add(name string, content io.Reader) {
	r.tb.Helper()
	tmp := filepath.Join(r.dir, "upload")
	f, err := os.Create(tmp)
	r.ok(err)
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), content)
	r.ok(err)
	r.ok(f.Close())
	info := metadata.TargetFile()
	info.Path, info.Length = name, n
	info.Hashes = metadata.Hashes{"sha256": h.Sum(nil)}
	r.files[name] = info
	r.ok(os.MkdirAll(filepath.Dir(r.target(name)), 0o755))
	r.ok(os.Rename(tmp, r.target(name)))
}

// target is the file that clients fetch for the target name.
func (r *repo) target(name string) string {
	dir, base := path.Split(name)
	return filepath.Join(r.dir, "targets", dir, fmt.Sprintf("%s.%s", r.files[name].Hashes["sha256"], base))
}

// publish writes version v of targets, snapshot and timestamp.
func (r *repo) publish(v int64) {
	r.tb.Helper()
	targets := metadata.Targets(later)
	targets.Signed.Version, targets.Signed.Targets = v, r.files
	r.snapshot(v, map[string]*metadata.Metadata[metadata.TargetsType]{"targets": targets})
}

// publishDelegated is publish with all targets in the role "child", which is delegated the pattern.
func (r *repo) publishDelegated(v int64, pattern string) {
	r.tb.Helper()
	r.publishDelegatedBeside(v, pattern)
}

// publishDelegatedBeside is publishDelegated with the pattern delegated to others first, who have published nothing.
func (r *repo) publishDelegatedBeside(v int64, pattern string, others ...string) {
	r.tb.Helper()
	child := metadata.Targets(later)
	child.Signed.Version, child.Signed.Targets = v, r.files
	targets := metadata.Targets(later)
	targets.Signed.Version = v
	targets.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	for _, name := range append(others, "child") {
		d := metadata.DelegatedRole{Name: name, Threshold: 1, Paths: []string{pattern}}
		targets.Signed.Delegations.Roles = append(targets.Signed.Delegations.Roles, d)
		r.ok(targets.Signed.AddKey(r.pub, name))
	}
	r.snapshot(v, map[string]*metadata.Metadata[metadata.TargetsType]{"targets": targets, "child": child})
}

// snapshot writes the roles, and version v of a snapshot and a timestamp over them.
func (r *repo) snapshot(v int64, roles map[string]*metadata.Metadata[metadata.TargetsType]) {
	r.tb.Helper()
	snapshot := metadata.Snapshot(later)
	snapshot.Signed.Version = v
	for name, role := range roles {
		data := write(r, fmt.Sprintf("%d.%s.json", role.Signed.Version, name), role)
		snapshot.Signed.Meta[name+".json"] = metaFile(role.Signed.Version, data)
	}
	write(r, fmt.Sprintf("%d.snapshot.json", v), snapshot)
	r.timestamp(v, v, later)
}

// timestamp writes version v of the timestamp, pointing at the given version of the snapshot.
func (r *repo) timestamp(v, snapshot int64, expires time.Time) {
	r.tb.Helper()
	data, err := os.ReadFile(r.metadata(fmt.Sprintf("%d.snapshot.json", snapshot)))
	r.ok(err)
	ts := metadata.Timestamp(expires)
	ts.Signed.Version = v
	ts.Signed.Meta["snapshot.json"] = metaFile(snapshot, data)
	write(r, "timestamp.json", ts)
}

func (r *repo) metadata(name string) string { return filepath.Join(r.dir, "metadata", name) }

// write signs md and stores it under name.
func write[T metadata.Roles](r *repo, name string, md *metadata.Metadata[T]) []byte {
	r.tb.Helper()
	_, err := md.Sign(r.signer)
	r.ok(err)
	data, err := md.ToBytes(false)
	r.ok(err)
	r.put(name, data)
	return data
}

func (r *repo) put(name string, data []byte) {
	r.tb.Helper()
	r.ok(os.MkdirAll(filepath.Join(r.dir, "metadata"), 0o755))
	r.ok(os.WriteFile(r.metadata(name), data, 0o644))
}

func (r *repo) ok(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

func metaFile(v int64, data []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(data)
	m := metadata.MetaFile(v)
	m.Length, m.Hashes = int64(len(data)), metadata.Hashes{"sha256": sum[:]}
	return m
}

func (r *repo) handler() http.Handler { return http.FileServer(http.Dir(r.dir)) }

// serve returns a Pull of everything the repository holds.
func (r *repo) serve() Pull {
	srv := httptest.NewServer(r.handler())
	r.tb.Cleanup(srv.Close)
	return r.pull(srv.URL)
}

func (r *repo) pull(url string) Pull {
	p := Pull{MetadataURL: url + "/metadata", TargetsURL: url + "/targets", Root: r.root, Targets: map[string][]byte{}}
	for name, info := range r.files {
		p.Targets[name] = info.Hashes["sha256"]
	}
	return p
}

func edKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func ecKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func rsaKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
