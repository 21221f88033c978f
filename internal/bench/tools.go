//go:build unix

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// tufVersion is the last one with a command line.
const tufVersion = "v0.7.0"

// installTUF builds tuf once, into a directory named after its version.
func installTUF(ctx context.Context, cache string) (string, error) {
	dir := filepath.Join(cache, "tuf-"+tufVersion)
	bin := filepath.Join(dir, "tuf")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/theupdateframework/go-tuf/cmd/tuf@"+tufVersion)
	cmd.Env = append(cmd.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return bin, nil
}

// collection is the name of every collection made here.
const collection = "example.com/bench"

// ours is a collection of publisher's.
type ours struct {
	program
	trust, store string
}

// newOurs makes a collection of the files below source; none if that is empty.
func (b *bench) newOurs(source string) (*ours, error) {
	dir, err := b.fresh()
	if err != nil {
		return nil, err
	}
	o := &ours{program: program{path: b.publisher, dir: dir}, trust: filepath.Join(dir, "trust"), store: filepath.Join(dir, "store")}
	o.env = []string{"PUBLISHER_TRUST_DIR=" + o.trust}
	calls := [][]string{{"init", collection, "--store", "file://" + o.store, "--no-passphrase", "--quiet"}}
	if source != "" {
		calls = append(calls, []string{"add", collection, "-R", source, "--publish", "--quiet"})
	}
	_, err = o.measure(b.ctx, calls...)
	return o, err
}

// atOnce adds and publishes in one process, inTwo in one after the other.
func (o *ours) atOnce(what ...string) [][]string {
	return [][]string{append([]string{"add", collection, "--publish", "--quiet"}, what...)}
}

func (o *ours) inTwo(what ...string) [][]string {
	return [][]string{
		append([]string{"add", collection, "--quiet"}, what...),
		{"publish", collection, "--quiet"},
	}
}

// theirs is a repository of tuf's.
type theirs struct{ program }

func (b *bench) newTheirs(source string) (*theirs, error) {
	dir, err := b.fresh()
	if err != nil {
		return nil, err
	}
	t := &theirs{program{path: b.tuf, dir: dir}}
	calls := [][]string{{"init"}}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		calls = append(calls, []string{"--insecure-plaintext", "gen-key", role})
	}
	if _, err := t.measure(b.ctx, calls...); err != nil || source == "" {
		return t, err
	}
	if err := t.stage(source); err != nil {
		return t, err
	}
	_, err = t.measure(b.ctx, t.publish()...)
	return t, err
}

// stage puts files where tuf looks for them. Links, which cost it nothing: tuf
// copies from here.
func (t *theirs) stage(source string) error {
	return filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		to := filepath.Join(t.dir, "staged", "targets", rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o777)
		}
		return os.Link(path, to)
	})
}

// publish adds and publishes everything that is staged.
func (t *theirs) publish() [][]string {
	return [][]string{
		{"--insecure-plaintext", "add"},
		{"--insecure-plaintext", "snapshot"},
		{"--insecure-plaintext", "timestamp"},
		{"--insecure-plaintext", "commit"},
	}
}
