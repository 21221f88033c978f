package doctor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"publisher/internal/doctor"
	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/web"
)

const collection = "example.com/scripts"

// ward is a published collection, served as it should be.
type ward struct {
	t      *testing.T
	now    time.Time
	ring   forge.Ring
	root   []byte
	store  *storage.Memory
	inbox  *storage.Memory
	cache  repo.Cache
	server *httptest.Server
	serve  func(w http.ResponseWriter, r *http.Request) // in front of what is healthy
	p      *doctor.Patient
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t, now: time.Now(), ring: forge.Ring{}}
	w.store, w.inbox = w.memory(), w.memory()
	g := repo.Genesis{Collection: collection, Keys: map[string][]tuf.Key{}}
	for _, role := range tuf.TopLevel {
		g.Keys[role] = []tuf.Key{w.ring.Generate(t)}
	}
	root, err := repo.NewRoot(t.Context(), g, w.ring, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.root, w.cache = root.Bytes(), repo.NewMemoryCache(root.Bytes())
	w.publish(map[string]string{"dir/a+1": "one", "b": "two"})
	w.put(w.inbox, collection+"/keys/snapshot/x.json", "sealed")
	w.put(w.inbox, "example.com/other/receipts/x.json", "{}")
	w.server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.serve != nil {
			w.serve(rw, r)
			return
		}
		w.healthy(rw, r)
	}))
	t.Cleanup(w.server.Close)
	client := w.server.Client()
	client.Transport.(*http.Transport).DisableCompression = true
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.p = &doctor.Patient{
		Collection: collection, Trusted: w.root, Source: w.store, Now: w.now,
		Base: w.server.URL, Client: client, Store: w.store, Inbox: forbidden{w.inbox, collection}, Unique: "1",
		StoreName: "s3://public", InboxName: "s3://inbox",
	}
	w.p.Store = onlyProbes{w.store, ""}
	w.p.Anybody = away{Memory: w.inbox, answer: denied}
	w.p.Signer = &doctor.Signer{Keys: w.keys, Look: "systemctl"}
	return w
}

// keys is what the online signer answers.
func (w *ward) keys(context.Context) (map[string]tuf.Key, error) {
	root, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		return nil, err
	}
	keys := map[string]tuf.Key{}
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		keys[role] = root.Signed.Keys[root.Signed.Roles[role].KeyIDs[0]]
	}
	return keys, nil
}

func (w *ward) memory() *storage.Memory {
	m := storage.NewMemory()
	m.Now = func() time.Time { return w.now }
	return m
}

