package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"publisher/storage"
	"publisher/storage/storagetest"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s storage.Store, key, body string, prev storage.Version) storage.Version {
	t.Helper()
	v, err := s.Put(t.Context(), key, strings.NewReader(body), prev)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// files lists everything below a directory, hidden files included.
func files(t testing.TB, root string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if path != root {
			rel, _ := filepath.Rel(root, path)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func wantFiles(t testing.TB, root string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, files(t, root)); diff != "" {
		t.Errorf("files on disk (-want +got):\n%s", diff)
	}
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, t.TempDir()) })
}

func TestSuiteUnderPrefix(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return storage.Prefix(open(t, t.TempDir()), "some/prefix") })
}

func TestOpen(t *testing.T) {
	root := filepath.Join(t.TempDir(), "not", "yet")
	s := open(t, root)
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get from a directory that is missing: %v", err)
	}
	if err := s.Delete(t.Context(), "k", "v"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Delete in a directory that is missing: %v", err)
	}
	for e, err := range s.List(t.Context(), "") {
		t.Errorf("a directory that is missing lists %v, %v", e, err)
	}
	if _, err := os.Stat(filepath.Dir(root)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("reading created the directory")
	}
	put(t, s, "k", "x", storage.Absent)
	wantFiles(t, root, "k")

	if _, err := Open(filepath.Join(root, "k")); err == nil {
		t.Error("a file was opened as a store")
	}
	if _, err := Open(""); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Open of an empty path: %v", err)
	}
}

// Whatever happens, no temporary file is left, and no empty directory.
func TestLeavesNothing(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	v := put(t, s, "a/b/c", "x", storage.Absent)
	wantFiles(t, root, "a", "a/b", "a/b/c")
	wrong := storage.WithSHA256(strings.NewReader("y"), make([]byte, 32), 1)
	if _, err := s.Put(t.Context(), "d/e", wrong, storage.Absent); !errors.Is(err, storage.ErrCorrupt) {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), "a/b/c", strings.NewReader("y"), storage.Absent); !errors.Is(err, storage.ErrConflict) {
		t.Error(err)
	}
	b, _, discard := s.Batch()
	put(t, b, "f/g", "x", storage.Absent)
	discard()
	wantFiles(t, root, "a", "a/b", "a/b/c")
	if err := s.Delete(t.Context(), "a/b/c", v); err != nil {
		t.Error(err)
	}
	wantFiles(t, root)
}

func TestTemporaryFilesAreNoObjects(t *testing.T) {
	s := open(t, t.TempDir())
	b, flush, discard := s.Batch()
	defer discard()
	put(t, b, "k", "x", storage.Absent)
	hidden := files(t, s.path)
	if len(hidden) != 3 || !strings.HasPrefix(hidden[2], tempDir+"/") {
		t.Fatalf("a batch keeps %q, want one file in %s", hidden, tempDir)
	}
	for _, key := range hidden {
		if _, err := s.Get(t.Context(), key); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Get(%q) = %v, want fs.ErrInvalid", key, err)
		}
	}
	for _, prefix := range []string{"", tempDir, hidden[1]} {
		for e := range s.List(t.Context(), prefix) {
			t.Errorf("List(%q) yields %q", prefix, e.Key)
		}
	}
	put(t, s, "other", "x", storage.Absent) // shares the session, and must not end it
	if err := flush(t.Context()); err != nil {
		t.Error(err)
	}
	wantFiles(t, s.path, "k", "other")
}

func TestSymlinksStayInside(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"dir": outside, "file": filepath.Join(outside, "secret")} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Skip(err)
		}
	}
	s := open(t, root)
	for _, key := range []string{"file", "dir/secret"} {
		if obj, err := s.Get(t.Context(), key); err == nil {
			obj.Body.Close()
			t.Errorf("Get(%q) left the directory", key)
		}
	}
	if _, err := s.Put(t.Context(), "dir/new", strings.NewReader("x"), storage.Absent); err == nil {
		t.Error("Put left the directory")
	}
	for e := range s.List(t.Context(), "") {
		t.Errorf("List yields %q", e.Key)
	}
	wantFiles(t, outside, "secret")
	wantFiles(t, root, "dir", "file")
}

// A Version must not come back, whatever the clock does: here it stands still,
// or is behind that of whoever wrote before.
func TestVersionsNeverReturn(t *testing.T) {
	s := open(t, t.TempDir())
	v := put(t, s, "k", "0", storage.Absent)
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(s.path, "k"), future, future); err != nil {
		t.Fatal(err)
	}
	info, err := s.Stat(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[storage.Version]bool{v: true}
	v = info.Version
	for range 100 {
		if seen[v] {
			t.Fatalf("Version %q came back", v)
		}
		seen[v] = true
		v = put(t, s, "k", "1", v)
	}
	b, flush, discard := s.Batch()
	defer discard()
	v = put(t, b, "k", "2", v)
	if err := flush(t.Context()); err != nil || seen[v] {
		t.Errorf("Version %q after a batch, seen before: %v (%v)", v, seen[v], err)
	}
	if _, now, err := storage.Read(t.Context(), s, "k", 10); err != nil || now != v {
		t.Errorf("Version %q, the batch said %q (%v)", now, v, err)
	}
}
