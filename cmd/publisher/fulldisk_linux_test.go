package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk fills the disk of the store, and that of the trust directory.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no small disk to be had: %v", err)
	}
	defer func() {
		if err := unix.Unmount(small, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 2<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	succeed := func(args ...string) {
		t.Helper()
		if _, talk, err := runIn(t, dir, args...); err != nil {
			t.Fatalf("publisher %q: %v\n%s", args, err, talk)
		}
	}
	fail := func(args ...string) {
		t.Helper()
		_, talk, err := runIn(t, dir, args...)
		if err == nil || !strings.Contains(string(talk), "error: ") || !strings.Contains(string(talk), "hint: make room on the disk") {
			t.Errorf("publisher %q: %v\n%s", args, err, talk)
		}
	}
	succeed("init", "example.com/a", "--store", "file://"+filepath.ToSlash(small), "--no-passphrase", "-p")
	succeed("add", "example.com/a", "big", big)
	fail("publish", "example.com/a")
	succeed("check", "example.com/a")
	succeed("reset", "example.com/a", "--all")
	succeed("add", "example.com/a", "big", big)
	if err := os.Truncate(big, 1<<10); err != nil { // it fits now
		t.Fatal(err)
	}
	succeed("add", "example.com/a", "big", big, "-p")

	fill(t, filepath.Join(small, "filling"))
	fail("init", "example.com/b", "--store", "file://"+filepath.ToSlash(dir)+"/other", "--no-passphrase", "--trust-dir", filepath.Join(small, "trust"))
	if keys, err := filepath.Glob(filepath.Join(small, "trust", "private", "*")); err != nil || len(keys) > 0 {
		t.Errorf("left behind: %v, %v", keys, err)
	}
	if err := os.Remove(filepath.Join(small, "filling")); err != nil {
		t.Fatal(err)
	}
	succeed("init", "example.com/b", "--store", "file://"+filepath.ToSlash(dir)+"/other", "--no-passphrase", "--trust-dir", filepath.Join(small, "trust"))
}

// fill writes until nothing more fits.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