func (w *ward) publish(targets map[string]string) {
	w.t.Helper()
	c := &repo.Committer{Store: w.store, Collection: collection, Cache: w.cache, Keys: w.ring, Now: func() time.Time { return w.now }}
	p := &repo.Publisher{
		Store: w.store, Collection: collection, Cache: w.cache, Keys: w.ring, Now: c.Now, Commit: c.Commit,
		Open: func(c repo.Change) (repo.Body, error) {
			return body{bytes.NewReader([]byte(c.Source))}, nil
		},
	}
	var changes []repo.Change
	for name, content := range targets {
		changes = append(changes, repo.Change{
			ID: name, Action: repo.Add, Role: tuf.RoleTargets, Name: name, Source: content,
			Target: tuf.TargetFile{Length: int64(len(content)), Hashes: map[string]string{"sha256": forge.Sum(content)}},
		})
	}
	if _, err := p.Publish(w.t.Context(), changes); err != nil {
		w.t.Fatal(err)
	}
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

func (w *ward) put(s storage.Store, key, content string) {
	w.t.Helper()
	prev := storage.Absent
	if info, err := storage.Stat(w.t.Context(), s, key); err == nil {
		prev = info.Version
	}
	if _, err := s.Put(w.t.Context(), key, strings.NewReader(content), prev); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) remove(key string) {
	w.t.Helper()
	info, err := storage.Stat(w.t.Context(), w.store, key)
	if err == nil {
		err = w.store.Delete(w.t.Context(), key, info.Version)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// healthy serves the store as a CDN should.
func (w *ward) healthy(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Date", w.p.Now.UTC().Format(http.TimeFormat)) // its clock is that of who asks
	if r.Method != http.MethodGet {
		rw.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/")
	data, _, err := storage.Read(r.Context(), w.store, key, 1<<20)
	if err != nil {
		http.Error(rw, "not found", http.StatusNotFound)
		return
	}
	h.Set("Cache-Control", storage.CacheControl(key))
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		_, _ = z.Write(data)
		_ = z.Close()
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = rw.Write(data)
}

// on serves what ends with a suffix in another way.
func (w *ward) on(suffix string, serve http.HandlerFunc) {
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			serve(rw, r)
			return
		}
		w.healthy(rw, r)
	}
}

// after lets a header be set on what is healthy otherwise.
func (w *ward) after(suffix string, edit func(http.Header)) {
	w.on(suffix, func(rw http.ResponseWriter, r *http.Request) {
		w.healthy(&edited{ResponseWriter: rw, edit: edit}, r)
	})
}

type edited struct {
	http.ResponseWriter
	edit func(http.Header)
	done bool
}

func (e *edited) WriteHeader(status int) {
	if !e.done {
		e.done = true
		e.edit(e.Header())
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *edited) Write(p []byte) (int, error) {
	if !e.done {
		e.WriteHeader(http.StatusOK)
	}
	return e.ResponseWriter.Write(p)
}

// onlyProbes is what the credentials of a publisher may do: they may let writers
// race here, so that the probe can be made, and write no metadata but what ends so.
type onlyProbes struct {
	*storage.Memory
	also string
}

func (s onlyProbes) Put(ctx context.Context, key string, b io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	probe := strings.HasPrefix(key, repo.ProbeKey(collection, ""))
	if !probe && (s.also == "" || !strings.HasSuffix(key, s.also)) {
		return storage.Absent, fmt.Errorf("put %s: %w", key, fs.ErrPermission)
	}
	return s.Memory.Put(ctx, key, b, prev)
}

// forbidden is an inbox of which one collection's submissions may be seen.
type forbidden struct {
	storage.Store
	collection string
}

func (s forbidden) Get(ctx context.Context, key string) (storage.Object, error) {
	if !strings.HasPrefix(key, s.collection+"/") || strings.Contains(key, "/keys/") {
		return storage.Object{}, fmt.Errorf("get %s: %w", key, fs.ErrPermission)
	}
	return s.Store.Get(ctx, key)
}

// racing is a store that takes every write.
type racing struct {
	*storage.Memory
	wrote func(key string) // if set, is told of every write
}

func (s racing) Put(ctx context.Context, key string, b io.ReadSeeker, _ storage.Version) (storage.Version, error) {
	if s.wrote != nil {
		s.wrote(key)
	}
	info, err := s.Memory.Stat(ctx, key)
	if err != nil {
		info.Version = storage.Absent
	}
	return s.Memory.Put(ctx, key, b, info.Version)
}

// refusing is a store that takes no write.
type refusing struct{ racing }

func (s refusing) Put(_ context.Context, key string, _ io.ReadSeeker, _ storage.Version) (storage.Version, error) {
	s.wrote(key)
	return storage.Absent, fmt.Errorf("put %s: %w", key, fs.ErrPermission)
}

// dated is a store whose clock is off.
type dated struct {
	onlyProbes
	off time.Duration
}

func (s dated) Stat(ctx context.Context, key string) (storage.Info, error) {
	info, err := s.Memory.Stat(ctx, key)
	info.Date = time.Now().Add(s.off)
	return info, err
}

func (s dated) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return s.Memory.List(ctx, prefix)
}

func TestHealthy(t *testing.T) {
	w := newWard(t)
	r, err := w.p.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("found: %+v", f)
	}
	for _, s := range r.Skipped {
		if s.Check != "clock of the store" { // memory has none
			t.Errorf("not made: %+v", s)
		}
	}
	for e := range w.store.List(t.Context(), repo.ProbeKey(collection, "")) {
		t.Errorf("%s is left", e.Key)
	}
}

// TestPlanted plants one fault after another.
func TestPlanted(t *testing.T) {
	status := func(n int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(n) }
	}
	const (
		next      = "/2.root.json"
		timestamp = "/timestamp.json"
	)
	target := repo.TargetKey(collection, "b", forge.Sum("two"))
	for name, row := range map[string]struct {
		plant func(*ward)
		check string
		want  doctor.Severity
	}{
		"403 for what is missing": {func(w *ward) { w.on(next, status(403)) }, "next root", doctor.Error},
		"a page for what is missing": {func(w *ward) {
			w.on(next, func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<html>") })
		}, "next root", doctor.Error},
		"500 for what is missing": {func(w *ward) { w.on(next, status(500)) }, "next root", doctor.Error},
		"a cached 404":            {func(w *ward) { w.after(next, func(h http.Header) { h.Set("Age", "30") }) }, "missing is not remembered", doctor.Error},
		"a 404 to be cached":      {func(w *ward) { w.after(next, func(h http.Header) { h.Set("Cache-Control", "max-age=60") }) }, "missing is not remembered", doctor.Error},
		"a server that is off":    {func(w *ward) { w.server.Close() }, "reachable", doctor.Error},
		"a certificate that nobody trusts": {func(w *ward) {
			w.p.Client = &http.Client{}
		}, "reachable", doctor.Error},
		"timestamp forbidden":        {func(w *ward) { w.on(timestamp, status(403)) }, "timestamp is not cached", doctor.Error},
		"timestamp missing":          {func(w *ward) { w.on(timestamp, status(404)) }, "edge is up to date", doctor.Error},
		"another's root as the next": {func(w *ward) { w.endlessRoots(nil) }, "next root", doctor.Error},
		"a 404 to be cached for ever": {func(w *ward) {
			w.after(next, func(h http.Header) { h.Set("Cache-Control", "max-age=99999999999999999999") })
		}, "missing is not remembered", doctor.Error},
		"a timestamp for ever": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Set("Cache-Control", "max-age=9223372037") })
		}, "timestamp is not cached", doctor.Error},
		"timestamp without a header": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Del("Cache-Control") })
		}, "timestamp is not cached", doctor.Error},
		"timestamp for an hour": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Set("Cache-Control", "public, max-age=3600") })
		}, "timestamp is not cached", doctor.Error},
		"timestamp out of a cache": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Set("X-Cache", "Hit from cloudfront") })
		}, "timestamp is not cached", doctor.Error},
		"a stale edge": {func(w *ward) {
			old, _, err := storage.Read(w.t.Context(), w.store, repo.TimestampKey(collection), 1<<20)
			if err != nil {
				w.t.Fatal(err)
			}
			w.publish(map[string]string{"c": "three"})
			w.on(timestamp, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Cache-Control", "no-cache")
				_, _ = rw.Write(old)
			})
		}, "edge is up to date", doctor.Error},
		"immutable objects that are not kept": {func(w *ward) {
			w.after(".targets.json", func(h http.Header) { h.Set("Cache-Control", "no-store") })
		}, "the rest is cached", doctor.Warning},
		"bytes changed on the way": {func(w *ward) {
			w.on("1.targets.json", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "{ }") })
		}, "bytes are as signed", doctor.Error},
		"compressed for everybody": {func(w *ward) {
			w.on(".snapshot.json", func(rw http.ResponseWriter, r *http.Request) {
				r.Header.Set("Accept-Encoding", "gzip")
				w.healthy(rw, r)
			})
		}, "bytes are as signed", doctor.Error},
		"compression that spoils": {func(w *ward) {
			w.on(".snapshot.json", func(rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "gzip" {
					w.healthy(rw, r)
					return
				}
				rw.Header().Set("Content-Encoding", "gzip")
				_, _ = io.WriteString(rw, "not gzip")
			})
		}, "compression", doctor.Error},
		"no CORS":                 {func(w *ward) { w.after("", func(h http.Header) { h.Del("Access-Control-Allow-Origin") }) }, "CORS", doctor.Warning},
		"a certificate that ends": {func(w *ward) { w.p.Now = w.server.Certificate().NotAfter.Add(-time.Hour) }, "TLS", doctor.Warning},
		"plus signs as spaces": {func(w *ward) {
			w.on(".a+1", status(404))
		}, "plus signs", doctor.Error},
		"%2F": {func(w *ward) {
			w.serve = func(rw http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.RawPath, "%2F") {
					rw.WriteHeader(404)
					return
				}
				w.healthy(rw, r)
			}
		}, "slashes as %2F", doctor.Warning},
		"the server's clock": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)) })
		}, "clock of the server", doctor.Error},
		"a listing": {func(w *ward) {
			w.on("/", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<ListBucketResult>") })
		}, "listings", doctor.Warning},
		"a redirect": {func(w *ward) {
			w.on(next, func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "https://example.com/", http.StatusFound)
			})
		}, "redirects", doctor.Error},
		"a 404 that expires": {func(w *ward) {
			w.after(next, func(h http.Header) { h.Set("Expires", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)) })
		}, "missing is not remembered", doctor.Error},
		"a 404 that may be stale": {func(w *ward) {
			w.after(next, func(h http.Header) { h.Set("Cache-Control", "max-age=0, stale-while-revalidate=60") })
		}, "missing is not remembered", doctor.Error},
		"a timestamp that may be stale": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Set("Cache-Control", "max-age=1, stale-while-revalidate=600") })
		}, "timestamp is not cached", doctor.Error},
		"a timestamp that a CDN keeps": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Set("CDN-Cache-Control", "max-age=3600") })
		}, "timestamp is not cached", doctor.Error},
		"a cache that keeps 404s in silence":      {func(w *ward) { w.caching(".root.json") }, "what is new is seen", doctor.Error},
		"a cache that keeps timestamp in silence": {func(w *ward) { w.caching(timestamp) }, "what is new is seen", doctor.Error},
		"a server that takes PUT": {func(w *ward) {
			w.method(http.MethodPut, func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusCreated) })
		}, "nobody may write", doctor.Error},
		"a bucket that takes PUT": {func(w *ward) {
			w.method(http.MethodPut, func(rw http.ResponseWriter) {
				rw.WriteHeader(http.StatusPreconditionFailed)
				_, _ = io.WriteString(rw, "<Error><Code>PreconditionFailed</Code></Error>")
			})
		}, "nobody may write", doctor.Error},
		"a bucket that takes DELETE": {func(w *ward) {
			w.method(http.MethodDelete, func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusNoContent) })
		}, "nobody may write", doctor.Error},
		"an inbox that is served": {func(w *ward) {
			w.on(".json", func(rw http.ResponseWriter, r *http.Request) {
				data, _, err := storage.Read(r.Context(), w.inbox, strings.TrimPrefix(r.URL.Path, "/"), 1<<20)
				if err != nil {
					w.healthy(rw, r)
					return
				}
				_, _ = rw.Write(data)
			})
		}, "inbox is not served", doctor.Error},
		"a listing of the collection alone": {func(w *ward) {
			w.on(collection+"/", func(rw http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(rw, `<html><head><title>Index of /example.com/scripts/</title></head><pre><a href="../">../</a>`)
			})
		}, "listings", doctor.Warning},
		"a bucket that lists itself": {func(w *ward) {
			w.p.Base = w.server.URL + "/bucket/some/prefix"
			w.serve = func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/bucket" {
					_, _ = io.WriteString(rw, "<ListBucketResult>")
					return
				}
				http.StripPrefix("/bucket/some/prefix", http.HandlerFunc(w.healthy)).ServeHTTP(rw, r)
			}
		}, "listings", doctor.Warning},
		"what only browsers may keep": {func(w *ward) {
			w.after(".targets.json", func(h http.Header) { h.Set("Cache-Control", "private, max-age=31536000") })
		}, "the rest is cached", doctor.Warning},
		"somebody else's file":   {func(w *ward) { w.put(w.store, repo.MetadataDir(collection)+"/evil.json", "{}") }, "garbage", doctor.Warning},
		"somebody else's target": {func(w *ward) { w.put(w.store, repo.TargetsDir(collection)+"/stray", "x") }, "garbage", doctor.Warning},
		"slots of nobody": {func(w *ward) {
			for n := range int64(30) {
				w.put(w.store, repo.SlotKey(collection, tuf.RoleTargets, 10+n), "{}")
			}
			w.p.Now = w.now.Add(time.Hour)
			w.p.Store = dated{onlyProbes{w.store, ""}, time.Hour}
		}, "garbage", doctor.Warning},
		"a target that nothing lists": {func(w *ward) {
			w.put(w.store, repo.TargetKey(collection, "x", forge.Sum("x")), "x")
			w.p.Now = w.now.Add(2 * time.Hour)
			w.p.Store = dated{onlyProbes{w.store, ""}, 2 * time.Hour}
		}, "garbage", doctor.Warning},
		"a policy that lets publishers write timestamp": {func(w *ward) { w.p.Store = onlyProbes{w.store, "timestamp.json"} }, "metadata is the signer's", doctor.Warning},
		"a policy that lets publishers write slots":     {func(w *ward) { w.p.Store = onlyProbes{w.store, ".targets.json"} }, "metadata is the signer's", doctor.Warning},
		"a timestamp that is gone":                      {func(w *ward) { w.remove(repo.TimestampKey(collection)) }, "load", doctor.Error},
		"one stale edge of several": {func(w *ward) {
			old := w.read(repo.TimestampKey(collection))
			w.publish(map[string]string{"c": "three"})
			var turn atomic.Int64
			w.on(timestamp, func(rw http.ResponseWriter, r *http.Request) {
				if turn.Add(1)%3 != 0 {
					w.healthy(rw, r)
					return
				}
				rw.Header().Set("Cache-Control", "no-cache")
				_, _ = io.WriteString(rw, old)
			})
		}, "edge is up to date", doctor.Error},
		"escaped plus signs": {func(w *ward) {
			w.serve = func(rw http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.RawPath, "%2B") {
					rw.WriteHeader(404)
					return
				}
				w.healthy(rw, r)
			}
		}, "plus signs", doctor.Error},
		"a submission that was put aside": {func(w *ward) {
			w.put(w.inbox, repo.QuarantineKey(collection, ulid.Make().String()), "{}")
		}, "submissions are answered", doctor.Warning},
		"an edge that resets the snapshot": {func(w *ward) { w.on(".snapshot.json", reset) }, "bytes are as signed", doctor.Error},
		"an edge that cuts the snapshot off": {func(w *ward) {
			w.on(".snapshot.json", func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Length", "900")
				_, _ = io.WriteString(rw, "{")
			})
		}, "bytes are as signed", doctor.Error},
		"an edge that resets the next root":    {func(w *ward) { w.on(next, reset) }, "next root", doctor.Error},
		"an edge without one of the targets":   {func(w *ward) { w.on(".b", status(404)) }, "bytes are as signed", doctor.Error},
		"an edge that forbids one target":      {func(w *ward) { w.on(".a+1", status(403)) }, "bytes are as signed", doctor.Error},
		"an edge with a flipped byte":          {func(w *ward) { w.flip(".b", false) }, "bytes are as signed", doctor.Error},
		"an edge with a flipped byte for some": {func(w *ward) { w.flip(".b", true) }, "compression", doctor.Error},
		"an edge that flips the timestamp":     {func(w *ward) { w.flip(timestamp, false) }, "edge is up to date", doctor.Error},
		"a timestamp of their own for some":    {func(w *ward) { w.flip(timestamp, true) }, "compression", doctor.Error},
		"a timestamp that is not encoded": {func(w *ward) {
			w.after(timestamp, func(h http.Header) { h.Set("Content-Encoding", "br") })
		}, "compression", doctor.Error},
		"a target is redirected": {func(w *ward) {
			w.on(".b", func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "https://example.com/", http.StatusFound)
			})
		}, "redirects", doctor.Error},
		"a target without a header": {func(w *ward) { w.after(".b", func(h http.Header) { h.Del("Cache-Control") }) }, "the rest is cached", doctor.Warning},
		"no CORS on targets":        {func(w *ward) { w.after(".b", func(h http.Header) { h.Del("Access-Control-Allow-Origin") }) }, "CORS", doctor.Warning},
		"a target a byte at a time": {func(w *ward) {
			w.p.Patience = 2 * time.Second
			w.on(".b", func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(rw, "t")
				rw.(http.Flusher).Flush()
				<-r.Context().Done()
			})
		}, "bytes are as signed", doctor.Error},
		"a collection rolled back": {func(w *ward) {
			old := w.read(repo.TimestampKey(collection))
			w.publish(map[string]string{"c": "three"})
			w.p.Timestamp = []byte(w.read(repo.TimestampKey(collection)))
			w.put(w.store, repo.TimestampKey(collection), old)
		}, "promises", doctor.Error},
		"a missing object":   {func(w *ward) { w.remove(target) }, "promises", doctor.Error},
		"a flipped byte":     {func(w *ward) { w.put(w.store, target, "twp") }, "promises", doctor.Error},
		"a missing role":     {func(w *ward) { w.remove(repo.SlotKey(collection, tuf.RoleTargets, 1)) }, "load", doctor.Error},
		"an old timestamp":   {func(w *ward) { w.p.Now = w.now.Add(10 * 24 * time.Hour) }, "expiry", doctor.Error},
		"expired":            {func(w *ward) { w.p.Now = w.now.Add(20 * 24 * time.Hour) }, "expiry", doctor.Error},
		"targets nearly so":  {func(w *ward) { w.p.Now = w.now.Add(300 * 24 * time.Hour) }, "expiry", doctor.Warning},
		"many targets":       {func(w *ward) { w.publish(many(1100)) }, "sizes", doctor.Warning},
		"a store that races": {func(w *ward) { w.p.Store = racing{Memory: w.store} }, "compare-and-swap", doctor.Error},
		"the store's clock":  {func(w *ward) { w.p.Store = dated{onlyProbes{w.store, ""}, time.Hour} }, "clock of the store", doctor.Error},
		"garbage": {func(w *ward) {
			now := w.now
			w.now = now.Add(-40 * 24 * time.Hour)
			w.put(w.store, repo.TargetsDir(collection)+"/left", "left")
			w.now = now
		}, "garbage", doctor.Warning},
		"an interrupted collection": {func(w *ward) {
			w.put(w.store, repo.GarbageKey(collection), "{}")
			w.p.Now = w.now.Add(2 * time.Hour)
		}, "garbage", doctor.Error},
		"a policy that lets publishers write metadata": {func(w *ward) { w.p.Store = w.store }, "metadata is the signer's", doctor.Warning},
		"an inbox that anybody may read":               {func(w *ward) { w.p.Anybody = w.inbox }, "inbox is private", doctor.Error},
		"an inbox that anybody may list": {func(w *ward) {
			w.p.Anybody = away{Memory: w.inbox, answer: denied, lists: true}
		}, "inbox is private", doctor.Error},
		"an inbox within the store": {func(w *ward) { w.p.Together = errors.New("one lies in the other") }, "inbox is apart", doctor.Error},
		"an inbox that is the store": {func(w *ward) {
			w.p.Inbox = w.store
		}, "inbox is apart", doctor.Error},
		"a signer that is dead": {func(w *ward) {
			w.p.Signer.Keys = func(context.Context) (map[string]tuf.Key, error) { return nil, syscall.ECONNREFUSED }
		}, "signer answers", doctor.Error},
		"a signer that hangs": {func(w *ward) {
			w.p.Patience = 4 * time.Second
			w.p.Signer.Keys = func(ctx context.Context) (map[string]tuf.Key, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}, "signer answers", doctor.Error},
		"a signer without its KMS key": {func(w *ward) {
			w.p.Signer.Keys = func(context.Context) (map[string]tuf.Key, error) {
				return nil, &doctor.SignerError{Err: errors.New("kms: disabled")}
			}
		}, "signer answers", doctor.Error},
		"a signer with other keys": {func(w *ward) {
			w.p.Signer.Keys = func(context.Context) (map[string]tuf.Key, error) {
				k := w.ring.Generate(w.t)
				return map[string]tuf.Key{tuf.RoleSnapshot: k, tuf.RoleTimestamp: k}, nil
			}
		}, "signer answers", doctor.Error},
		"a policy that lets publishers read keys": {func(w *ward) { w.p.Inbox = w.inbox }, "keys are the signer's", doctor.Warning},
		"a policy that shows other inboxes":       {func(w *ward) { w.p.Inbox = w.inbox }, "other inboxes", doctor.Warning},
		"a signer that does not run": {func(w *ward) {
			id := ulid.MustNew(ulid.Timestamp(w.now.Add(-2*time.Hour)), bytes.NewReader(make([]byte, 16)))
			w.put(w.inbox, repo.SubmissionKey(collection, id.String()), `{"collection":"example.com/scripts","parts":{"targets":"`+forge.Sum("x")+`"}}`)
		}, "submissions are answered", doctor.Error},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t)
			row.plant(w)
			r, err := w.p.Examine(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == row.check })
			if i < 0 {
				t.Fatalf("not found; %+v", r)
			}
			if f := r.Findings[i]; f.Severity != row.want || f.What == "" || f.Why == "" || f.Do == "" {
				t.Errorf("found as %+v, want the severity %s", f, row.want)
			}
		})
	}
}

