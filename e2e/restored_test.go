package e2e

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"publisher/internal/interop"
	"publisher/internal/testserver"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// TestRestored: the public store is restored from yesterday, and what came after
// is lost. Whoever saw it refuses, until both online keys are replaced, as
// docs/operations.md says.
func TestRestored(t *testing.T) {
	d := deploy(t, testserver.VersityGW(t), sealedKeys)
	o := newOwner(t, d.served)
	signer := "lambda:signer?" + url.Values{"region": {"us-east-1"}, "endpoint": {d.fn.Endpoint}}.Encode()
	root := o.init(t, scripts, "--online", signer, "--inbox", d.url)
	stage := func(there files) {
		t.Helper()
		tree := t.TempDir()
		there.write(t, tree)
		o.run(t, "add", scripts, "-R", tree, "--publish")
	}
	old, newer := files{"hello.txt": "hello\n"}, files{"hello.txt": "hello again\n", "more": "more"}
	stage(old)
	backup := objects(t, d.public)
	stage(newer)
	stage(files{"more": newer["more"] + "!"})
	newer["more"] += "!"
	state := t.TempDir()
	job := func(there files) interop.Pull {
		t.Helper()
		p := pull(t, d.served, scripts, root, there.sums())
		p.Dir = state
		return p
	}
	for _, c := range interop.Clients(t) {
		if err := c.Pull(t.Context(), job(newer)); err != nil {
			t.Fatal(err)
		}
	}

	restore(t, d.public, backup)
	for _, c := range interop.Clients(t) {
		if err := c.Pull(t.Context(), job(old)); err == nil {
			t.Errorf("%s takes the old version for the newest", c.Name())
		}
	}
	o.run(t, "add", scripts, "-R", treeOf(t, files{"lost": "no longer"}))
	if _, err := o.try(t.Context(), "publish", scripts); exitCode(t, err) != 3 {
		t.Errorf("publish says %v, want exit code 3", err)
	}

	forget(t, d.inbox, repo.PublishedKey(scripts))
	d.fn.Recycle()
	file := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(file, []byte(backup[repo.SlotKey(scripts, tuf.RoleRoot, 1)]), 0o666); err != nil {
		t.Fatal(err)
	}
	o.run(t, "reset", scripts, "--all")
	o.run(t, "trust", "remove", scripts, "--yes")
	o.run(t, "trust", "add", scripts, "--root", file, "--store", d.served.url, "--inbox", d.url, "--online", signer)
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		o.run(t, "key", "rotate", scripts, role, "-r", "--grace", "1s", "--yes")
	}
	// go-tuf v0.7 never forgets a version. It goes on when the numbers have
	// overtaken what it saw: four of targets.
	forgetful := slices.DeleteFunc(interop.Clients(t), func(c interop.Client) bool { return strings.HasPrefix(c.Name(), "go-tuf-v0.7") })
	recovered := func(clients []interop.Client, there files) {
		t.Helper()
		for _, c := range clients {
			if err := c.Pull(t.Context(), job(there)); err != nil {
				t.Errorf("%s does not recover: %v", c.Name(), err)
			}
		}
	}
	recovered(forgetful, old)
	stage(newer)
	recovered(forgetful, newer)
	stage(files{"hello.txt": "hello a third time\n"})
	stage(files{"hello.txt": newer["hello.txt"]})
	recovered(interop.Clients(t), newer)
	if n := o.check(t, scripts); n != len(newer) {
		t.Errorf("check counts %d targets, want %d", n, len(newer))
	}
}

func treeOf(t *testing.T, f files) string {
	t.Helper()
	dir := t.TempDir()
	f.write(t, dir)
	return dir
}

// objects is every object of a store.
func objects(t *testing.T, s storage.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range listed(t, s) {
		data, _, err := storage.Read(t.Context(), s, key, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		all[key] = string(data)
	}
	return all
}

// restore makes a store what it was: objects that came later are deleted.
func restore(t *testing.T, s storage.Store, backup map[string]string) {
	t.Helper()
	for _, key := range listed(t, s) {
		data, version, err := storage.Read(t.Context(), s, key, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		was, ok := backup[key]
		switch {
		case !ok:
			err = s.(storage.Deleter).Delete(t.Context(), key, version)
		case was != string(data):
			_, err = s.Put(t.Context(), key, bytes.NewReader([]byte(was)), version)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// forget removes a note of the signer's.
func forget(t *testing.T, s storage.Store, key string) {
	t.Helper()
	info, err := storage.Stat(t.Context(), s, key)
	if err == nil {
		err = s.(storage.Deleter).Delete(t.Context(), key, info.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
}
