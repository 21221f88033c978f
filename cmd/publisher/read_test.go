package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/serve"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage/dir"
)

const (
	testCollection = "example.com/scripts"
	testContent    = "echo installed\n"
)

// readable is a store with one target, install.sh, and the environment of
// somebody who trusts its root.
func readable(t *testing.T) http.Handler {
	t.Helper()
	store := t.TempDir()
	t.Setenv("PUBLISHER_TRUST_DIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "install.sh")
	if err := os.WriteFile(file, []byte(testContent), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", testCollection, "--store", "file://" + filepath.ToSlash(store), "--no-passphrase"},
		{"add", testCollection, "install.sh", file, "-p"},
	} {
		if r := runWith(t, t.Context(), nil, args...); r.code != exitOK {
			t.Fatalf("%q: %s", args, r.err)
		}
	}
	t.Setenv("TMPDIR", t.TempDir()) // last, since t.TempDir goes by it too
	s, err := dir.Open(store)
	if err != nil {
		t.Fatal(err)
	}
	return serve.Handler(s)
}

type ran struct {
	code     int
	out, err string
}

// runWith runs the program in this process. Without stdin it gets an empty one.
func runWith(t *testing.T, ctx context.Context, stdin *os.File, args ...string) ran {
	t.Helper()
	files := filepath.Join(os.Getenv("PUBLISHER_TRUST_DIR"), "std")
	if err := os.MkdirAll(files, 0o700); err != nil {
		t.Fatal(err)
	}
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(files, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	if stdin == nil {
		stdin = open("stdin")
	}
	stdout, stderr := open("stdout"), open("stderr")
	r := ran{code: run(ctx, args, stdin, stdout, stderr)}
	for f, text := range map[*os.File]*string{stdout: &r.out, stderr: &r.err} {
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		*text = string(data)
	}
	return r
}

// workDir is t.TempDir outside $TMPDIR, which is watched.
func workDir(t *testing.T) string {
	t.Helper()
	work, err := os.MkdirTemp(os.Getenv("PUBLISHER_TRUST_DIR"), "work")
	if err != nil {
		t.Fatal(err)
	}
	return work
}

// wantEmpty checks that nothing was left in a directory.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in %s: %v, %v", dir, entries, err)
	}
}

// TestBadMirrors: whatever a server does with a target, no file appears.
func TestBadMirrors(t *testing.T) {
	good := readable(t)
	write := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
	}
	mirrors := []struct {
		name    string
		target  http.HandlerFunc
		code    int
		message string
	}{
		{"other bytes", write("echo destroyed\n"), exitVerification, "does not have the signed hash"},
		{"too short", write("echo"), exitVerification, "4 bytes, the signed length is 15"},
		{"too long", write(testContent + "rm -rf ."), exitVerification, "more than the signed length of 15 bytes"},
		{"endless", endless, exitVerification, "more than the signed length of 15 bytes"},
		{"a web page", write("<html>" + strings.Repeat(" ", 100)), exitVerification, "more than the signed length"},
		{"gone", status(404), exitVerification, "verify example.com/scripts/targets/"},
		{"forbidden", status(403), exitPermission, "hint: the server must let everybody read, and answer 404"},
		{"cut off", cutOff, exitFailed, "unexpected EOF"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, exitFailed, "302"},
	}
	for _, m := range mirrors {
		t.Run(m.name, func(t *testing.T) {
			server := httptest.NewServer(replaceTargets(good, m.target))
			defer server.Close()
			work := workDir(t)
			for _, out := range []string{filepath.Join(work, "out"), "-"} {
				r := runWith(t, t.Context(), nil, "download", testCollection, "install.sh", "--url", server.URL, "-o", out)
				if r.code != m.code || r.out != "" || !strings.Contains(r.err, m.message) {
					t.Errorf("exit code %d, stdout %q, want %d and %q in: %s", r.code, r.out, m.code, m.message, r.err)
				}
			}
			wantEmpty(t, work)
			wantEmpty(t, os.Getenv("TMPDIR"))
		})
	}
}

// replaceTargets answers requests for targets with another handler.
func replaceTargets(good http.Handler, targets http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/targets/") {
			targets(w, r)
			return
		}
		good.ServeHTTP(w, r)
	})
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 32<<10)); err != nil {
			return
		}
	}
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(testContent)))
	_, _ = io.WriteString(w, testContent[:5])
}

// TestInterruptedDownload: an interrupt in the middle leaves nothing.
func TestInterruptedDownload(t *testing.T) {
	good := readable(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(replaceTargets(good, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, testContent[:5])
		_ = http.NewResponseController(w).Flush()
		time.AfterFunc(50*time.Millisecond, cancel)
		<-r.Context().Done()
	}))
	defer server.Close()
	work := workDir(t)
	r := runWith(t, ctx, nil, "download", testCollection, "install.sh", "--url", server.URL, "-o", work+"/")
	if r.code != exitInterrupted {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	wantEmpty(t, work)
}

// TestInterruptedVerify: an interrupt while stdin waits leaves nothing, and
// does not wait for stdin.
func TestInterruptedVerify(t *testing.T) {
	readable(t)
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer feed.Close()
	if _, err := io.WriteString(feed, testContent[:5]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	r := runWith(t, ctx, in, "verify", testCollection, "install.sh")
	if r.code != exitInterrupted || r.out != "" {
		t.Errorf("exit code %d, stdout %q: %s", r.code, r.out, r.err)
	}
	wantEmpty(t, os.Getenv("TMPDIR"))
}

func TestDescribe(t *testing.T) {
	target := func(role, name string, length int64) repo.Target {
		return repo.Target{Name: name, Role: role, TargetFile: tuf.TargetFile{Length: length}}
	}
	got := describe([]repo.Target{
		target("targets", "a", 1), target("releases", "a", 2), target("releases", "b", 3), target("releases.ci", "b", 4),
	})
	want := []listedTarget{{Name: "a", Role: "targets", Size: 1}, {Name: "b", Role: "targets/releases", Size: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"a b+c é.sh": "a b+c é.sh", "a\x1b[2Jb": `"a\x1b[2Jb"`, "a\nb": `"a\nb"`, "\u202ea": `"\u202ea"`, "\xff": `"\xff"`,
	} {
		if got := printable(s); got != want {
			t.Errorf("printable(%q) = %s, want %s", s, got, want)
		}
	}
}