// caching serves what ends with a suffix as it was first answered, and says nothing
// of that.
func (w *ward) caching(suffix string) {
	var mu sync.Mutex
	kept := map[string]*httptest.ResponseRecorder{}
	w.on(suffix, func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := r.URL.Path + r.Header.Get("Accept-Encoding")
		if kept[key] == nil {
			kept[key] = httptest.NewRecorder()
			w.healthy(kept[key], r)
		}
		maps.Copy(rw.Header(), kept[key].Header())
		rw.WriteHeader(kept[key].Code)
		_, _ = rw.Write(kept[key].Body.Bytes())
	})
}

// method answers to one method in another way.
func (w *ward) method(method string, answer func(http.ResponseWriter)) {
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == method {
			answer(rw)
			return
		}
		w.healthy(rw, r)
	}
}

// reset answers with a broken connection.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// flip serves what ends with a suffix with its last letter changed, or only to
// those who accept gzip.
func (w *ward) flip(suffix string, zipped bool) {
	w.on(suffix, func(rw http.ResponseWriter, r *http.Request) {
		if zipped && r.Header.Get("Accept-Encoding") != "gzip" {
			w.healthy(rw, r)
			return
		}
		rw.Header().Set("Cache-Control", storage.CacheControl(r.URL.Path))
		rw.Header().Set("Access-Control-Allow-Origin", "*")
		data := []byte(w.read(strings.TrimPrefix(r.URL.Path, "/")))
		at := bytes.LastIndexAny(data, "0123456789abcdefghijklmnopqrstuvwxyz")
		if data[at]++; !strings.Contains("0123456789abcdefghijklmnopqrstuvwxyz", string(data[at])) {
			data[at] -= 2
		}
		_, _ = rw.Write(data)
	})
}

