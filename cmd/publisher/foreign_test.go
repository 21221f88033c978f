package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"publisher/internal/interop"
	"publisher/internal/serve"
	"publisher/storage/dir"
)

// A foreign is a TUF repository in a directory, as go-tuf v2 makes it, with two
// targets, one of them by a delegation.
type foreign struct {
	Spec     string // spec_version
	Listed   bool   // with lengths and hashes of metadata
	SHA512   bool   // beside the sha256 of targets
	Roots    int64
	Plain    bool // no consistent snapshots
	Gone     int64
	Trusted  int64
	BelowURL string

	t       *testing.T
	dir     string
	signer  signature.Signer
	pub     *metadata.Key
	targets map[string][]byte // content by name
}

func (f *foreign) make(t *testing.T) {
	t.Helper()
	f.t, f.dir, f.targets = t, t.TempDir(), map[string][]byte{"tool+1": []byte("tool"), "dir/other": []byte("other")}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	f.ok(err)
	f.signer, err = signature.LoadSigner(key, crypto.SHA256)
	f.ok(err)
	f.pub, err = metadata.KeyFromPublicKey(key.Public())
	f.ok(err)
	later := time.Now().UTC().Truncate(time.Second).Add(300 * 24 * time.Hour)
	for n := int64(1); n <= f.Roots; n++ {
		root := metadata.Root(later)
		root.Signed.Version, root.Signed.SpecVersion, root.Signed.ConsistentSnapshot = n, f.Spec, !f.Plain
		for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
			f.ok(root.Signed.AddKey(f.pub, role))
		}
		signForeign(f, fmt.Sprintf("%d.root.json", n), root)
	}
	child := metadata.Targets(later)
	child.Signed.SpecVersion, child.Signed.Version = f.Spec, 4
	f.list(child, "dir/other")
	top := metadata.Targets(later)
	top.Signed.SpecVersion, top.Signed.Version = f.Spec, 7
	top.Signed.Delegations = &metadata.Delegations{
		Keys:  map[string]*metadata.Key{},
		Roles: []metadata.DelegatedRole{{Name: "Other-People", Threshold: 1, Paths: []string{"dir/*"}}},
	}
	f.ok(top.Signed.AddKey(f.pub, "Other-People"))
	f.list(top, "tool+1")
	snapshot := metadata.Snapshot(later)
	snapshot.Signed.SpecVersion, snapshot.Signed.Version = f.Spec, 5
	snapshot.Signed.Meta = map[string]*metadata.MetaFiles{
		"targets.json":      f.meta(7, signForeign(f, f.slot(7, "targets"), top)),
		"Other-People.json": f.meta(4, signForeign(f, f.slot(4, "Other-People"), child)),
	}
	ts := metadata.Timestamp(time.Now().UTC().Truncate(time.Second).Add(24 * time.Hour))
	ts.Signed.SpecVersion, ts.Signed.Version = f.Spec, 9
	ts.Signed.Meta["snapshot.json"] = f.meta(5, signForeign(f, f.slot(5, "snapshot"), snapshot))
	signForeign(f, "timestamp.json", ts)
	f.ok(os.WriteFile(f.trusted(), f.read(fmt.Sprintf("metadata/%d.root.json", f.Trusted)), 0o600))
	for n := int64(1); n <= f.Gone; n++ {
		f.ok(os.Remove(filepath.Join(f.dir, "metadata", fmt.Sprintf("%d.root.json", n))))
	}
}

func (f *foreign) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *foreign) slot(version int64, role string) string {
	if f.Plain {
		return role + ".json"
	}
	return fmt.Sprintf("%d.%s.json", version, role)
}

// trusted is the file of the root that is trusted, which is not served.
func (f *foreign) trusted() string { return f.dir + ".json" }

func (f *foreign) read(name string) []byte {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(name)))
	f.ok(err)
	return data
}

