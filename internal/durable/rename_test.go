package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRenameNew(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	for name, content := range map[string]string{from: "new", to: "old"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := renameNew(from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("not on this system")
	}
	if !errors.Is(err, fs.ErrExist) {
		t.Fatalf("over a file: got %v, want fs.ErrExist", err)
	}
	if data, err := os.ReadFile(to); err != nil || string(data) != "old" {
		t.Fatalf("the file there now has %q, %v", data, err)
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := renameNew(from, to); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(to); err != nil || string(data) != "new" {
		t.Fatalf("the moved file has %q, %v", data, err)
	}
	if _, err := os.Lstat(from); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the old name: %v", err)
	}
}