// read is an object of the public store.
func (w *ward) read(key string) string {
	w.t.Helper()
	data, _, err := storage.Read(w.t.Context(), w.store, key, 1<<20)
	if err != nil {
		w.t.Error(err)
	}
	return string(data)
}

// outside has the ward looked at by somebody who knows its URL.
func (w *ward) outside() {
	w.t.Helper()
	w.outsideToo()
	w.p.Store, w.p.Inbox, w.p.Signer = nil, nil, nil
}

// outsideToo lets it be read at the URL where no store answers.
func (w *ward) outsideToo() {
	w.t.Helper()
	source, err := web.Open(w.server.URL, w.p.Client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		w.t.Fatal(err)
	}
	w.p.Source = source
}

// TestPlantedOutside: one target that cannot be had hides nothing else that is
// wrong, from those who know the URL alone.
func TestPlantedOutside(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"401": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(401) },
		"403": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(403) },
		"404": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(404) },
		"500": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) },
		"redirect": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://example.com/", http.StatusFound)
		},
		"reset":   reset,
		"healthy": nil,
	} {
		w := newWard(t)
		w.put(w.store, repo.TargetKey(collection, "dir/a+1", forge.Sum("one")), "six")
		if serve != nil {
			w.on(".b", serve)
		}
		w.outside()
		r, err := w.p.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{".b", "a+1"} {
			found := slices.ContainsFunc(r.Findings, func(x doctor.Finding) bool { return x.Check == "promises" && strings.Contains(x.What, f) })
			if want := serve != nil || f != ".b"; found != want {
				t.Errorf("%s: %s is found: %v, in %+v", name, f, found, r.Findings)
			}
		}
	}
}

