package dir

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"publisher/storage"
	"publisher/storage/storagetest"
)

func TestFullDisk(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount a small disk: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(root, 0) })
	s := open(t, root)
	put(t, s, "small", "x", storage.Absent)
	if _, err := s.Put(t.Context(), "large", storagetest.NewBody(2<<20), storage.Absent); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("2 MiB on a disk of 1 MiB: %v, want ENOSPC", err)
	}
	wantFiles(t, root, "small")

	b, _, discard := s.Batch()
	if _, err := b.Put(t.Context(), "large", storagetest.NewBody(2<<20), storage.Absent); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("2 MiB in a batch: %v, want ENOSPC", err)
	}
	discard()
	wantFiles(t, root, "small")
	put(t, s, "there is room again", strings.Repeat("x", 900<<10), storage.Absent)
}

// TestPermission works for root too: it gives up the file permissions of its
// own thread.
func TestPermission(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	v := put(t, s, "private", "x", storage.Absent)
	if err := os.Chmod(root+"/private", 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		runtime.LockOSThread() // never unlocked: the thread ends with the test
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.SetfsuidRetUid(0)
	}
	errs := map[string]error{}
	_, errs["Get"] = s.Get(t.Context(), "private")
	_, errs["Put"] = s.Put(t.Context(), "new", strings.NewReader("x"), storage.Absent)
	errs["Delete"] = s.Delete(t.Context(), "private", v)
	for method, err := range errs {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v, want fs.ErrPermission", method, err)
		}
	}
}
