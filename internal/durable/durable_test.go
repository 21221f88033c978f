package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"publisher/internal/durable"
)

var writers = map[string]func(string, []byte, fs.FileMode) error{
	"WriteFile":  durable.WriteFile,
	"CreateFile": durable.CreateFile,
}

func TestNewFile(t *testing.T) {
	for name, write := range writers {
		for _, perm := range []fs.FileMode{0o600, 0o640, 0o400} {
			t.Run(fmt.Sprint(name, perm), func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "f")
				if err := write(file, []byte("content"), perm); err != nil {
					t.Fatal(err)
				}
				wantFile(t, file, "content")
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				if got := info.Mode(); runtime.GOOS != "windows" && got != perm {
					t.Errorf("mode %v, want %v", got, perm)
				}
				wantNames(t, filepath.Dir(file), "f")
			})
		}
	}
}

func TestWriteFileReplaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"a long first content", "second", ""} {
		if err := durable.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		wantFile(t, file, content)
	}
	wantNames(t, filepath.Dir(file), "f")
}

func TestCreateFileKeepsWhatIsThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := durable.CreateFile(file, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.CreateFile(file, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v, want fs.ErrExist", err)
	}
	wantFile(t, file, "first")
	wantNames(t, filepath.Dir(file), "f")
}

func TestCreateFileRace(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		file := filepath.Join(dir, "f")
		contents := make([][]byte, 16)
		errs := make([]error, len(contents))
		var wg sync.WaitGroup
		for i := range contents {
			contents[i] = bytes.Repeat([]byte{byte('a' + i)}, 10_000)
			wg.Go(func() { errs[i] = durable.CreateFile(file, contents[i], 0o600) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("writers %d and %d both won", winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, fs.ErrExist):
				t.Fatal(err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody won")
		}
		wantFile(t, file, string(contents[winner]))
		wantNames(t, dir, "f")
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	for name, write := range writers {
		t.Run(name+" to a missing directory", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "missing", "f")
			wantError(t, write(file, nil, 0o600), file, fs.ErrNotExist)
			wantNames(t, filepath.Dir(filepath.Dir(file)))
		})
		t.Run(name+" over a directory", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "f")
			if err := os.MkdirAll(filepath.Join(file, "full"), 0o700); err != nil {
				t.Fatal(err)
			}
			wantError(t, write(file, nil, 0o600), file, nil)
			wantNames(t, filepath.Dir(file), "f")
		})
	}
}

// wantError checks that err is told under the file's own name.
func wantError(t *testing.T, err error, file string, target error) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Fatalf("got %v, want %v", err, target)
	}
	if msg := err.Error(); !strings.Contains(msg, " "+file+": ") || strings.Contains(msg, ".tmp-") {
		t.Errorf("error does not name %s alone: %s", file, msg)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; filepath.Base(d) != "a"; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v", d, info.Mode())
		}
	}
}

func TestMkdirAllRace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := durable.MkdirAll(dir, 0o700); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMkdirAllOverFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if err := durable.MkdirAll(dir, 0o700); err == nil {
			t.Errorf("%s was made", dir)
		}
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".tmp-ABC", ".tmp-", "f", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, ".hidden", "f")
	if err := durable.Sweep(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sweep of a missing directory: %v", err)
	}
}

func wantFile(t *testing.T, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("%s has %d bytes that are not the %d wanted", name, len(got), len(want))
	}
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s holds %v, want %v", dir, got, want)
	}
}