// TestSlowOutside: a target that comes a byte at a time holds nobody up.
func TestSlowOutside(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.p.Patience = 3 * time.Second
	w.on(".b", func(rw http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(rw, "t")
			rw.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Second):
			}
		}
	})
	w.outside()
	r, err := w.p.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []string{"promises", "bytes are as signed"} {
		if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == check && strings.Contains(f.What, "not done after") }) {
			t.Errorf("not found by %s: %+v", check, r.Findings)
		}
	}
}

// TestUnpublished: nothing is wrong with what is not published yet, and all with
// what is nowhere.
func TestUnpublished(t *testing.T) {
	w := newWard(t)
	for e := range w.store.List(t.Context(), collection) {
		if !strings.HasSuffix(e.Key, "1.root.json") {
			w.remove(e.Key)
		}
	}
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 || !r.Unpublished || !slices.Contains(r.Passed, "compare-and-swap") || !slices.Contains(r.Passed, "next root") {
		t.Errorf("from inside: %+v, %v", r, err)
	}
	w.outside()
	if r, err = w.p.Examine(t.Context()); err != nil || len(r.Findings) > 0 || !r.Unpublished {
		t.Errorf("from outside: %+v, %v", r, err)
	}
	w.remove(repo.SlotKey(collection, tuf.RoleRoot, 1))
	if r, err = w.p.Examine(t.Context()); err != nil || r.Errors() == 0 || r.Unpublished {
		t.Errorf("nothing is served: %+v, %v", r, err)
	}
}

