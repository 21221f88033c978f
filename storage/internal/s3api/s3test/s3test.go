// Package s3test tests an S3 driver on a real server: the suite of all stores,
// and what can happen between the driver and the server.
package s3test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"publisher/internal/testserver"
	"publisher/storage"
	"publisher/storage/internal/transport"
	"publisher/storage/storagetest"
)

// Open opens the bucket of a server under a prefix, which is empty or begins
// with a slash.
type Open func(t *testing.T, srv testserver.S3, prefix string, patience time.Duration) storage.Store

// Run runs all tests.
func Run(t *testing.T, srv testserver.S3, open Open) {
	t.Run("Plain", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, srv.NewBucket(t), "", transport.Patience) })
	})
	t.Run("Prefix", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return open(t, srv.NewBucket(t), "/some/pre fix+", transport.Patience)
		})
	})
	for name, test := range map[string]func(*testing.T, env){
		"Headers":         testHeaders,
		"LostAnswers":     testLostAnswers,
		"LostDelete":      testLostDelete,
		"Conflicts":       testConflicts,
		"Unavailable":     testUnavailable,
		"Truncated":       testTruncated,
		"Damaged":         testDamaged,
		"Hangs":           testHangs,
		"Resets":          testResets,
		"Denied":          testDenied,
		"NoBucket":        testNoBucket,
		"WrongKey":        testWrongKey,
		"UploadAborted":   testUploadAborted,
		"UploadLost":      testUploadLost,
		"UploadCancelled": testUploadCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			e := env{open: open, srv: srv.NewBucket(t)}
			seen, proxy := e.srv.Through(t)
			e.proxy = proxy
			e.store = open(t, seen, "", 500*time.Millisecond)
			test(t, e)
		})
	}
}

// env is a bucket with a proxy between it and the driver.
type env struct {
	open  Open
	srv   testserver.S3
	proxy *testserver.Proxy
	store storage.Store
}

func (e env) put(t *testing.T, key, body string, prev storage.Version) (storage.Version, error) {
	t.Helper()
	return e.store.Put(t.Context(), key, strings.NewReader(body), prev)
}

func (e env) want(t *testing.T, key, body string) storage.Version {
	t.Helper()
	data, v, err := storage.Read(t.Context(), e.store, key, 1<<20)
	if err != nil || string(data) != body {
		t.Errorf("%s holds %.100q, want %.100q (%v)", key, data, body, err)
	}
	return v
}

func (e env) wantMissing(t *testing.T, key string) {
	t.Helper()
	if _, err := e.store.Get(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get(%s) = %v, want fs.ErrNotExist", key, err)
	}
}

func heal(*http.Request, int) testserver.Fault { return testserver.None }

// always breaks every request of a method.
func always(method string, f testserver.Fault) func(*http.Request, int) testserver.Fault {
	return func(r *http.Request, _ int) testserver.Fault {
		if r.Method == method {
			return f
		}
		return testserver.None
	}
}

// testHeaders: conditions and checksums are only worth what is sent.
func testHeaders(t *testing.T, e env) {
	const sum = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=" // SHA-256 of "foo"
	v, err := e.put(t, "c/metadata/timestamp.json", "foo", storage.Absent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.put(t, "c/metadata/timestamp.json", "foo", v); err != nil {
		t.Fatal(err)
	}
	if _, err := e.put(t, "c/targets/x.json", "foo", storage.Absent); err != nil {
		t.Fatal(err)
	}
	for i, want := range []map[string]string{
		{"If-None-Match": "*", "If-Match": "", "Cache-Control": "no-cache", "Content-Type": "application/json"},
		{"If-None-Match": "", "If-Match": `"` + strings.Trim(string(v), `"`) + `"`},
		{"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": "application/octet-stream"},
	} {
		want["X-Amz-Checksum-Sha256"] = sum
		r := e.proxy.Requests()[i]
		for name, value := range want {
			if got := r.Header.Get(name); got != value {
				t.Errorf("request %d: %s: %q, want %q", i, name, got, value)
			}
		}
	}
	if n := len(e.proxy.Requests()); n != 3 {
		t.Errorf("%d requests for 3 writes", n)
	}
}

// testLostAnswers: the server applied the write and its answer got lost. The
// SDK tries again and meets its own write.
func testLostAnswers(t *testing.T, e env) {
	e.proxy.Break(testserver.First(1, "PUT", testserver.Lost))
	if _, err := e.put(t, "k", "one", storage.Absent); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("a create whose answer is lost: %v, want ErrConflict", err)
	}
	v := e.want(t, "k", "one")
	e.proxy.Break(testserver.First(1, "PUT", testserver.Lost))
	if _, err := e.put(t, "k", "two", v); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("a replacement whose answer is lost: %v, want ErrConflict", err)
	}
	e.want(t, "k", "two")
}

