package e2e

import (
	"errors"
	"maps"
	"path/filepath"
	"testing"

	"publisher/internal/interop"
)

// TestDelegated has the command line make delegations of every shape, and stock
// clients read the collection after each step: also while a role waits for its
// people.
func TestDelegated(t *testing.T) {
	const collection = "example.com/delegated"
	s := directory(t)
	o := newOwner(t, s)
	root := o.init(t, collection)
	there, delegated := files{}, files{}
	add := func(role, name, content string) {
		t.Helper()
		tree := t.TempDir()
		files{"file": content}.write(t, tree)
		args := []string{"add", collection, name, filepath.Join(tree, "file"), "-p"}
		if delegated[name] = content; role != "" {
			args = append(args, "-r", role)
		} else {
			there[name] = content
		}
		o.run(t, args...)
	}
	visit := func(missing ...string) {
		t.Helper()
		for _, c := range interop.Clients(t) {
			want := files{}
			maps.Copy(want, there)
			if !c.SkipDelegations() {
				maps.Copy(want, delegated)
			}
			if err := c.Pull(t.Context(), pull(t, s, collection, root, want.sums())); err != nil {
				t.Error(err)
			}
			for _, name := range missing {
				if err := c.Pull(t.Context(), pull(t, s, collection, root, files{name: "x"}.sums())); !errors.Is(err, interop.ErrRefused) {
					t.Errorf("%s: %s is not refused: %v", c.Name(), name, err)
				}
			}
		}
	}
	delegate := func(role string, keys int, args ...string) {
		t.Helper()
		o.run(t, append(append([]string{"delegation", "add", collection, role, "-p"}, o.keys(t, collection, role, keys)...), args...)...)
	}
	add("", "here", "0")
	delegate("targets/releases", 1, "--paths", "r/*,r/*/*,r/*/*/*")
	visit("r/top")
	add("targets/releases", "r/top", "1")
	delegate("targets/releases/ci", 3, "--paths", "r/ci/*,r/ci/*/*", "--threshold", "2")
	visit("r/ci/mid")
	add("targets/releases/ci", "r/ci/mid", "2")
	delegate("targets/releases/ci/nightly", 1, "--paths", "r/ci/n/*", "--terminating")
	add("targets/releases/ci/nightly", "r/ci/n/deep", "3")
	delegate("targets/late", 1, "--paths", "r/*,r/ci/n/*")
	add("targets/late", "r/behind", "of the second role")
	add("targets/late", "r/ci/n/shadowed", "never seen")
	delete(delegated, "r/ci/n/shadowed")
	visit("r/ci/n/shadowed", "nowhere")
	o.check(t, collection)
}

// keys makes keys for a role, imports them, and returns the files of their
// public halves.
func (o *owner) keys(t *testing.T, collection, role string, n int) []string {
	t.Helper()
	var public []string
	for range n {
		file := filepath.Join(t.TempDir(), "key")
		o.run(t, "key", "generate", "-r", role, "-o", file, "--no-passphrase")
		o.run(t, "key", "import", file, "-g", collection, "-r", role, "--no-passphrase")
		public = append(public, file+".pub")
	}
	return public
}

// TestDelegatedToOthers: whoever delegates has none of the keys, so that nobody
// who will ever sign has signed what clients find until the role's people publish.
func TestDelegatedToOthers(t *testing.T) {
	const collection = "example.com/others"
	s := directory(t)
	o := newOwner(t, s)
	root := o.init(t, collection)
	tree := t.TempDir()
	files{"file": "content"}.write(t, tree)
	file := filepath.Join(tree, "file")
	var keys []string
	for _, name := range []string{"a", "b"} {
		key := filepath.Join(tree, name)
		o.run(t, "key", "generate", "-r", "targets/others", "-o", key, "--no-passphrase")
		keys = append(keys, key)
	}
	o.run(t, "delegation", "add", collection, "targets/others", keys[0]+".pub", keys[1]+".pub", "--threshold", "2", "--paths", "o/")
	o.run(t, "add", collection, "o/ours", file, "-p")
	visit := func(names ...string) {
		t.Helper()
		for _, c := range interop.Clients(t) {
			want := files{}
			for _, name := range names {
				if name == "o/ours" || !c.SkipDelegations() {
					want[name] = "content"
				}
			}
			if err := c.Pull(t.Context(), pull(t, s, collection, root, want.sums())); err != nil {
				t.Error(err)
			}
			if err := c.Pull(t.Context(), pull(t, s, collection, root, files{"o/none": "x"}.sums())); !errors.Is(err, interop.ErrRefused) {
				t.Errorf("%s: a name that nobody lists is not refused: %v", c.Name(), err)
			}
		}
	}
	visit("o/ours")
	for _, key := range keys {
		o.run(t, "key", "import", key, "-g", collection, "--no-passphrase")
	}
	o.run(t, "add", collection, "o/theirs", file, "-r", "targets/others", "-p")
	visit("o/ours", "o/theirs")
	o.run(t, "add", collection, "o/ours", file, "--custom-data", "{}", "-p")
	visit("o/ours", "o/theirs")
	o.check(t, collection)
}
