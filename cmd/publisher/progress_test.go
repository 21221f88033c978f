//go:build linux || darwin

package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestProgress has an upload take four seconds. Only who sits at a terminal, and
// did not ask for silence, sees a bar; and no escape codes with NO_COLOR.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "big")
	if err := os.WriteFile(file, make([]byte, 20<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(slowly(&s3Server{mode: "good", objects: map[string][]byte{}}))
	t.Cleanup(server.Close)
	store := "s3://bucket/prefix?region=us-east-1&endpoint=" + server.URL
	for _, row := range []struct {
		name     string
		terminal bool
		flags    []string
		env      string
		want     []string
		wantNot  []string
	}{
		{"terminal", true, nil, "X=", []string{"uploading", "\x1b[", "warning:"}, nil},
		{"terminal-plain", true, nil, "NO_COLOR=1", []string{"uploading", "warning: "}, []string{"\x1b"}},
		{"terminal-quiet", true, []string{"-q"}, "X=", nil, []string{"uploading", "\x1b"}},
		{"pipe", false, nil, "X=", []string{"warning: "}, []string{"uploading", "\x1b", "\r"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			collection := "example.com/" + row.name
			trust := t.TempDir()
			env := []string{"HOME=" + dir, "PUBLISHER_TRUST_DIR=" + trust, "TERM=xterm-256color", row.env,
				"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true"}
			watch(t, false, env, "init", collection, "--store", store, "--no-passphrase")
			watch(t, false, env, "add", collection, "big", file)
			seen := watch(t, row.terminal, env, append(row.flags, "publish", collection)...)
			for _, text := range row.want {
				if !strings.Contains(seen, text) {
					t.Errorf("%q is not shown: %q", text, seen)
				}
			}
			for _, text := range row.wantNot {
				if strings.Contains(seen, text) {
					t.Errorf("%q is shown: %q", text, seen)
				}
			}
		})
	}
}

// TestProgressRate has half of the work done at the first advance, as hashing
// two large files does. The bar is not drawn at every advance, only so often: the
// rest comes in steps, for as long as a busy machine may need to draw one.
func TestProgressRate(t *testing.T) {
	terminal, stderr, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if err := pty.Setsize(stderr, &pty.Winsize{Rows: 25, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	seen := make(chan string)
	go func() {
		all, _ := io.ReadAll(terminal) // ends with EIO
		seen <- string(all)
	}()
	advance, finish := newApp(nil, nil, stderr).progress("hashing", 200<<20)
	time.Sleep(1100 * time.Millisecond)
	advance(100 << 20)
	for range 9 {
		time.Sleep(150 * time.Millisecond)
		advance(10 << 20)
	}
	finish()
	stderr.Close()
	if seen := <-seen; !strings.Contains(seen, "MB/s") {
		t.Errorf("no rate in MB/s: %q", seen)
	}
}

// slowly takes four seconds for what is large: the connection's buffers swallow
// a part of it at once.
func slowly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 1<<20 {
			body := new(bytes.Buffer)
			for range 40 {
				if _, err := io.CopyN(body, r.Body, r.ContentLength/40); err != nil {
					panic(http.ErrAbortHandler)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if _, err := io.Copy(body, r.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
			r.Body = io.NopCloser(body)
		}
		next.ServeHTTP(w, r)
	})
}

// watch runs the program, which must succeed, and returns what it tells on
// stderr: a terminal, or a pipe.
func watch(t *testing.T, terminal bool, env []string, args ...string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Args[0] = "publisher" // by which TestMain knows
	cmd.Env = env
	var seen bytes.Buffer
	if !terminal {
		cmd.Stderr = &seen
		if err := cmd.Run(); err != nil {
			t.Fatalf("publisher %q: %v\n%s", args, err, &seen)
		}
		return seen.String()
	}
	screen, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	cmd.Stderr = tty
	err = cmd.Start()
	tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(&seen, screen) // ends with an error when nobody has the terminal open
	if err := cmd.Wait(); err != nil {
		t.Fatalf("publisher %q: %v\n%s", args, err, &seen)
	}
	return seen.String()
}
