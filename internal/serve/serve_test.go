package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"publisher/internal/serve"
	"publisher/storage"
	"publisher/storage/dir"
)

const (
	immutable = "public, max-age=31536000, immutable"
	sum       = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
)

var objects = map[string]string{
	"a/b/metadata/1.root.json":           "root",
	"a/b/metadata/timestamp.json":        "timestamp",
	"a/b/index.html":                     "<p>",
	"a/b/targets/d/" + sum + ".x+y z é":  "0123456789",
	"a/b/targets/.config/" + sum + ".rc": "rc",
	"a/b/targets/" + sum + ".empty":      "",
}

// stores is the same objects in bodies that can seek and in some that cannot.
func stores(t *testing.T) map[string]storage.Store {
	t.Helper()
	onDisk, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]storage.Store{"directory": onDisk, "stream": streams{storage.NewMemory()}}
	for _, s := range all {
		for key, content := range objects {
			if _, err := s.Put(t.Context(), key, strings.NewReader(content), storage.Absent); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// streams is a store whose bodies cannot seek and whose sizes are not known.
type streams struct{ storage.Store }

func (s streams) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.Store.Get(ctx, key)
	obj.Body = struct{ io.ReadCloser }{obj.Body}
	obj.Size = -1
	return obj, err
}

func start(t *testing.T, s storage.Getter) string {
	t.Helper()
	server := httptest.NewServer(serve.Handler(s))
	t.Cleanup(server.Close)
	return server.URL
}

type reply struct {
	*http.Response
	body string
}

func do(t *testing.T, method, url string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp, string(body)}
}

func TestObjects(t *testing.T) {
	tests := []struct{ path, key, cache, kind string }{
		{"/a/b/metadata/1.root.json", "a/b/metadata/1.root.json", immutable, "application/json"},
		{"/a/b/metadata/timestamp.json", "a/b/metadata/timestamp.json", "no-cache", "application/json"},
		{"/a/b/index.html", "a/b/index.html", immutable, "text/html; charset=utf-8"},
		{"/a/b/targets/d/" + sum + ".x+y%20z%20%C3%A9", "a/b/targets/d/" + sum + ".x+y z é", immutable, "application/octet-stream"},
		{"/a/b/targets%2Fd/" + sum + ".x%2By%20z%20%c3%a9?q=1", "a/b/targets/d/" + sum + ".x+y z é", immutable, "application/octet-stream"},
		{"/a/b/targets/.config/" + sum + ".rc", "a/b/targets/.config/" + sum + ".rc", immutable, "application/octet-stream"},
		{"/a/b/targets/" + sum + ".empty", "a/b/targets/" + sum + ".empty", immutable, "application/octet-stream"},
	}
	for kind, s := range stores(t) {
		base := start(t, s)
		for _, tt := range tests {
			for _, method := range []string{"GET", "HEAD"} {
				t.Run(fmt.Sprint(kind, " ", method, " ", tt.path), func(t *testing.T) {
					want := objects[tt.key]
					if method == "HEAD" {
						want = ""
					}
					r := do(t, method, base+tt.path)
					if r.StatusCode != 200 || r.body != want {
						t.Errorf("got %s, %q, want %q", r.Status, r.body, want)
					}
					if got := r.Header.Get("Access-Control-Allow-Origin"); got != "*" {
						t.Errorf("Access-Control-Allow-Origin %q", got)
					}
					if got := r.Header.Get("Cache-Control"); got != tt.cache {
						t.Errorf("Cache-Control %q", got)
					}
					if got := r.Header.Get("Content-Type"); got != tt.kind {
						t.Errorf("Content-Type %q", got)
					}
					if etag := r.Header.Get("ETag"); len(etag) != 34 {
						t.Errorf("ETag %q", etag)
					}
					if kind == "directory" && r.ContentLength != int64(len(objects[tt.key])) {
						t.Errorf("Content-Length %d", r.ContentLength)
					}
				})
			}
		}
	}
}

