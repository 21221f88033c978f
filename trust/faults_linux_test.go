package trust_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/trust"
)

// limitedDiskChild appends until the file may not grow further, which cuts a
// write off in its middle as a full disk does, and prints what it got in.
func limitedDiskChild(c *trust.Collection, _ []string) error {
	const limit = 20_000
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	for i := 0; ; i++ {
		_, err := c.Changelist().Append(addition(fmt.Sprint(i)))
		if err != nil {
			fmt.Printf("%d\n%v\n", i, err)
			break
		}
	}
	if err := c.Cache().Put("big.json", make([]byte, limit+1)); err == nil {
		return errors.New("the disk is not full")
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	out, err := command(t, d, "limited-disk").Output()
	if err != nil {
		t.Fatal(err)
	}
	var acked int
	if _, err := fmt.Sscan(string(out), &acked); err != nil || acked < 10 {
		t.Fatalf("%q: %v", out, err)
	}
	if want := file(d, changelistFile) + ": " + syscall.EFBIG.Error(); !strings.Contains(string(out), want) {
		t.Errorf("the error is %q, want %q in it", out, want)
	}
	if changes := list(t, c); len(changes) != acked {
		t.Errorf("%d changes, %d were acknowledged", len(changes), acked)
	}
	if data, err := os.ReadFile(file(d, changelistFile)); err != nil || data[len(data)-1] != '\n' {
		t.Errorf("half a change is in the file: %v", err)
	}
	for path := range tree(t, d.Path()) {
		if strings.Contains(path, ".tmp-") || strings.HasSuffix(path, "big.json") {
			t.Errorf("left behind: %s", path)
		}
	}
	stage(t, c, addition("after"))
	if changes := list(t, c); len(changes) != acked+1 {
		t.Errorf("%d changes after there was room again, want %d", len(changes), acked+1)
	}
}

// asNobody runs f on a thread that has no rights to other users' files. The
// thread ends with it.
func asNobody(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
		}
		f()
	}()
	<-done
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // nobody may look
		t.Fatal(err)
	}
	d := trust.Open(filepath.Join(dir, "trust"))
	c := created(t, d)
	staged := stage(t, c, addition("a"))
	if err := d.Keys().Add(keyID(1), []byte("key")); err != nil {
		t.Fatal(err)
	}
	chmodAll(t, d.Path(), 0o555, 0o444)
	t.Cleanup(func() { chmodAll(t, d.Path(), 0o755, 0o644) })
	before := tree(t, d.Path())

	writes := map[string]func() error{
		"Keys.Add":          func() error { return d.Keys().Add(keyID(2), nil) },
		"Keys.Replace":      func() error { return d.Keys().Replace(keyID(1), []byte("new")) },
		"Keys.Remove":       func() error { return d.Keys().Remove(keyID(1)) },
		"Create":            func() error { return create(d.Collection("example.com")) },
		"Cache.Put":         func() error { return c.Cache().Put("root.json", []byte("new")) },
		"Cache.Replace":     func() error { _, err := c.Cache().Replace("root.json", []byte("root"), []byte("new")); return err },
		"Changelist.Remove": func() error { return c.Changelist().Remove(staged[0].ID) },
		"Lock":              func() error { _, err := c.Lock(t.Context(), nil); return err },
	}
	for _, name := range []string{"SetSettings", "Delete", "Changelist.Append", "Changelist.Clear"} {
		writes[name] = func() error { return operations[name](c) }
	}
	asNobody(func() {
		for name, write := range writes {
			err := write()
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), d.Path()) {
				t.Errorf("%s: got %v, want fs.ErrPermission and the path", name, err)
			}
		}
		if changes, err := c.Changelist().List(); err != nil || len(changes) != 1 {
			t.Errorf("List: %v, %v", changes, err)
		}
		if err := c.Cache().Put("root.json", []byte("root")); err != nil {
			t.Errorf("Put of what is there: %v", err)
		}
	})
	if diff := cmp.Diff(before, tree(t, d.Path())); diff != "" {
		t.Error(diff)
	}
}

// TestCreateUnsynced: a collection that is there is not reported as one that is
// not, even if nobody can say for how long.
func TestCreateUnsynced(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // nobody may look
		t.Fatal(err)
	}
	d := trust.Open(filepath.Join(dir, "trust"))
	created(t, d)
	chmodAll(t, d.Path(), 0o777, 0o666)
	// Directories may be moved into it, but it cannot be opened to be synced.
	if err := os.Chmod(filepath.Join(d.Path(), "collections"), 0o333); err != nil {
		t.Fatal(err)
	}
	c := d.Collection("example.com")
	asNobody(func() {
		if err := create(c); !errors.Is(err, trust.ErrUnsynced) {
			t.Errorf("got %v, want ErrUnsynced", err)
		}
	})
	if root, err := c.Cache().Get("root.json"); err != nil {
		t.Errorf("the collection is not there: %q, %v", root, err)
	}
}

func chmodAll(t *testing.T, root string, dirs, files fs.FileMode) {
	for path, what := range tree(t, root) {
		mode := files
		if what[0] == 'd' {
			mode = dirs
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Error(err)
		}
	}
}
