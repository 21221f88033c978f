package trust_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/trust"
)

// operations are all that a collection can do but for Create and Lock.
var operations = map[string]func(c *trust.Collection) error{
	"Settings":          func(c *trust.Collection) error { _, err := c.Settings(); return err },
	"SetSettings":       func(c *trust.Collection) error { return c.SetSettings(trust.Settings{}) },
	"Delete":            (*trust.Collection).Delete,
	"Cache.Get":         func(c *trust.Collection) error { _, err := c.Cache().Get("root.json"); return err },
	"Cache.Put":         func(c *trust.Collection) error { return c.Cache().Put("root.json", nil) },
	"Cache.Replace":     func(c *trust.Collection) error { _, err := c.Cache().Replace("root.json", nil, nil); return err },
	"Changelist.Append": func(c *trust.Collection) error { _, err := c.Changelist().Append(addition("a")); return err },
	"Changelist.List":   func(c *trust.Collection) error { _, err := c.Changelist().List(); return err },
	"Changelist.Remove": func(c *trust.Collection) error { return c.Changelist().Remove("a") },
	"Changelist.Clear":  func(c *trust.Collection) error { return c.Changelist().Clear() },
}

func TestNoCollection(t *testing.T) {
	for name, do := range operations {
		t.Run(name, func(t *testing.T) {
			d := trust.Open(filepath.Join(t.TempDir(), "trust"))
			if err := do(d.Collection(collection)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want fs.ErrNotExist", err)
			}
			if _, err := os.Lstat(d.Path()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the trust directory was made: %v", tree(t, d.Path()))
			}
		})
	}
}

func TestCollectionNameNeverLeaves(t *testing.T) {
	names := []string{
		"", ".", "..", "../x", "/", "/x", "x/", "a//b", "a/../b", "a/..", "..a", ".new", "a/.b", "A", "a+b", "a b",
		`a\b`, `..\x`, "c:x", "a\x00", "a\n", "é", "a/-b", strings.Repeat("a", 256), "metadata", "a/keys",
	}
	for _, name := range names {
		outer := t.TempDir()
		d := trust.Open(filepath.Join(outer, "d"))
		created(t, d)
		before := tree(t, outer)
		c := d.Collection(name)
		check := func(op string, err error) {
			if !errors.Is(err, repo.ErrCollectionName) {
				t.Errorf("%s of collection %q: got %v, want repo.ErrCollectionName", op, name, err)
			}
		}
		for op, do := range operations {
			check(op, do(c))
		}
		check("Create", create(c))
		_, err := c.Lock(t.Context(), nil)
		check("Lock", err)
		if diff := cmp.Diff(before, tree(t, outer)); diff != "" {
			t.Errorf("collection %q changed the directory:\n%s", name, diff)
		}
	}
}