func (f *foreign) write(name string, data []byte) {
	f.t.Helper()
	file := filepath.Join(f.dir, filepath.FromSlash(name))
	f.ok(os.MkdirAll(filepath.Dir(file), 0o755))
	f.ok(os.WriteFile(file, data, 0o644))
}

// list lists a target, and stores it.
func (f *foreign) list(role *metadata.Metadata[metadata.TargetsType], name string) {
	f.t.Helper()
	content := f.targets[name]
	short, long := sha256.Sum256(content), sha512.Sum512(content)
	info := metadata.TargetFile()
	info.Length, info.Hashes = int64(len(content)), metadata.Hashes{"sha256": short[:]}
	if f.SHA512 {
		info.Hashes["sha512"] = long[:]
	}
	role.Signed.Targets[name] = info
	base, last := path.Split(name)
	if f.Plain {
		f.write("targets/"+name, content)
		return
	}
	for _, sum := range info.Hashes {
		f.write(fmt.Sprintf("targets/%s%s.%s", base, sum, last), content)
	}
}

func (f *foreign) meta(version int64, data []byte) *metadata.MetaFiles {
	m := metadata.MetaFile(version)
	if f.Listed {
		sum := sha256.Sum256(data)
		m.Length, m.Hashes = int64(len(data)), metadata.Hashes{"sha256": sum[:]}
	}
	return m
}

func signForeign[T metadata.Roles](f *foreign, name string, md *metadata.Metadata[T]) []byte {
	f.t.Helper()
	_, err := md.Sign(f.signer)
	f.ok(err)
	data, err := md.ToBytes(true)
	f.ok(err)
	f.write("metadata/"+name, data)
	return data
}

// serve returns the URL of the repository, which knows nothing of our names.
func (f *foreign) serve() string {
	srv := httptest.NewServer(http.StripPrefix(f.BelowURL, http.FileServer(http.Dir(f.dir))))
	f.t.Cleanup(srv.Close)
	return srv.URL + f.BelowURL + "/"
}

