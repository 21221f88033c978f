package e2e

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"publisher/internal/interop"
	"publisher/internal/testserver"
	"publisher/lambda"
)

// TestCeremony is three people, of whom two must sign whatever is published, each
// with a trust directory of their own. Drafts go from one to the other as a file,
// or through an inbox where none of them may delete or replace anything.
func TestCeremony(t *testing.T) {
	t.Run("by file", func(t *testing.T) {
		d := startDev(t)
		c := &ceremony{place: append(d.flags(), "--store", d.Store), files: t.TempDir(), there: files{}}
		for i := range c.people {
			c.people[i] = newOwner(t, d.served())
		}
		c.hold(t)
	})
	t.Run("shared", func(t *testing.T) {
		c := &ceremony{shared: true, files: t.TempDir(), there: files{}}
		c.deploy(t)
		c.hold(t)
	})
}

// A ceremony is three people and what they agree upon.
type ceremony struct {
	people [3]*owner
	place  []string // flags that name the stores and the signer
	shared bool
	files  string // a directory that all of them see
	there  files  // what they have published
	drafts int
}

// deploy gives each of them what a publisher has, on a real server, and the
// signer what it has.
func (c *ceremony) deploy(t *testing.T) {
	a := newAuthority(t, testserver.VersityGW(t))
	names := []string{"alice", "bob", "carol"}
	grants := map[string]grant{"publish": everybody["publish"]}
	for _, name := range names {
		grants[name] = everybody["publisher"]
	}
	a.byBuckets(t, grants)
	d := a.function(t, "publish", lambda.Publishing)
	c.place = append(a.online(d), "--store", d.served.url)
	for i, name := range names {
		c.people[i] = newOwner(t, a.as(t, name))
	}
}

// keys makes a key for each of the people, brings it into their trust directory,
// and returns the files of the private and the public halves.
func (c *ceremony) keys(t *testing.T, role string) (private, public [3]string) {
	t.Helper()
	c.drafts++
	for i, o := range c.people {
		name := filepath.Join(c.files, fmt.Sprintf("%d-%d", c.drafts, i))
		private[i], public[i] = name+".pem", name+".pub"
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, private[i], "PRIVATE KEY", der)
		if der, err = x509.MarshalPKIXPublicKey(pub); err != nil {
			t.Fatal(err)
		}
		writePEM(t, public[i], "PUBLIC KEY", der)
		o.run(t, "key", "import", private[i], "-r", role, "--no-passphrase")
	}
	return private, public
}

func writePEM(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hand has one of them begin something that another one completes.
func (c *ceremony) hand(t *testing.T, from, to int, args ...string) {
	t.Helper()
	c.drafts++
	file := filepath.Join(c.files, fmt.Sprintf("%d.draft", c.drafts))
	how, sign := []string{"--export", file}, []string{"sign", scripts, "--draft", file, "--yes"}
	if c.shared {
		how, sign = []string{"--share"}, []string{"sign", scripts, "--yes"}
	}
	c.drafted(t, from, append(args, how...)...)
	c.people[to].run(t, sign...)
}

// drafted runs what must end in a draft.
func (c *ceremony) drafted(t *testing.T, by int, args ...string) {
	t.Helper()
	cmd := c.people[by].command(t.Context(), args...)
	if out, err := cmd.CombinedOutput(); exitCode(t, err) != 10 {
		t.Fatalf("publisher %q: %v, want exit code 10\n%s", args, err, out)
	}
}

func (c *ceremony) add(t *testing.T, by int, name string, args ...string) {
	t.Helper()
	tree := t.TempDir()
	files{name: "content of " + name}.write(t, tree)
	c.people[by].run(t, append([]string{"add", scripts, "-R", tree}, args...)...)
	c.there[name] = "content of " + name
}

// hold is all of it: the first root, the keys of targets and of root itself, a
// publication, a delegation and what its people publish.
func (c *ceremony) hold(t *testing.T) {
	root := c.begin(t)
	private, public := c.keys(t, "targets")
	c.hand(t, 0, 2, "key", "rotate", scripts, "targets", "-k", private[0], "-k", public[1], "-k", public[2],
		"--threshold", "2", "--grace", "1s", "--no-passphrase", "--yes")
	c.pull(t, root, "targets by three")

	private, public = c.keys(t, "root")
	c.hand(t, 1, 0, "key", "rotate", scripts, "root", "-k", public[0], "-k", private[1], "-k", public[2],
		"--threshold", "2", "--grace", "1s", "--no-passphrase", "--yes")
	c.add(t, 1, "install.sh")
	c.hand(t, 1, 0, "publish", scripts)
	c.pull(t, root, "a new root, and a target")

	_, public = c.keys(t, "targets/releases")
	c.people[0].run(t, "delegation", "add", scripts, "targets/releases", public[0], public[1], public[2], "--threshold", "2", "--paths", "r/*")
	c.hand(t, 0, 2, "publish", scripts)
	c.add(t, 1, "r/tool", "-r", "targets/releases")
	c.hand(t, 1, 2, "publish", scripts)
	c.pull(t, root, "a delegation by three")
	if n := c.people[0].check(t, scripts); n != len(c.there) {
		t.Errorf("check counts %d targets, want %d", n, len(c.there))
	}
}

// begin publishes the first root and returns the SHA-256 of its file. Who signs
// second has nothing of the collection but their key.
func (c *ceremony) begin(t *testing.T) (root string) {
	private, public := c.keys(t, "root")
	args := append([]string{"init", scripts, "--no-passphrase", "--root-key", private[0], "--root-key", public[1], "--root-key", public[2], "--threshold", "root=2"}, c.place...)
	draft := filepath.Join(c.files, "first.draft")
	if c.shared {
		c.drafted(t, 0, append(args, "--share")...)
		c.people[1].run(t, append([]string{"sign", scripts, "--yes"}, c.place...)...)
		c.people[0].run(t, "sign", scripts, "--yes")
	} else {
		c.drafted(t, 0, append(args, "--export", draft)...)
		c.people[1].run(t, "sign", scripts, "--draft", draft, "--yes")
		c.people[0].run(t, "sign", scripts, "--draft", draft, "--yes")
	}
	file := filepath.Join(c.files, "root.json")
	c.people[0].run(t, "trust", "export", scripts, "-o", file)
	for _, o := range c.people[1:] {
		o.run(t, append([]string{"trust", "add", scripts, "--root", file}, c.place...)...)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return hexSum(data)
}

// pull has clients that others wrote get all there is, from the first root.
func (c *ceremony) pull(t *testing.T, root, after string) {
	t.Helper()
	for _, client := range interop.Clients(t) {
		job := pull(t, c.people[0].store, scripts, root, c.there.sums())
		job.Dir = t.TempDir()
		if client.SkipDelegations() {
			delete(job.Targets, "r/tool")
		}
		if err := client.Pull(t.Context(), job); err != nil {
			t.Errorf("after %s: %v", after, err)
		}
	}
}
