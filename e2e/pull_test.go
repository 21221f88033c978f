package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/internal/interop"
)

// published is a collection, and the flags that init makes it with.
type published struct {
	name string
	args []string
}

// collections is one collection for each way to sign.
var collections = []published{
	{"example.com/ed25519", nil},
	{"example.com/ecdsa", []string{"--key-type", "ecdsa"}},
	{"example.com/rsa", []string{"--key-type", "rsa"}},
	{"example.com/2-of-3", []string{
		"--threshold", "root=2/3", "--threshold", "targets=2/3", "--threshold", "snapshot=2/3", "--threshold", "timestamp=2/3",
	}},
}

// TestPublished has every client read what was published to every store, from
// where the store itself serves it.
func TestPublished(t *testing.T) {
	for i, k := range kinds(t) {
		which := collections
		if i > 1 { // kinds of keys are all the same to another driver
			which = collections[len(collections)-1:]
		}
		t.Run(k.name, func(t *testing.T) { testPublished(t, k, which) })
	}
}

func TestPublishedMinIO(t *testing.T) {
	for _, k := range kindsMinIO(t) {
		t.Run(k.name, func(t *testing.T) { testPublished(t, k, collections[len(collections)-1:]) })
	}
}

func testPublished(t *testing.T, k kind, which []published) {
	s := k.open(t)
	for _, c := range which {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			publishFive(t, s, c.name, c.args)
			checkObjects(t, s, c.name)
			checkMissing(t, s, c.name)
		})
	}
}

// versions is what is there after each of five publishes.
var versions = []files{
	{
		"hello.txt":              "hello\n",
		"empty":                  "",
		"sub/dir/tool":           "a tool",
		"with space.txt":         "one space, and another directory",
		"libstdc++_1.2+b1.deb":   "a version as Debian writes them",
		"sub dir/größe+1 日本.deb": "everything at once",
		"__proto__":              "no property of a JavaScript object",
	},
	{"hello.txt": "hello again\n", "a+b c": "new"},
	{"sub/dir/tool": "a better tool", "sub/dir/ünder": ""},
	{"empty": "no longer empty"},
	{"last": "the fifth", "hello.txt": "hello\n"}, // as it was at first
}

// publishFive publishes five times, after each of which every client, with
// what it remembers from the last time, must get exactly what is there.
func publishFive(t *testing.T, s store, collection string, args []string) {
	o := newOwner(t, s)
	root := o.init(t, collection, args...)
	there, state := files{}, t.TempDir()
	for i, version := range versions {
		tree := t.TempDir()
		version.write(t, tree)
		maps.Copy(there, version)
		o.run(t, "add", collection, "-R", tree, "--publish")
		p := pull(t, s, collection, root, there.sums())
		p.Dir = state
		for _, c := range interop.Clients(t) {
			if err := c.Pull(t.Context(), p); err != nil {
				t.Errorf("after publish %d: %v", i+1, err)
			}
		}
	}
	if n := o.check(t, collection); n != len(there) {
		t.Errorf("check counts %d targets, want %d", n, len(there))
	}
}

// pull is what a client is told that knows the hash of the root.
func pull(t *testing.T, s store, collection, root string, targets map[string][]byte) interop.Pull {
	t.Helper()
	base := s.public + "/" + collection
	body, resp := get(t, base+"/metadata/1.root.json")
	if resp.StatusCode != http.StatusOK || hexSum(body) != root {
		t.Fatalf("1.root.json: %s with SHA-256 %s, want %s", resp.Status, hexSum(body), root)
	}
	return interop.Pull{MetadataURL: base + "/metadata", TargetsURL: base + "/targets", Root: body, Targets: targets}
}

func get(t *testing.T, address string) ([]byte, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body, resp
}

// checkObjects reads every object of a collection as a CDN does. A "+" in a name
// goes out as it is, as all clients send it.
func checkObjects(t *testing.T, s store, collection string) {
	names := map[string]bool{}
	for _, key := range s.keys(t) {
		if !strings.HasPrefix(key, collection+"/") {
			continue
		}
		body, resp := get(t, s.public+"/"+(&url.URL{Path: key}).EscapedPath())
		want := "public, max-age=31536000, immutable"
		if strings.HasSuffix(key, "/timestamp.json") {
			want = "no-cache"
		}
		if got := resp.Header.Get("Cache-Control"); resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: %s with Cache-Control %q, want %q", key, resp.Status, got, want)
		}
		if sum, name, ok := strings.Cut(path.Base(key), "."); ok && strings.Contains(key, "/targets/") {
			names[name] = true
			if got := hexSum(body); got != sum {
				t.Errorf("%s: the SHA-256 is %s", key, got)
			}
		}
	}
	for name := range versions[0] {
		if !names[path.Base(name)] {
			t.Errorf("%s has no object for %s", collection, name)
		}
	}
}

// checkMissing looks for what is not there: clients end their search for newer
// roots on 404, and on nothing else.
func checkMissing(t *testing.T, s store, collection string) {
	for _, name := range []string{"metadata/2.root.json", "targets/missing", "targets/sub/missing"} {
		if _, resp := get(t, s.public+"/"+collection+"/"+name); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", name, resp.Status)
		}
	}
}

// TestBigTarget publishes 200 MB, which go to a bucket in parts.
func TestBigTarget(t *testing.T) {
	if testing.Short() {
		t.Skip("every client fetches 200 MB")
	}
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) { testBigTarget(t, k) })
	}
}

func TestBigTargetMinIO(t *testing.T) {
	if testing.Short() {
		t.Skip("every client fetches 200 MB")
	}
	for _, k := range kindsMinIO(t) {
		t.Run(k.name, func(t *testing.T) { testBigTarget(t, k) })
	}
}

func testBigTarget(t *testing.T, k kind) {
	s := k.open(t)
	o := newOwner(t, s)
	root := o.init(t, "example.com/big")
	file := filepath.Join(t.TempDir(), "big.iso")
	sum := writeRandom(t, file, 200<<20)
	started := time.Now()
	o.run(t, "add", "example.com/big", "images/big.iso", file, "--publish")
	t.Logf("published in %v", time.Since(started).Round(time.Millisecond))
	p := pull(t, s, "example.com/big", root, map[string][]byte{"images/big.iso": sum})
	for _, c := range interop.Clients(t) {
		if err := c.Pull(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	if i := slices.IndexFunc(s.keys(t), func(key string) bool { return strings.HasSuffix(key, ".big.iso") }); i < 0 {
		t.Error("the listing has no big.iso")
	}
	o.check(t, "example.com/big")
}

// writeRandom writes a file of that size and returns its SHA-256.
func writeRandom(t *testing.T, file string, size int64) []byte {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	seed := sha256.Sum256(fmt.Append(nil, size))
	if _, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(rand.NewChaCha8(seed), size)); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}
