// Command demo publishes a collection on this machine, as a user would, pulls
// it with publisher and with a client that publisher has no part in, and says
// what that proved. It needs no network, no credentials and no root rights, and
// leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"publisher/internal/stock"
)

// collection is the collection of the demonstration.
const collection = "example.com/demo"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "publisher-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newShell(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stopServers()) }()
	d := &demo{ctx: ctx, shell: s, store: filepath.Join(dir, "store")}
	for _, step := range []func() error{d.serve, d.publish, d.introduce, d.pull, d.update, d.hold, d.tamper, d.check} {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Println()
	for _, line := range d.proven {
		fmt.Println("proven:", line)
	}
	return nil
}

// A demo is the owner of a collection, a colleague who publishes too, a server
// with an online signer, and two pullers.
type demo struct {
	ctx    context.Context
	shell  *shell
	store  string // directory
	web    *server
	stock  *stock.Client
	proven []string
}

func (d *demo) prove(format string, args ...any) {
	d.proven = append(d.proven, fmt.Sprintf(format, args...))
}

// serve starts everything that is not the owner's own machine.
func (d *demo) serve() (err error) {
	d.shell.Say("A store, a web server in front of it, and an online signer, which alone writes metadata:\n" +
		"on this machine by one command. A bucket, a CDN and a function of AWS Lambda work the same.")
	d.web, err = d.shell.serve("store")
	return err
}

// publish makes the collection and publishes real files in it.
func (d *demo) publish() error {
	d.shell.Say("The owner makes a collection. The keys of snapshot and timestamp are the signer's.\n" +
		"Keys get a passphrase, except in demonstrations.")
	args := []string{"-d", "owner", "init", collection, "--store", d.web.Store, "--inbox", d.web.Inbox, "--online", d.web.Online}
	if err := d.shell.Publisher(append(args, "--no-passphrase", "-q")...); err != nil {
		return err
	}
	if err := makeRelease(d.shell.Dir); err != nil {
		return err
	}
	d.shell.Say("Files are staged and published: signed here, checked and committed by the signer.")
	for _, args := range [][]string{
		{"-d", "owner", "add", collection, "-R", "release", "-q"},
		{"-d", "owner", "publish", collection, "-q"},
		{"-d", "owner", "trust", "export", collection, "-o", "root.json"},
	} {
		if err := d.shell.Publisher(args...); err != nil {
			return err
		}
	}
	return nil
}

// makeRelease fills the directory that is published.
func makeRelease(dir string) error {
	release := filepath.Join(dir, "release")
	if err := os.MkdirAll(filepath.Join(release, "docs"), 0o777); err != nil {
		return err
	}
	for _, name := range []string{"README.md", "docs/design.md"} {
		data, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			return fmt.Errorf("run it from the top of the repository: %w", err)
		}
		if err := os.WriteFile(filepath.Join(release, name), data, 0o666); err != nil {
			return err
		}
	}
	notes := []byte("names with a space and a + are the ones that servers get wrong\n")
	if err := os.WriteFile(filepath.Join(release, "release notes 1.0+beta.txt"), notes, 0o666); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(release, "image.bin"), random(10_000_000), 0o666)
}

func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data) // it never fails
	return data
}

// introduce brings in the pullers, who have the first root and nothing else.
func (d *demo) introduce() error {
	d.shell.Say("A puller, with a trust directory of their own, gets the root by a way they trust.")
	if err := d.shell.Publisher("-d", "puller", "trust", "add", collection, "--root", "root.json"); err != nil {
		return err
	}
	root, err := os.ReadFile(filepath.Join(d.shell.Dir, "root.json"))
	if err != nil {
		return err
	}
	d.stock, err = newStockClient(root, filepath.Join(d.shell.Dir, "stock"), d.web.CA)
	return err
}

// pull downloads everything with both clients.
func (d *demo) pull() error {
	names, err := d.names()
	if err != nil {
		return err
	}
	d.shell.Say("Both clients verify from the root down to each file: publisher …")
	size, err := d.pullOurs(names)
	if err != nil {
		return err
	}
	d.prove("publisher downloaded %d files, %d bytes, over HTTPS, all as published", len(names), size)
	d.shell.Say("… and the updater of go-tuf v2, without any code of ours:")
	if size, err = d.pullStock(names); err != nil {
		return err
	}
	d.prove("go-tuf's stock updater downloaded %d files, %d bytes, all as published", len(names), size)
	return nil
}