func TestCollections(t *testing.T) {
	d := trust.Open(filepath.Join(t.TempDir(), "trust"))
	names, err := d.Collections()
	if err != nil || len(names) > 0 {
		t.Fatalf("in a missing directory: %v, %v", names, err)
	}
	long := strings.Repeat("a23456789/", 25) + "12345"
	want := []string{"1", long, "example.com", "example.com/a", "example.com/a/b", "example.com/a.b-c_d"}
	for i := range want {
		name := want[(i+3)%len(want)]
		unlock, err := d.Collection(name).Lock(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := create(d.Collection(name)); err != nil {
			t.Fatal(err)
		}
		unlock()
	}
	// What is not a collection: a stray directory, one with a name of its own.
	for _, dir := range []string{"stray", "A", "a++b"} {
		if err := os.Mkdir(filepath.Join(d.Path(), "collections", dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	names, err = d.Collections()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", long, "example.com", "example.com/a", "example.com/a.b-c_d", "example.com/a/b"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestCreate(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	s, err := c.Settings()
	if diff := cmp.Diff(trust.Settings{Store: "file:///srv"}, s); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if root, err := c.Cache().Get("root.json"); string(root) != "root" || err != nil {
		t.Errorf("root.json: %q, %v", root, err)
	}
	before := tree(t, d.Path())
	err = c.Create(trust.Settings{}, func(*trust.Cache) error { t.Error("fill was called"); return nil })
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	if diff := cmp.Diff(before, tree(t, d.Path())); diff != "" {
		t.Error(diff)
	}
}

func TestCreateIsAllOrNothing(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := d.Collection(collection)
	failure := errors.New("the store is not there")
	err := c.Create(trust.Settings{Store: "x"}, func(m *trust.Cache) error {
		if err := m.Put("root.json", []byte("root")); err != nil {
			return err
		}
		if names, err := d.Collections(); len(names) > 0 || err != nil {
			t.Errorf("visible before it is complete: %v, %v", names, err)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want the error of fill", err)
	}
	for path, what := range tree(t, d.Path()) {
		if strings.HasPrefix(what, "-") && !strings.Contains(path, "locks") {
			t.Errorf("left behind: %s", path)
		}
	}
	created(t, d)
}

// createChild makes half a collection and dies.
func createChild(c *trust.Collection, _ []string) error {
	return c.Create(trust.Settings{Store: "old"}, func(m *trust.Cache) error {
		if err := m.Put("timestamp.json", []byte("old")); err != nil {
			return err
		}
		os.Exit(0)
		return nil
	})
}

func TestCreateAfterKilledCreate(t *testing.T) {
	d := trust.Open(t.TempDir())
	if out, err := command(t, d, "create").Output(); err != nil {
		t.Fatal(err, out)
	}
	leftover := filepath.Join(d.Path(), "collections", ".new", "example.com+scripts", "metadata", "timestamp.json")
	if _, err := os.Stat(leftover); err != nil {
		t.Fatalf("the child did not leave what this test is about: %v", err)
	}
	if names, err := d.Collections(); len(names) > 0 || err != nil {
		t.Fatalf("half a collection is visible: %v, %v", names, err)
	}
	c := created(t, d)
	if _, err := c.Cache().Get("timestamp.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of the killed creation: %v", err)
	}
	if _, err := os.Stat(leftover); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", leftover, err)
	}
}

func TestDelete(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	stage(t, c, addition("a"))
	other := d.Collection("example.com")
	if err := create(other); err != nil {
		t.Fatal(err)
	}
	if err := d.Keys().Add(keyID(1), []byte("key")); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(); err != nil {
		t.Fatal(err)
	}
	names, err := d.Collections()
	if diff := cmp.Diff([]string{"example.com"}, names); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for path := range tree(t, d.Path()) {
		if strings.Contains(path, "scripts") && !strings.Contains(path, "locks") {
			t.Errorf("left behind: %s", path)
		}
	}
	if _, err := d.Keys().Get(keyID(1)); err != nil {
		t.Errorf("key: %v", err)
	}
	if changes := list(t, created(t, d)); len(changes) > 0 {
		t.Errorf("a new collection starts with %d changes of the old one", len(changes))
	}
}

func TestUnknownSettingsSurvive(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	content := `{"store":"a","future":{"x":[1,2]},"url":"b","tlscacert":"c"}`
	if err := os.WriteFile(file(d, "settings.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "https://example.com"
	if err := c.SetSettings(s); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file(d, "settings.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"store":"a","url":"https://example.com","tlscacert":"c","future":{"x":[1,2]}}`
	if got := strings.Join(strings.Fields(string(data)), ""); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnreadableSettings(t *testing.T) {
	for _, content := range []string{"", "null", "{", `{"store":1}`, `{"store":"a","store":"b"}`, "[]"} {
		d := trust.Open(t.TempDir())
		c := created(t, d)
		if err := os.WriteFile(file(d, "settings.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := c.Settings(); err == nil || !strings.Contains(err.Error(), file(d, "settings.json")) {
			t.Errorf("%q: got %v, %v, want an error that names the file", content, s, err)
		}
	}
}

// lockChild takes the lock, says so, and keeps it until its input ends.
func lockChild(c *trust.Collection, _ []string) error {
	unlock, err := c.Lock(context.Background(), func() { fmt.Println("waiting") })
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Println("locked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestLock(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := d.Collection(collection)
	unlock, err := c.Lock(t.Context(), func() { t.Error("waited for a free lock") })
	if err != nil {
		t.Fatal(err)
	}
	child := command(t, d, "lock")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	say := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the child says %q, not %q: %s", lines.Text(), want, child.Stderr)
		}
	}
	say("waiting")
	unlock()
	say("locked")

	ctx, cancel := context.WithCancel(t.Context())
	waits := 0
	_, err = c.Lock(ctx, func() { waits++; time.AfterFunc(120*time.Millisecond, cancel) })
	if !errors.Is(err, context.Canceled) || waits != 1 {
		t.Fatalf("the child holds the lock: got %v after %d calls of waiting", err, waits)
	}
	other, err := d.Collection("example.com").Lock(t.Context(), func() { t.Error("waited for another collection") })
	if err != nil {
		t.Fatal(err)
	}
	other()

	if err := child.Process.Kill(); err != nil { // a killed process gives its locks back
		t.Fatal(err)
	}
	unlock, err = c.Lock(t.Context(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	in.Close()
	child.Wait()
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	d := trust.Open(filepath.Join(t.TempDir(), "a", "trust"))
	c := created(t, d)
	unlock, err := c.Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	staged := stage(t, c, addition("a"), addition("b"))
	if err := c.Changelist().Remove(staged[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := d.Keys().Add(keyID(1), []byte("key")); err != nil {
		t.Fatal(err)
	}
	for path, what := range tree(t, filepath.Dir(d.Path())) {
		if !strings.HasPrefix(what, "-rw------- ") && !strings.HasPrefix(what, "drwx------ ") {
			t.Errorf("%s: %.10s", path, what)
		}
	}
}

func TestSymlinkedDirectory(t *testing.T) {
	base := t.TempDir()
	link := filepath.Join(base, "link")
	if err := os.Mkdir(filepath.Join(base, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Skip(err)
	}
	d := trust.Open(link)
	stage(t, created(t, d), addition("a"))
	if err := d.Keys().Add(keyID(1), []byte("key")); err != nil {
		t.Fatal(err)
	}
	real := trust.Open(filepath.Join(base, "real"))
	if changes := list(t, real.Collection(collection)); len(changes) != 1 {
		t.Errorf("%d changes", len(changes))
	}
	if _, err := real.Keys().Get(keyID(1)); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is now %v, %v", info.Mode(), err)
	}
}