// tree is every file below a directory, which need not be there.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := fs.ReadFile(os.DirFS(dir), name)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestMirrorForeign: any TUF repository is mirrored from its URL, as it is; check
// and doctor find nothing wrong with that, and stock clients pull from it.
func TestMirrorForeign(t *testing.T) {
	clients := interop.Clients(t)
	for name, f := range map[string]*foreign{
		"least, at the root of a host": {Spec: "1.0.19", Roots: 1, Trusted: 1},
		"below a path":                 {Spec: "1.0.31", Roots: 3, Trusted: 1, Listed: true, BelowURL: "/Pub/TUF"},
		"first root gone, two hashes":  {Spec: "1.0", Roots: 3, Trusted: 2, Gone: 1, SHA512: true, BelowURL: "/Pub"},
	} {
		t.Run(name, func(t *testing.T) {
			f.make(t)
			work := t.TempDir()
			store := filepath.Join(work, "mirror")
			typed := func(args ...string) string {
				t.Helper()
				out, talk, err := runIn(t, work, args...)
				if err != nil {
					t.Fatalf("publisher %s: %v\n%s%s", strings.Join(args, " "), err, out, talk)
				}
				if gone := bytes.Contains(talk, []byte("no root before 2")); args[0] == "mirror" && gone != (f.Gone > 0) {
					t.Errorf("a warning of roots that are gone: %v\n%s", gone, talk)
				}
				return string(out)
			}
			typed("mirror", f.serve(), "file://"+store, "--root", f.trusted(), "--as", testCollection)
			if diff := cmp.Diff(tree(t, f.dir), tree(t, filepath.Join(store, filepath.FromSlash(testCollection)))); diff != "" {
				t.Errorf("the mirror is another (-source +mirror):\n%s", diff)
			}
			url := serveStore(t, store)
			typed("trust", "add", testCollection, "--root", f.trusted(), "--store", "file://"+store, "--url", url)
			typed("check", testCollection, "--deep")
			if out := typed("doctor", testCollection, "--deep"); !strings.Contains(out, " 0 errors, 0 warnings;") {
				t.Errorf("doctor says:\n%s", out)
			}
			pull := interop.Pull{MetadataURL: url + "/" + testCollection + "/metadata", TargetsURL: url + "/" + testCollection + "/targets", Targets: map[string][]byte{}}
			pull.Root = f.read(fmt.Sprintf("metadata/%d.root.json", f.Trusted))
			for _, client := range clients {
				for target, content := range f.targets {
					if client.SkipDelegations() && strings.Contains(target, "/") {
						continue
					}
					sum := sha256.Sum256(content)
					pull.Targets = map[string][]byte{target: sum[:]}
					if err := client.Pull(t.Context(), pull); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// TestMirrorForeignCut: a server that breaks off in the middle of an answer, and
// gives no other from then on, leaves no mirror, or a whole one; the same command
// goes on.
func TestMirrorForeignCut(t *testing.T) {
	f := &foreign{Spec: "1.0.31", Roots: 2, Trusted: 1, Listed: true}
	f.make(t)
	whole := tree(t, f.dir)
	files := http.FileServer(http.Dir(f.dir))
	var asked, last atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); n >= last.Load() {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
			panic(http.ErrAbortHandler)
		}
		files.ServeHTTP(w, r)
	}))
	defer srv.Close()
	work := t.TempDir()
	for n := int64(1); ; n++ {
		store := filepath.Join(work, fmt.Sprint("mirror", n))
		typed := []string{"mirror", srv.URL, "file://" + store, "--root", f.trusted(), "--as", testCollection}
		asked.Store(0)
		last.Store(n)
		_, talk, err := runIn(t, work, typed...)
		there := tree(t, filepath.Join(store, filepath.FromSlash(testCollection)))
		if _, published := there["metadata/timestamp.json"]; published != (err == nil) {
			t.Errorf("cut at request %d: published %v, %v\n%s", n, published, err, talk)
		}
		last.Store(math.MaxInt64)
		if _, talk, err := runIn(t, work, typed...); err != nil {
			t.Errorf("after a cut at request %d: %v\n%s", n, err, talk)
		}
		if diff := cmp.Diff(whole, tree(t, filepath.Join(store, filepath.FromSlash(testCollection)))); diff != "" {
			t.Errorf("cut at request %d, the mirror is another (-source +mirror):\n%s", n, diff)
		}
		if err == nil {
			if n < 9 {
				t.Errorf("only %d requests were cut", n-1)
			}
			return
		}
	}
}

// serveStore serves a directory as a CDN would.
func serveStore(t *testing.T, path string) string {
	t.Helper()
	s, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(serve.Handler(s))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestMirrorForeignRefused: what cannot be copied while clients read it is refused
// with the reason, and nothing is written.
func TestMirrorForeignRefused(t *testing.T) {
	f := &foreign{Spec: "1.0.31", Roots: 1, Trusted: 1, Plain: true}
	f.make(t)
	work := t.TempDir()
	store := filepath.Join(work, "mirror")
	_, talk, err := runIn(t, work, "mirror", f.serve(), "file://"+store, "--root", f.trusted(), "--as", testCollection)
	if err == nil || !bytes.Contains(talk, []byte("consistent_snapshot is false")) || !bytes.Contains(talk, []byte("hint: ask its publisher")) {
		t.Errorf("%v\n%s", err, talk)
	}
	_, talk, err = runIn(t, work, "mirror", f.serve(), "file://"+store, "--root", f.trusted())
	if err == nil || !bytes.Contains(talk, []byte("hint: add --as NAME")) {
		t.Errorf("without a name: %v\n%s", err, talk)
	}
	if _, err := os.Stat(store); err == nil {
		t.Error("something was written")
	}
}