// TestCopy: what is served from a copy of the store is not taken for cached.
func TestCopy(t *testing.T) {
	w := newWard(t)
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/probe-") {
			http.Error(rw, "not found", http.StatusNotFound)
			return
		}
		w.healthy(rw, r)
	}
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
}

// keeping is a store whose credentials may not delete.
type keeping struct{ onlyProbes }

func (keeping) Delete(_ context.Context, key string, _ storage.Version) error {
	return fmt.Errorf("delete %s: %w", key, fs.ErrPermission)
}

// TestLeavesOne: where nothing may be deleted no more is tried than has to be.
func TestLeavesOne(t *testing.T) {
	w := newWard(t)
	w.p.Store = keeping{onlyProbes{w.store, ""}}
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
	var left []string
	for e := range w.store.List(t.Context(), repo.ProbeKey(collection, "")) {
		left = append(left, e.Key)
	}
	if want := []string{repo.ProbeKey(collection, "1")}; !slices.Equal(left, want) {
		t.Errorf("%q is left", left)
	}
}

// TestLocal: a directory keeps nobody out, and that is no fault of it.
func TestLocal(t *testing.T) {
	w := newWard(t)
	w.p.Store, w.p.Inbox, w.p.Local = w.store, w.inbox, true
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
}

// TestHealthyOutside: nor is anything found there by those who know no store.
func TestHealthyOutside(t *testing.T) {
	w := newWard(t)
	w.outside()
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
}

