package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"publisher/internal/forge"
	"publisher/internal/interop"
	"publisher/storage/dir"
)

// TestRotateEverything: the keys of every role change, by several kinds of keys
// and thresholds, while clients that others wrote pull all the time.
func TestRotateEverything(t *testing.T) {
	const collection = "example.com/rotated"
	s := directory(t)
	o := newOwner(t, s)
	root := o.init(t, collection, "--publish")
	p := startPulling(t, pull(t, s, collection, root, nil))
	there := files{}
	publish := func(name string) {
		t.Helper()
		tree := t.TempDir()
		files{"file": name}.write(t, tree)
		there[name] = name
		o.run(t, "add", collection, name, filepath.Join(tree, "file"), "-p")
	}
	publish("first")
	for _, step := range []string{
		"root", "targets", "snapshot", "timestamp",
		"root --threshold 2/3 --key-type ecdsa", "targets --threshold 2/2 --key-type ecdsa",
		"snapshot --key-type rsa", "timestamp --threshold 2/2",
		"root --threshold 1", "targets --threshold 1", "timestamp --recover --threshold 1",
	} {
		o.run(t, append([]string{"key", "rotate", collection, "--yes", "--no-passphrase", "--grace", "1h"}, strings.Fields(step)...)...)
		p.all(step, there)
		publish(strings.ReplaceAll(step, " ", "_"))
		p.one("publish after "+step, there)
	}
	p.stop()
	if n := o.check(t, collection); n != len(there) {
		t.Errorf("check counts %d targets, want %d", n, len(there))
	}
}

// TestRecoverClients: clients that saw a version that nobody can go on from forget
// it with the key that signed it, as the TUF specification asks in section 5.3.11.
// docs/operations.md says so of each of them.
func TestRecoverClients(t *testing.T) {
	const collection = "example.com/recovered"
	s := directory(t)
	o := newOwner(t, s)
	root := o.init(t, collection, "--publish", "--no-passphrase")
	store, err := dir.Open(strings.TrimPrefix(s.url, "file://"))
	if err != nil {
		t.Fatal(err)
	}
	p := pull(t, s, collection, root, nil)
	p.Dir = t.TempDir()
	visit := func(c interop.Client) error { return c.Pull(t.Context(), p) }
	for _, c := range interop.Clients(t) {
		if err := visit(c); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := forge.ReadRing(o.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := forge.Announce(t.Context(), store, collection, ring, forge.Highest); err != nil {
		t.Fatal(err)
	}
	for _, c := range interop.Clients(t) {
		if err := visit(c); err != nil {
			t.Errorf("%s does not take what the thief announced: %v", c.Name(), err)
		}
	}
	o.run(t, "key", "rotate", collection, "timestamp", "--recover", "--yes", "--no-passphrase", "--grace", "1s")
	for _, c := range interop.Clients(t) {
		if err := visit(c); err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
		fresh := p
		fresh.Dir = ""
		if err := c.Pull(t.Context(), fresh); err != nil {
			t.Errorf("a fresh %s: %v", c.Name(), err)
		}
	}
	o.check(t, collection)
}
