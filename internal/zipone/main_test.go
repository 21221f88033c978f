package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPack packs one program twice, under other times and modes.
func TestPack(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "bootstrap")
	content := bytes.Repeat([]byte("program"), 1000)
	var packed [][]byte
	for i, mode := range []os.FileMode{0o600, 0o777} {
		if err := os.WriteFile(program, content, mode); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2020+i, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(program, at, at); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "out.zip")
		if err := pack(program, to); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		packed = append(packed, data)
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("the same program, two different zips")
	}
	r, err := zip.NewReader(bytes.NewReader(packed[0]), int64(len(packed[0])))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != 1 || r.File[0].Name != "bootstrap" || r.File[0].Mode() != 0o755 {
		t.Fatalf("%v", r.File)
	}
	f, err := r.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes inside, %v", len(got), err)
	}
}
