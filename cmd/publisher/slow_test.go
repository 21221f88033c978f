package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"publisher/storage"
)

// TestSlowDownload: a download that would never end is given up, and leaves
// nothing behind.
func TestSlowDownload(t *testing.T) {
	dir := t.TempDir()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, out := filepath.Join(dir, "big"), filepath.Join(dir, "got")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	trust := []string{"--trust-dir", filepath.Join(dir, "trust"), "--no-input"}
	for _, args := range [][]string{
		{"init", "example.com/a", "--store", "file://" + filepath.ToSlash(filepath.Join(dir, "store")), "--no-passphrase"},
		{"add", "example.com/a", "big", file, "--publish"},
	} {
		if code := run(t.Context(), append(args, trust...), null, null, null); code != 0 {
			t.Fatalf("%v: exit code %d", args, code)
		}
	}
	a := newApp(null, null, null)
	cmd := newRoot(a)
	a.flags.trustDir = trust[1]
	if err := a.start(cmd); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.now = func() time.Time { now = now.Add(10 * time.Minute); return now } // for every 256 KiB
	err = a.download(t.Context(), "example.com/a", []string{"big"}, out)
	if !errors.Is(err, storage.ErrSlow) {
		t.Errorf("%v", err)
	}
	if _, hint := diagnose(err); hint != "run the same command again later, or read from another mirror with --url" {
		t.Errorf("the hint is %q", hint)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*got*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
