package trust_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

const collection = "example.com/scripts"

// children are what this program does in place of the tests when it is started
// by one of them: another process on the same directory.
var children = map[string]func(c *trust.Collection, args []string) error{
	"append":       appendChild,
	"append-ack":   appendAckChild,
	"create":       createChild,
	"lock":         lockChild,
	"limited-disk": limitedDiskChild,
}

const childVar = "TRUST_TEST_CHILD"

func TestMain(m *testing.M) {
	child, ok := children[os.Getenv(childVar)]
	if !ok {
		os.Exit(m.Run())
	}
	c := trust.Open(os.Args[1]).Collection(collection)
	if err := child(c, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command prepares a child on the directory. It is killed when the test ends.
func command(t *testing.T, d *trust.Dir, child string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{d.Path()}, args...)...)
	cmd.Env = append(os.Environ(), childVar+"="+child)
	cmd.Stderr = &bytes.Buffer{}
	return cmd
}

// wait waits for a child to succeed.
func wait(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, cmd.Stderr)
	}
}

// created returns a new collection with a root in its cache.
func created(t testing.TB, d *trust.Dir) *trust.Collection {
	t.Helper()
	c := d.Collection(collection)
	if err := create(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func create(c *trust.Collection) error {
	return c.Create(trust.Settings{Store: "file:///srv"}, func(m *trust.Cache) error {
		return m.Put("root.json", []byte("root"))
	})
}

// addition is a change as add stages it.
func addition(name string) repo.Change {
	return repo.Change{
		Action: repo.Add,
		Role:   "targets",
		Name:   name,
		Target: tuf.TargetFile{
			Length: 1024,
			Hashes: map[string]string{"sha256": "4bc453b53cb3d914b45f4b250294236adba2c0e09ff6f03793949e7e39fd4cc1"},
		},
		Source: "/srv/files/" + name,
	}
}

func additions(n int) []repo.Change {
	changes := make([]repo.Change, n)
	for i := range changes {
		changes[i] = addition(fmt.Sprintf("dir/file-%05d", i))
	}
	return changes
}

func list(t testing.TB, c *trust.Collection) []repo.Change {
	t.Helper()
	changes, err := c.Changelist().List()
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func stage(t testing.TB, c *trust.Collection, changes ...repo.Change) []repo.Change {
	t.Helper()
	staged, err := c.Changelist().Append(changes...)
	if err != nil {
		t.Fatal(err)
	}
	return staged
}

// tree is what is in a directory: names, modes, contents.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var data []byte
		if info.Mode().IsRegular() {
			data, err = os.ReadFile(path)
		}
		found[path] = fmt.Sprintf("%v %s", info.Mode(), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// file is the path of a file of the collection.
func file(d *trust.Dir, name string) string {
	return filepath.Join(d.Path(), "collections", "example.com+scripts", name)
}