// TestSample: of very many targets some are read, and the report says how many.
func TestSample(t *testing.T) {
	w := newWard(t)
	w.publish(many(700))
	asked := map[string]bool{}
	var mu sync.Mutex
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path] = true
		mu.Unlock()
		w.healthy(rw, r)
	}
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 {
		t.Fatalf("found %+v, %v", r, err)
	}
	if r.Looked.Targets != 500 || r.Looked.Of != 702 || len(asked) > 550 {
		t.Errorf("looked at %+v, asked for %d", r.Looked, len(asked))
	}
	w.remove(repo.TargetKey(collection, "t333", forge.Sum("x")))
	if r, err = w.p.Examine(t.Context()); err != nil || !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool {
		return f.Check == "promises" && strings.Contains(f.What, `"t333"`)
	}) {
		t.Errorf("one that is missing: %+v, %v", r, err)
	}
	w.p.Deep = true
	w.flip(".b", false)
	if r, err = w.p.Examine(t.Context()); err != nil || r.Looked.Targets != 702 || r.Errors() == 0 {
		t.Errorf("with --deep: %+v, %v", r, err)
	}
}

// endlessRoots serves a root, signed by these, in place of every one that is
// missing.
func (w *ward) endlessRoots(signers []string) {
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		version, isRoot := strings.CutSuffix(path.Base(r.URL.Path), ".root.json")
		n, err := strconv.ParseInt(version, 10, 64)
		if !isRoot || err != nil || n < 2 {
			w.healthy(rw, r)
			return
		}
		root, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
		if err != nil {
			w.t.Error(err)
			return
		}
		signed := root.Signed
		signed.Version = n
		_, _ = rw.Write(forge.Signed(w.t, w.ring, signed, signers...).Bytes())
	}
}

// TestEndlessRoots: a chain of roots without an end is not followed for ever.
func TestEndlessRoots(t *testing.T) {
	w := newWard(t)
	root, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	w.endlessRoots(root.Signed.Roles[tuf.RoleRoot].KeyIDs)
	r, err := w.p.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(r.Skipped, func(s doctor.Skipped) bool { return s.Check == "next root" }); i < 0 || !strings.Contains(r.Skipped[i].Why, "more than 32 ") {
		t.Errorf("skipped %+v", r.Skipped)
	}
}

// TestUnreachable: checks that an address without answer leaves unmade say so.
func TestUnreachable(t *testing.T) {
	w := newWard(t)
	w.server.Close()
	r, err := w.p.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors() != 1 {
		t.Errorf("found %+v", r.Findings)
	}
	i := slices.IndexFunc(r.Skipped, func(s doctor.Skipped) bool { return s.Check == "CORS" })
	if i < 0 || r.Skipped[i].Why != r.Findings[0].What {
		t.Errorf("skipped %+v", r.Skipped)
	}
	w.outside()
	if r, err = w.p.Examine(t.Context()); err != nil || len(r.Findings) != 1 || r.Findings[0].Check != "reachable" {
		t.Errorf("from outside: %+v, %v", r, err)
	}
}

// TestPageForAll: a server that has a page for everything is told as that, and not
// a thousand times.
func TestPageForAll(t *testing.T) {
	w := newWard(t)
	w.publish(many(100))
	w.serve = func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<html>") }
	for range 2 {
		r, err := w.p.Examine(t.Context())
		if err != nil || r.Errors() == 0 || len(r.Findings) > 60 {
			t.Errorf("%d findings, %v", len(r.Findings), err)
		}
		w.outside()
	}
}

// TestUncached: what is wrong with everything in the same way is told once.
func TestUncached(t *testing.T) {
	w := newWard(t)
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		w.healthy(&edited{ResponseWriter: rw, edit: func(h http.Header) {
			if !strings.HasSuffix(r.URL.Path, "/timestamp.json") {
				h.Del("Cache-Control")
			}
		}}, r)
	}
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].What, "and 4 more") {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
}

// TestRevalidated: an answer that a cache has asked the server about is new.
func TestRevalidated(t *testing.T) {
	w := newWard(t)
	w.after("/timestamp.json", func(h http.Header) { h.Set("X-Cache", "RefreshHit from cloudfront") })
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
}

// TestWritesNothing: where a store has not shown that it heeds conditions, no
// object of the collection is written to find out whether that may be done.
func TestWritesNothing(t *testing.T) {
	for name, store := range map[string]func(racing) storage.Store{
		"every write is taken":   func(s racing) storage.Store { return s },
		"every write is refused": func(s racing) storage.Store { return refusing{s} },
	} {
		w := newWard(t)
		var mu sync.Mutex
		var keys []string
		w.p.Store = store(racing{w.store, func(key string) {
			mu.Lock()
			defer mu.Unlock()
			keys = append(keys, key)
		}})
		r, err := w.p.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.Skipped, func(s doctor.Skipped) bool { return s.Check == "metadata is the signer's" }) {
			t.Errorf("%s: not skipped: %+v", name, r)
		}
		if len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool { return key != repo.ProbeKey(collection, "1") }) {
			t.Errorf("%s: wrote %q", name, keys)
		}
	}
}

