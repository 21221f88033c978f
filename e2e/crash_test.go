package e2e

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/testserver"
)

const kills = 30

// TestKilledPublish kills publish at moments spread over its whole run. What is
// published must be whole after each, and complete after a plain re-run.
func TestKilledPublish(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			testKilledPublish(t, k.open(t))
		})
	}
}

func testKilledPublish(t *testing.T, s store) {
	const collection = "example.com/killed"
	o := newOwner(t, s)
	o.init(t, collection, "--publish")
	tree := t.TempDir()
	took, killed := 0*time.Second, 0
	for i := range kills + 1 {
		f := files{}
		for n := range 5 {
			f[fmt.Sprintf("%d/%d", i, n)] = fmt.Sprintf("file %d of publish %d", n, i)
		}
		f.write(t, tree)
		o.run(t, "add", collection, "-R", filepath.Join(tree, fmt.Sprint(i)), "--prefix", fmt.Sprint(i))
		if i == 0 { // to see how long it takes
			started := time.Now()
			o.run(t, "publish", collection)
			took = time.Since(started)
			continue
		}
		if killPublish(t, o, collection, time.Duration(rand.Float64()*1.2*float64(took))) {
			killed++
		}
		if n := o.check(t, collection); n != 5*i && n != 5*(i+1) {
			t.Fatalf("killed, check counts %d targets, want %d or %d", n, 5*i, 5*(i+1))
		}
		o.run(t, "publish", collection)
		if n := o.check(t, collection); n != 5*(i+1) {
			t.Fatalf("run again, check counts %d targets, want %d", n, 5*(i+1))
		}
	}
	t.Logf("a publish takes %v; %d of %d were killed before their end", took.Round(time.Millisecond), killed, kills)
	if killed < kills/4 {
		t.Errorf("only %d of %d were killed before their end", killed, kills)
	}
}

// killPublish starts a publish, gives it a while, and reports whether it was
// killed before its end.
func killPublish(t *testing.T, o *owner, collection string, after time.Duration) bool {
	t.Helper()
	cmd := o.command(t.Context(), "publish", collection)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill() // it may have ended
	return cmd.Wait() != nil
}

const big = 200 << 20

// TestInterruptedUpload presses Ctrl-C while a big target is on its way.
func TestInterruptedUpload(t *testing.T) {
	if testing.Short() {
		t.Skip("uploads 200 MB")
	}
	versity := testserver.VersityGW(t)
	t.Run("directory", func(t *testing.T) {
		s, dir := directoryIn(t)
		interrupt(t, s, func() bool { return hasUpload(dir) })
	})
	for name, through := range map[string]func(*testing.T, testserver.S3) store{"s3": throughS3, "minio": throughMinIO} {
		t.Run("versitygw by "+name, func(t *testing.T) {
			server := versity.NewBucket(t)
			var began func() bool
			server.Endpoint, began = stalling(t, server.Endpoint)
			interrupt(t, through(t, server), began)
			if n := server.Uploads(t); n != 0 {
				t.Errorf("%d multipart uploads were left", n)
			}
		})
	}
}

// interrupt sends SIGINT to a publish of a big target once its upload has begun. It must exit
// 130 and leave nothing that was not there before.
func interrupt(t *testing.T, s store, begun func() bool) {
	const collection = "example.com/interrupted"
	o := newOwner(t, s)
	o.init(t, collection, "--publish")
	file := filepath.Join(t.TempDir(), "big")
	writeRandom(t, file, big)
	o.run(t, "add", collection, "big", file)
	before := s.keys(t)

	cmd := o.command(t.Context(), "publish", collection)
	var talk bytes.Buffer
	cmd.Stderr = &talk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); !begun(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			t.Fatalf("no upload began: %v\n%s", cmd.Wait(), &talk)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if code := exitCode(t, cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, &talk)
	}
	took := time.Since(started)
	if took > 15*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if took > 2*time.Second && !strings.Contains(talk.String(), "interrupted: parts of files are on their way") {
		t.Errorf("it took %v to end, without a word: %s", took, &talk)
	}
	if diff := cmp.Diff(before, s.keys(t)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
	if n := o.check(t, collection); n != 0 {
		t.Errorf("check counts %d targets, want 0", n)
	}
}

// hasUpload reports whether a store has a file of at least a megabyte.
func hasUpload(dir string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what vanished meanwhile is not what is looked for
		}
		if info, err := d.Info(); err == nil && info.Size() > 1<<20 {
			found = true
		}
		return nil
	})
	return found
}

// stalling is a way to the server on which the third part of an upload, and
// all that follow, never arrive; began reports whether that was tried.
func stalling(t *testing.T, endpoint string) (through string, began func() bool) {
	upstream, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var parts []string
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorLog: log.New(io.Discard, "", 0), // that the client hangs up is the point
	}
	stalled := func(r *http.Request) bool {
		part := r.URL.Query().Get("partNumber")
		if part == "" {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
		return len(parts) >= 3
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stalled(r) {
			_, _ = io.Copy(io.Discard, r.Body) // before that, nobody notices that the client is gone
			<-r.Context().Done()
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	t.Cleanup(proxy.CloseClientConnections)
	return proxy.URL, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(parts) >= 3
	}
}
