package interop

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// emptyCache moves the user's cache directory, on every system, for one test.
func emptyCache(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, env := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(env, dir)
	}
}

func TestInstallOnce(t *testing.T) {
	emptyCache(t)
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := install("tufjs", func(_, dst string) error {
				made.Add(1)
				return os.WriteFile(filepath.Join(dst, "done"), nil, 0o644)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(filepath.Join(dir, "done")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times, want once", made.Load())
	}
}

func TestInstallFails(t *testing.T) {
	emptyCache(t)
	broken := errors.New("broken")
	_, err := install("tufjs", func(_, dst string) error {
		return errors.Join(broken, os.WriteFile(filepath.Join(dst, "half"), nil, 0o644))
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
	dir, err := install("tufjs", func(_, _ string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
		t.Error("the failed installation left a file behind")
	}
}

func TestSourceKeyFollowsSources(t *testing.T) {
	dir := t.TempDir()
	keys := map[string]bool{}
	for _, content := range []string{"a", "b", "ab"} {
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		key, err := sourceKey(dir)
		if err != nil {
			t.Fatal(err)
		}
		keys[key] = true
	}
	if len(keys) != 3 {
		t.Errorf("got %d keys for 3 versions of the sources", len(keys))
	}
}

func TestWithoutNode(t *testing.T) {
	Clients(t) // the Go client must be installed before PATH goes
	t.Setenv("PATH", "")
	_, err := lookNode("node")
	if err == nil || !strings.Contains(err.Error(), "install the packages nodejs and npm") {
		t.Errorf("got %v, want what to install", err)
	}
	t.Setenv("PUBLISHER_TEST_NO_NODE", "1")
	for _, c := range Clients(t) {
		if !strings.HasPrefix(c.Name(), "go-tuf-") {
			t.Errorf("%s is there without Node.js", c.Name())
		}
	}
}

// TestRunFaults has programs end as no client should: neither may pass for a refusal.
func TestRunFaults(t *testing.T) {
	for _, arg := range []string{"version", "no-such-command"} {
		got, err := run(exec.CommandContext(t.Context(), "go", arg), job{})
		if err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("go %s: got %v, %v, want an error that is not a refusal", arg, got, err)
		}
	}
}