// testLostDelete: a removal whose answer is lost is not sent again blindly. By then
// somebody may have written the same bytes, and their ETag is the same.
func testLostDelete(t *testing.T, e env) {
	v, err := e.put(t, "k", "one", storage.Absent)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []testserver.Fault{testserver.Lost, testserver.Reset, testserver.Status(503)} {
		e.proxy.Break(testserver.First(1, "DELETE", f))
		if err := e.store.(storage.Deleter).Delete(t.Context(), "k", v); err != nil {
			t.Errorf("fault %d: %v", f, err)
		}
		e.wantMissing(t, "k")
		sent, looks := 0, 0
		for _, r := range e.proxy.Requests() {
			switch r.Method {
			case "DELETE":
				sent++
			case "HEAD":
				looks++
			}
		}
		if sent > looks {
			t.Errorf("fault %d: %d removals after %d looks at it", f, sent, looks)
		}
		e.proxy.Break(heal)
		if v, err = e.put(t, "k", "one", storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
}

func testConflicts(t *testing.T, e env) {
	for _, code := range []int{409, 412} {
		e.proxy.Break(always("PUT", testserver.Status(code)))
		if _, err := e.put(t, "k", "x", storage.Absent); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("%d: %v, want ErrConflict", code, err)
		}
	}
	e.proxy.Break(heal)
	e.wantMissing(t, "k")
}

func testUnavailable(t *testing.T, e env) {
	e.proxy.Break(testserver.First(2, "PUT", testserver.Status(503)))
	if _, err := e.put(t, "k", "x", storage.Absent); err != nil {
		t.Errorf("503 twice: %v", err)
	}
	e.proxy.Break(testserver.First(2, "GET", testserver.Status(503)))
	e.want(t, "k", "x")
	e.proxy.Break(always("PUT", testserver.Status(503)))
	_, err := e.put(t, "never", "x", storage.Absent)
	if err == nil || errors.Is(err, storage.ErrConflict) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("503 for ever: %v, want an error of no kind", err)
	}
}

func testTruncated(t *testing.T, e env) {
	body := strings.Repeat("0123456789", 1000)
	if _, err := e.put(t, "k", body, storage.Absent); err != nil {
		t.Fatal(err)
	}
	e.proxy.Break(always("GET", testserver.Truncate))
	if data, _, err := storage.Read(t.Context(), e.store, "k", 1<<20); err == nil {
		t.Errorf("a truncated read returned %d bytes of %d and no error", len(data), len(body))
	}
	e.proxy.Break(heal)
	e.want(t, "k", body)
}

// testDamaged: an object that something has changed behind the server comes with
// storage.ErrDamaged, whatever its size, and with all of its bytes.
func testDamaged(t *testing.T, e env) {
	for key, size := range map[string]int{"small": 1000, "large": 3 << 20} {
		body := strings.Repeat("x", size)
		if _, err := e.put(t, key, body, storage.Absent); err != nil {
			t.Fatal(err)
		}
		e.srv.Flip(t, key)
		data, _, err := storage.Read(t.Context(), e.store, key, 4<<20)
		if !errors.Is(err, storage.ErrDamaged) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want ErrDamaged", key, err)
		}
		if want := body[1:] + "y"; string(data) != want {
			t.Errorf("%s: %d bytes that end in %q came", key, len(data), data[max(0, len(data)-5):])
		}
	}
}

func testHangs(t *testing.T, e env) {
	start := time.Now()
	for _, method := range []string{"GET", "PUT"} {
		e.proxy.Break(always(method, testserver.Hang))
		var err error
		if method == "GET" {
			_, err = e.store.Get(t.Context(), "k")
		} else {
			_, err = e.put(t, "k", "x", storage.Absent)
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, storage.ErrConflict) {
			t.Errorf("%s to a server that hangs: %v", method, err)
		}
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("it took %v to give up", d)
	}
}

func testResets(t *testing.T, e env) {
	e.proxy.Break(testserver.First(1, "PUT", testserver.Reset))
	if _, err := e.put(t, "k", "x", storage.Absent); err != nil {
		t.Errorf("a write after a reset: %v", err)
	}
	e.proxy.Break(testserver.First(1, "GET", testserver.Reset))
	e.want(t, "k", "x")
}

