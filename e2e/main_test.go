// Package e2e holds publisher, as it is built and shipped, against what it has
// no part in: real object stores, TUF clients that others wrote, other
// processes, signals.
package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var buildDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if buildDir, err = os.MkdirTemp("", "publisher-e2e-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(buildDir)
		return m.Run()
	}())
}

// build makes the binary, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(buildDir, "publisher")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", bin, "publisher/cmd/publisher")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return bin, nil
})

// An owner is somebody with a trust directory, and the environment in which
// the store takes requests.
type owner struct {
	dir   string
	store store
	bin   string
}

func newOwner(t *testing.T, s store) *owner {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return &owner{t.TempDir(), s, bin}
}

// another is somebody with a copy of everything that o has.
func (o *owner) another(t *testing.T) *owner {
	t.Helper()
	other := &owner{filepath.Join(t.TempDir(), "trust"), o.store, o.bin}
	if err := os.CopyFS(other.dir, os.DirFS(o.dir)); err != nil {
		t.Fatal(err)
	}
	return other
}

// command is publisher, ready to start, that knows nothing of the user who runs
// the tests.
func (o *owner) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.bin, append([]string{"--trust-dir", o.dir}, args...)...)
	cmd.Env = append([]string{"HOME=" + o.dir, "TMPDIR=" + os.TempDir()}, o.store.env...)
	return cmd
}

// run runs publisher, which must succeed, and returns its results.
func (o *owner) run(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := o.try(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try is run for those who can stand a failure, or are not the test's own
// goroutine.
func (o *owner) try(ctx context.Context, args ...string) ([]byte, error) {
	cmd := o.command(ctx, args...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("publisher %s: %w\n%s%s", strings.Join(args, " "), err, &out, &talk)
	}
	return out.Bytes(), nil
}

// init makes the collection and returns the SHA-256 of its root.
func (o *owner) init(t *testing.T, collection string, args ...string) (root string) {
	t.Helper()
	out := o.run(t, append([]string{"init", collection, "--store", o.store.url, "--no-passphrase", "--json"}, args...)...)
	var made struct {
		Root string `json:"root_sha256"`
	}
	if err := json.Unmarshal(out, &made); err != nil || made.Root == "" {
		t.Fatalf("init printed %s: %v", out, err)
	}
	return made.Root
}

// check has publisher prove the invariants and returns the number of targets.
func (o *owner) check(t *testing.T, collection string) int {
	t.Helper()
	var found struct {
		Targets int `json:"targets"`
	}
	out := o.run(t, "check", collection, "--deep", "--json")
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("check printed %s: %v", out, err)
	}
	return found.Targets
}

// exitCode is that of a program that ran to its end.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit.ExitCode()
}

// files is a directory tree to be published: names and contents.
type files map[string]string

func (f files) write(t *testing.T, dir string) {
	t.Helper()
	for name, content := range f {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(content), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

// sums is the hashes that clients must get.
func (f files) sums() map[string][]byte {
	sums := map[string][]byte{}
	for name, content := range f {
		sum := sha256.Sum256([]byte(content))
		sums[name] = sum[:]
	}
	return sums
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