// TestFromOutside: who sees no more than what is served is told what is wrong
// with that, also where no client can read it.
func TestFromOutside(t *testing.T) {
	for status, check := range map[int]string{403: "next root", 200: "next root"} {
		w := newWard(t)
		w.on("/2.root.json", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, "<html>")
		})
		w.outside()
		r, err := w.p.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == check }) {
			t.Errorf("with %d: %+v", status, r)
		}
	}
}

// TestMayNotAsk: who may not invoke the signer learns nothing about it.
func TestMayNotAsk(t *testing.T) {
	w := newWard(t)
	w.p.Signer.Keys = func(context.Context) (map[string]tuf.Key, error) { return nil, fs.ErrPermission }
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) > 0 {
		t.Fatalf("found %+v, %v", r, err)
	}
	i := slices.IndexFunc(r.Skipped, func(s doctor.Skipped) bool { return s.Check == "signer answers" })
	if i < 0 || !r.Skipped[i].Denied {
		t.Errorf("skipped %+v", r.Skipped)
	}
}

// TestOpenInbox: who reads what anybody may read has no credentials to blame.
func TestOpenInbox(t *testing.T) {
	w := newWard(t)
	w.p.Inbox, w.p.Anybody = w.inbox, w.inbox
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Check != "inbox is private" || !strings.Contains(r.Findings[0].What, "/keys/") {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
}

// TestNothingServed: where nothing is served, nobody has to look for plus signs.
func TestNothingServed(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"404": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(404) },
		"403": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(403) },
		"gzip": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(rw, "some bytes")
		},
	} {
		w := newWard(t)
		w.serve = func(rw http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/targets/") || name != "404" {
				serve(rw, r)
				return
			}
			w.healthy(rw, r)
		}
		r, err := w.p.Examine(t.Context())
		if err != nil || r.Errors() == 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		for _, f := range r.Findings {
			if f.Check == "plus signs" || f.Check == "slashes as %2F" {
				t.Errorf("%s: found %+v", name, f)
			}
			if f.Check == "bytes are as signed" && name != "gzip" && !strings.Contains(f.Do, "--deep --url https://") {
				t.Errorf("%s: to do is %s", name, f.Do)
			}
		}
	}
}

// TestDoubled: a URL that has the name of the collection at its end is told as
// that, and the store is looked at nevertheless.
func TestDoubled(t *testing.T) {
	w := newWard(t)
	w.p.Base = w.server.URL + "/" + collection
	w.put(w.store, repo.MetadataDir(collection)+"/evil.json", "{}")
	r, err := w.p.Examine(t.Context())
	if err != nil || !slices.EqualFunc(r.Findings, []string{"reachable", "garbage"}, func(f doctor.Finding, check string) bool { return f.Check == check }) {
		t.Fatalf("found %+v, %v", r, err)
	}
	if do := r.Findings[0].Do; !strings.Contains(do, "--url "+w.server.URL+",") {
		t.Errorf("to do is %s", do)
	}
}

// TestWrongClock: who has a wrong clock is told that, and not that roles expired.
func TestWrongClock(t *testing.T) {
	const off = 20 * 24 * time.Hour // more than the timestamp lives
	w := newWard(t)
	w.p.Now = w.now.Add(off)
	w.p.Store = dated{onlyProbes{w.store, ""}, 0}
	w.after("", func(h http.Header) { h.Set("Date", w.now.UTC().Format(http.TimeFormat)) })
	r, err := w.p.Examine(t.Context())
	if err != nil || len(r.Findings) != 2 || r.Findings[0].Check != "clock of the server" || r.Findings[1].Check != "clock of the store" {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
	w = newWard(t)
	w.p.Now = w.now.Add(2 * off)
	w.p.Store = dated{onlyProbes{w.store, ""}, off}
	w.after("", func(h http.Header) { h.Set("Date", w.now.Add(off).UTC().Format(http.TimeFormat)) })
	if r, err = w.p.Examine(t.Context()); err != nil || !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == "expiry" }) {
		t.Errorf("expired by both clocks: %+v, %v", r.Findings, err)
	}
}

// TestFormer: a cache that has what a deleted collection of that name had is to be
// purged.
func TestFormer(t *testing.T) {
	for _, file := range []string{"/1.root.json", "/1.snapshot.json", "/1.targets.json"} {
		for _, zipped := range []bool{false, true} {
			w, old := newWard(t), newWard(t)
			w.on(file, func(rw http.ResponseWriter, r *http.Request) {
				if zipped && r.Header.Get("Accept-Encoding") != "gzip" {
					w.healthy(rw, r)
					return
				}
				old.healthy(rw, r)
			})
			r, err := w.p.Examine(t.Context())
			if err != nil || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Do, "create-invalidation --distribution-id ID --paths '/"+collection+"/*'") {
				t.Errorf("%s, for some: %v: found %+v, %v", file, zipped, r.Findings, err)
			}
		}
	}
}

func many(n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprint("t", i)] = "x"
	}
	return all
}
