package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"publisher/internal/doctor"
	"publisher/internal/testserver"
)

const nginxTemplate = "../selfhost/nginx.conf.template"

// TestCDN: nginx keeps what never changes, and whatever is published through the
// store behind it is there at once: for clients that come again, for those who
// come for the first time, and for those who pull all the time.
func TestCDN(t *testing.T) {
	const collection = "example.com/cdn"
	server := testserver.VersityGW(t)
	s := throughS3(t, server)
	cdn := testserver.Nginx(t, nginxTemplate, server.Host(), server.Bucket+"/"+prefix)
	s.public = cdn.URL
	o := newOwner(t, s)
	root := o.init(t, collection)
	there := files{"sub dir/größe+1 日本.deb": "everything at once", "a+b": "plus", "sub/dir/tool": "a tool"}
	tree := t.TempDir()
	there.write(t, tree)
	o.run(t, "add", collection, "-R", tree, "--publish")
	pullers := startPulling(t, pull(t, s, collection, root, nil))
	pullers.all("the first publish", there)

	for n := range 20 {
		target := files{"counted": fmt.Sprint(n), fmt.Sprintf("new+%d", n): "x"}
		target.write(t, tree)
		maps.Copy(there, target)
		o.run(t, "add", collection, "-R", tree, "--publish")
		pullers.one(fmt.Sprint("publish ", n), there)
		switch n {
		case 6:
			o.run(t, "key", "rotate", collection, "root", "--yes", "--no-passphrase")
			pullers.all("a new root", there)
		case 13:
			o.run(t, "key", "rotate", collection, "timestamp", "--yes", "--no-passphrase")
			pullers.all("a new timestamp key", there)
		}
	}
	pullers.all("the end", there)
	pullers.stop()
	checkCache(t, cdn.Requests(t))

	var found doctor.Report
	out := o.run(t, "doctor", collection, "--url", cdn.URL, "--json")
	if err := json.Unmarshal(out, &found); err != nil || len(found.Findings) > 0 {
		t.Errorf("doctor found something: %v\n%s", err, out)
	}
	for _, check := range []string{"next root", "timestamp is not cached", "the rest is cached", "plus signs", "slashes as %2F", "CORS", "listings"} {
		if !slices.Contains(found.Passed, check) {
			t.Errorf("doctor did not look at %s: %s", check, out)
		}
	}
}

// checkCache holds what the clients met to the rules.
func checkCache(t *testing.T, requests []testserver.Request) {
	t.Helper()
	hits, roots := 0, 0
	for _, r := range requests {
		switch {
		case r.Cache == "HIT":
			hits++
		case strings.HasSuffix(r.Path, ".root.json") && r.Status == "404":
			roots++
		}
		if path.Base(r.Path) == "timestamp.json" && r.Cache != "-" || r.Status != "200" && r.Cache == "HIT" {
			t.Errorf("out of the cache: %+v", r)
		}
	}
	t.Logf("%d requests, %d out of the cache, %d for roots that are not there yet", len(requests), hits, roots)
	if hits < len(requests)/4 || roots == 0 {
		t.Error("that is too few")
	}
}

// TestCDNRules: what a server behind it may say, and a client before it, changes
// nothing in what is kept.
func TestCDNRules(t *testing.T) {
	asked := map[string]int{}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++
		if r.URL.RawQuery != "" || r.Header.Get("Authorization")+r.Header.Get("Cookie") != "" {
			t.Errorf("the origin sees the query %q and %v", r.URL.RawQuery, r.Header)
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Vary", "*")
		switch status := map[string]int{"missing": 404, "forbidden": 403, "broken": 500, "moved": 302}[path.Base(r.URL.Path)]; {
		case status != 0:
			w.WriteHeader(status)
		case path.Base(r.URL.Path) == "unsaid":
			w.Header().Del("Cache-Control")
		}
		fmt.Fprintf(w, "%s %s", r.URL.EscapedPath(), strings.Repeat("z", 2000))
	}))
	defer origin.Close()
	cdn := testserver.Nginx(t, nginxTemplate, (&url.URL{Host: strings.TrimPrefix(origin.URL, "http://")}).Host, "bucket")
	for name, want := range map[string]int{
		"a/metadata/1.root.json": 1, "a/targets/b c": 1, "a/targets/d+e": 1, // kept
		"a/metadata/timestamp.json": 3, "missing": 3, "forbidden": 3, "broken": 3, "moved": 3, "unsaid": 3,
	} {
		for n := range 3 {
			ask(t, http.MethodGet, cdn.URL+"/"+(&url.URL{Path: name}).EscapedPath()+fmt.Sprint("?v=", n))
		}
		if got := asked["/bucket/"+name]; got != want {
			t.Errorf("%s: the origin was asked %d times for what clients asked 3 times, want %d", name, got, want)
		}
	}
	for _, r := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/", 404}, {http.MethodGet, "/a/", 404}, {http.MethodGet, "/../other/x", 400}, {http.MethodGet, "/..%2Fother/x", 400},
		{http.MethodOptions, "/a", 204}, {http.MethodPut, "/a", 405}, {http.MethodDelete, "/a", 405}, {http.MethodHead, "/a/targets/b%20c", 200},
	} {
		resp := ask(t, r.method, cdn.URL+r.path)
		if resp.StatusCode != r.status || resp.Header.Get("Access-Control-Allow-Origin") != "*" && r.status != 400 || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s %s: %s, %v", r.method, r.path, resp.Status, resp.Header)
		}
	}
	for name, want := range map[string]string{"/a/metadata/timestamp.json": "", "/a/metadata/1.root.json": "gzip"} {
		if got := ask(t, http.MethodGet, cdn.URL+name).Header.Get("Content-Encoding"); got != want {
			t.Errorf("%s is encoded as %q, want %q", name, got, want)
		}
	}
}

// TestCDNNextRoot: those who ask for the root that is not there yet at the same
// time reach the origin at the same time. It answers when all of them are there,
// and who waits at nginx for another waits in vain here.
func TestCDNNextRoot(t *testing.T) {
	const clients = 8
	text, err := os.ReadFile(nginxTemplate)
	if err != nil {
		t.Fatal(err)
	}
	lock := regexp.MustCompile(`proxy_cache_lock +on;`)
	if !lock.Match(text) {
		t.Fatal("nginx has nobody wait for another")
	}
	patient := filepath.Join(t.TempDir(), "template")
	if err := os.WriteFile(patient, lock.ReplaceAll(text, []byte("$0 proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;")), 0o666); err != nil {
		t.Fatal(err)
	}
	var arrived atomic.Int64
	all := make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".root.json") && arrived.Add(1) == clients {
			close(all)
		}
		select {
		case <-all:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer origin.Close()
	cdn := testserver.Nginx(t, patient, strings.TrimPrefix(origin.URL, "http://"), "bucket")
	answers := make(chan int)
	client := http.Client{Timeout: time.Minute}
	for range clients {
		go func() {
			resp, err := client.Get(cdn.URL + "/a/metadata/2.root.json")
			if err != nil {
				answers <- 0
				return
			}
			resp.Body.Close()
			answers <- resp.StatusCode
		}()
	}
	for range clients {
		if status := <-answers; status != http.StatusNotFound {
			t.Errorf("status %d, when %d of %d had reached the origin", status, arrived.Load(), clients)
		}
	}
}

// ask asks with all that clients may send, and follows no redirect.
func ask(t *testing.T, method, address string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Accept-Encoding": "gzip", "Authorization": "AWS x:y", "Cookie": "a=b", "Origin": "https://example.org"} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}