func testDenied(t *testing.T, e env) {
	e.proxy.Break(func(*http.Request, int) testserver.Fault { return testserver.Status(403) })
	_, get := e.store.Get(t.Context(), "dir/k")
	_, put := e.put(t, "dir/k", "x", storage.Absent)
	_, stat := e.store.(storage.Stater).Stat(t.Context(), "dir/k")
	var list error
	for _, list = range e.store.List(t.Context(), "dir/") {
	}
	for err, says := range map[error]string{
		get: "s3:GetObject on " + e.srv.Bucket + "/dir/k", put: "s3:PutObject on " + e.srv.Bucket + "/dir/k",
		stat: "s3:GetObject", list: "s3:ListBucket on " + e.srv.Bucket,
	} {
		if !errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want fs.ErrPermission that names %s", err, says)
		}
	}
}

func wantAll(t *testing.T, s storage.Store, want error) {
	t.Helper()
	errs := map[string]error{}
	_, errs["Get"] = s.Get(t.Context(), "k")
	_, errs["Stat"] = s.(storage.Stater).Stat(t.Context(), "k")
	_, errs["Put"] = s.Put(t.Context(), "k", strings.NewReader("x"), storage.Absent)
	_, errs["Put over"] = s.Put(t.Context(), "k", strings.NewReader("x"), "v")
	_, errs["Put big"] = s.Put(t.Context(), "k", storagetest.NewBody(70<<20), storage.Absent)
	errs["Delete"] = s.(storage.Deleter).Delete(t.Context(), "k", "v")
	for _, err := range s.List(t.Context(), "") {
		errs["List"] = err
	}
	for method, err := range errs {
		if !errors.Is(err, want) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, storage.ErrConflict) {
			t.Errorf("%s: %v, want %v", method, err, want)
		}
	}
}

func testNoBucket(t *testing.T, e env) {
	e.srv.Bucket = "no-such-bucket"
	wantAll(t, e.open(t, e.srv, "", transport.Patience), storage.ErrNoStore)
}

func testWrongKey(t *testing.T, e env) {
	e.srv.SecretKey = "something-else-altogether"
	wantAll(t, e.open(t, e.srv, "", transport.Patience), fs.ErrPermission)
}

const big = 70 << 20

// testUploadAborted: whatever ends an upload, the server keeps no part of it.
func testUploadAborted(t *testing.T, e env) {
	wrong := storage.WithSHA256(storagetest.NewBody(big), make([]byte, 32), big)
	if _, err := e.store.Put(t.Context(), "k", wrong, storage.Absent); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("a big body with a wrong hash: %v, want ErrCorrupt", err)
	}
	e.proxy.Break(always("PUT", testserver.Status(403)))
	if _, err := e.store.Put(t.Context(), "k", storagetest.NewBody(big), storage.Absent); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a part is refused: %v, want fs.ErrPermission", err)
	}
	e.proxy.Break(heal)
	e.wantMissing(t, "k")
	if n := e.srv.Uploads(t); n != 0 {
		t.Errorf("%d uploads are left behind", n)
	}
}

func testUploadCancelled(t *testing.T, e env) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e.proxy.Break(func(r *http.Request, n int) testserver.Fault {
		if n == 5 {
			cancel()
		}
		return testserver.None
	})
	if _, err := e.store.Put(ctx, "k", storagetest.NewBody(big), storage.Absent); err == nil {
		t.Error("a cancelled upload succeeded")
	}
	e.proxy.Break(heal)
	e.wantMissing(t, "k")
	if n := e.srv.Uploads(t); n != 0 {
		t.Errorf("%d uploads are left behind", n)
	}
}

// testUploadLost: an answer to any step gets lost, and the SDK tries again. The
// object is there in whole or not at all, and what Put says is not wrong.
func testUploadLost(t *testing.T, e env) {
	sum := storagetest.Sum(big)
	for _, step := range []string{"POST", "PUT"} {
		key := "k" + step
		e.proxy.Break(testserver.First(1, step, testserver.Lost))
		if _, err := e.store.Put(t.Context(), key, storagetest.NewBody(big), storage.Absent); err != nil {
			t.Errorf("lost answer to the first %s: %v", step, err)
		}
	}
	e.proxy.Break(func(r *http.Request, _ int) testserver.Fault {
		if r.Method == "POST" && r.URL.Query().Has("uploadId") {
			return testserver.Lost
		}
		return testserver.None
	})
	_, err := e.store.Put(t.Context(), "last", storagetest.NewBody(big), storage.Absent)
	if err == nil {
		t.Error("all answers to the last step are lost, and Put returned no error")
	}
	e.proxy.Break(heal)
	obj, err := e.store.Get(t.Context(), "last")
	if err != nil {
		t.Fatal(err)
	}
	if got := hashOf(t, obj.Body); !bytes.Equal(got, sum) {
		t.Errorf("the object has SHA-256 %x, want %x", got, sum)
	}
}

func hashOf(t *testing.T, body io.ReadCloser) []byte {
	t.Helper()
	defer body.Close()
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		t.Error(err)
	}
	return h.Sum(nil)
}