// update has a colleague publish another version of one file.
func (d *demo) update() error {
	const name = "README.md"
	d.shell.Say("A colleague, or a CI job, gets the key of targets, the root and the addresses. No more is needed.")
	key, err := d.targetsKey()
	if err != nil {
		return err
	}
	text := []byte("# Another README\n")
	if err := os.WriteFile(filepath.Join(d.shell.Dir, "release", name), text, 0o666); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"-d", "owner", "key", "export", "--key", key, "-o", "targets.pem", "-q"},
		{"-d", "colleague", "key", "import", "targets.pem", "--no-passphrase", "-q"},
		{"-d", "colleague", "trust", "add", collection, "--root", "root.json", "--store", d.web.Store, "--inbox", d.web.Inbox, "--online", d.web.Online},
		{"-d", "colleague", "add", collection, name, "release/" + name, "--publish", "-q"},
	} {
		if err := d.shell.Publisher(args...); err != nil {
			return err
		}
	}
	if _, err := d.pullOurs([]string{name}); err != nil {
		return err
	}
	if _, err := d.pullStock([]string{name}); err != nil {
		return err
	}
	d.prove("an update that a colleague published reached both clients")
	return nil
}

// targetsKey is the ID of the owner's targets key.
func (d *demo) targetsKey() (string, error) {
	keys, err := d.shell.keys("owner")
	for _, k := range keys {
		if k.Role == "targets" {
			return k.ID, err
		}
	}
	return "", errors.Join(err, errors.New("the owner has no targets key"))
}

// hold shows who holds which keys.
func (d *demo) hold() error {
	d.shell.Say("Neither of them holds a key of snapshot or timestamp.")
	for _, who := range []string{"owner", "colleague"} {
		keys, err := d.shell.keys(who)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.Role != "targets" && (k.Role != "root" || who != "owner") {
				return fmt.Errorf("the %s holds a %s key", who, k.Role)
			}
		}
	}
	d.prove("both were published without a snapshot or timestamp key at hand: only the online signer has those")
	return nil
}

// tamper serves a copy of the store in which one byte of one file is wrong.
func (d *demo) tamper() error {
	const name = "image.bin"
	d.shell.Say("Somebody breaks into a mirror and changes one byte of " + name + ".")
	evil := filepath.Join(d.shell.Dir, "mirror")
	if err := os.CopyFS(evil, os.DirFS(d.store)); err != nil {
		return err
	}
	if err := flip(filepath.Join(evil, filepath.FromSlash(collection), "targets", "*."+name)); err != nil {
		return err
	}
	mirror, err := d.shell.serve("mirror")
	if err != nil {
		return err
	}
	const verification = 3 // the exit code for it
	if err := d.shell.Refuses(verification, d.download(mirror, "evil", name)...); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(d.shell.Dir, "evil", name)); err == nil {
		return fmt.Errorf("publisher left the tampered %s on disk", name)
	}
	d.prove("publisher refused a file with one wrong byte, and left nothing of it on disk")
	_, err = d.stock.Pull(d.ctx, mirror.URL+"/"+collection, name)
	if wrong := new(metadata.ErrLengthOrHashMismatch); !errors.As(err, &wrong) {
		return fmt.Errorf("go-tuf, of the tampered %s: %v", name, err)
	}
	fmt.Printf("# go-tuf's updater: %v\n", err)
	d.prove("go-tuf's stock updater refused it too")
	if err := d.shell.Refuses(verification, "-d", "owner", "check", collection, "--deep", "--store", fileURL(evil)); err != nil {
		return err
	}
	d.prove("publisher check found it")
	return nil
}

// flip changes one byte of the file that a pattern matches.
func flip(pattern string) error {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		return fmt.Errorf("%s matches %d files: %w", pattern, len(files), err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(files[0], data, 0o666)
}

// check has publisher prove that the collection itself is whole.
func (d *demo) check() error {
	d.shell.Say("The owner looks after the collection.")
	if err := d.shell.Publisher("-d", "owner", "check", collection, "--deep"); err != nil {
		return err
	}
	d.prove("after all of it publisher check --deep finds the collection whole")
	return nil
}