func TestWhatIsNotServed(t *testing.T) {
	d := t.TempDir()
	for name, content := range map[string]string{
		"a/metadata/1.root.json": "root", ".secret": "x", "a/.git/config": "x", "a/targets/.tmp-1": "x", ".tmp/1/1": "x",
	} {
		file := filepath.Join(d, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := dir.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	base := start(t, s)
	for _, path := range []string{
		"/", "/a", "/a/", "/a/metadata", "/a/metadata/", "//a/metadata/1.root.json", "/a//metadata/1.root.json",
		"/a/metadata/2.root.json", "/A/metadata/1.root.json", "/a/metadata/1.root.json/", "/a/metadata/1.root.json/x",
		"/.secret", "/a/.git/config", "/a/targets/.tmp-1", "/.tmp/1/1", "/a/metadata/../metadata/1.root.json",
		"/%2e%2e/etc/passwd", "/a/%2e%2e/a/metadata/1.root.json", "/a/metadata%5c1.root.json", "/a%00", "/a%0a",
		"/" + strings.Repeat("a", 1025),
	} {
		r := do(t, "GET", base+path)
		if r.StatusCode != 404 || strings.Contains(r.body, "root.json") || r.body != "Not Found\n" {
			t.Errorf("%q: got %s, %q", path, r.Status, r.body)
		}
		if got := r.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%q: Cache-Control %q", path, got)
		}
	}
}

func TestMethods(t *testing.T) {
	for _, s := range stores(t) {
		base := start(t, s)
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"} {
			r := do(t, method, base+"/a/b/metadata/1.root.json")
			if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s: got %s, Allow %q", method, r.Status, r.Header.Get("Allow"))
			}
		}
	}
}

func TestConditionsAndRanges(t *testing.T) {
	s := stores(t)["directory"]
	base := start(t, s)
	target := base + "/a/b/targets/d/" + sum + ".x+y%20z%20%C3%A9"
	etag := do(t, "GET", target).Header.Get("ETag")
	tests := []struct {
		header []string
		status int
		body   string
	}{
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-None-Match", `"other", ` + etag}, 304, ""},
		{[]string{"If-None-Match", `"other"`}, 200, "0123456789"},
		{[]string{"If-Modified-Since", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}, 200, "0123456789"},
		{[]string{"Range", "bytes=2-4"}, 206, "234"},
		{[]string{"Range", "bytes=-3"}, 206, "789"},
		{[]string{"Range", "bytes=20-"}, 416, "invalid range: failed to overlap\n"},
		{[]string{"Range", "bytes=2-4", "If-Range", etag}, 206, "234"},
		{[]string{"Range", "bytes=2-4", "If-Range", `"other"`}, 200, "0123456789"},
	}
	for _, tt := range tests {
		if r := do(t, "GET", target, tt.header...); r.StatusCode != tt.status || r.body != tt.body {
			t.Errorf("%q: got %s, %q, want %d, %q", tt.header, r.Status, r.body, tt.status, tt.body)
		}
	}
}

// TestReplacedTimestamp: who revalidates gets the new one, at once.
func TestReplacedTimestamp(t *testing.T) {
	for kind, s := range stores(t) {
		url := start(t, s) + "/a/b/metadata/timestamp.json"
		for i := range 20 {
			etag := do(t, "GET", url).Header.Get("ETag")
			obj, err := s.Get(t.Context(), "a/b/metadata/timestamp.json")
			if err != nil {
				t.Fatal(err)
			}
			obj.Body.Close()
			want := fmt.Sprintf("timestam%d", i%10)
			if _, err := s.Put(t.Context(), "a/b/metadata/timestamp.json", strings.NewReader(want), obj.Version); err != nil {
				t.Fatal(err)
			}
			if r := do(t, "GET", url, "If-None-Match", etag); r.StatusCode != 200 || r.body != want {
				t.Fatalf("%s: got %s, %q, want %q", kind, r.Status, r.body, want)
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Get(context.Context, string) (storage.Object, error) {
	return storage.Object{}, f.err
}

// TestStoreFailures: only a missing object is 404.
func TestStoreFailures(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
	}{
		{fs.ErrNotExist, 404},
		{fs.ErrInvalid, 404},
		{fs.ErrPermission, 503},
		{storage.ErrNoStore, 503},
		{errors.New("secret.example.com: connection refused"), 503},
	} {
		r := do(t, "GET", start(t, failing{fmt.Errorf("get x: %w", tt.err)})+"/a/metadata/2.root.json")
		if r.StatusCode != tt.status || strings.Contains(r.body, "get x") {
			t.Errorf("%v: got %s, %q", tt.err, r.Status, r.body)
		}
		if retry := r.Header.Get("Retry-After") != ""; retry != (tt.status == 503) {
			t.Errorf("%v: Retry-After %q", tt.err, r.Header.Get("Retry-After"))
		}
	}
}

// broken is a store whose bodies end with an error after some bytes.
type broken struct{}

func (broken) Get(context.Context, string) (storage.Object, error) {
	body := io.MultiReader(strings.NewReader(strings.Repeat("x", 10_000)), errReader{})
	return storage.Object{Body: io.NopCloser(body), Size: -1}, nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestBrokenBodyDoesNotLookWhole(t *testing.T) {
	server := httptest.NewServer(serve.Handler(broken{}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/a/targets/x")
	if err != nil {
		return // the headers had not been sent yet
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes look whole", len(data))
	}
}
