// Command conformance lets the conformance suite of the TUF project
// (theupdateframework/tuf-conformance) drive the client in package repo. It has
// the command line that the suite wants:
//
//	conformance --metadata-dir D init ROOT
//	conformance --metadata-dir D --metadata-url U refresh
//	conformance --metadata-dir D --metadata-url U --target-name N --target-base-url B --target-dir T download
//
// The suite moves the clock of libc, which Go does not use: start it through a
// script that adds --now "$(date +%s)".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"publisher/internal/durable"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// collection is a name for what the suite serves without one.
const collection = "suite"

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type client struct {
	metadataDir, metadataURL, targetName, targetBaseURL, targetDir string

	now int64
}

func run(ctx context.Context, args []string) error {
	var c client
	f := flag.NewFlagSet("conformance", flag.ContinueOnError)
	for name, value := range map[string]*string{
		"metadata-dir": &c.metadataDir, "metadata-url": &c.metadataURL,
		"target-name": &c.targetName, "target-base-url": &c.targetBaseURL, "target-dir": &c.targetDir,
	} {
		f.StringVar(value, name, "", "as the suite defines it")
	}
	f.Int64Var(&c.now, "now", time.Now().Unix(), "the time to go by, as seconds since 1970")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.Arg(0) == "init" && f.NArg() == 2:
		return c.init(f.Arg(1))
	case f.Arg(0) == "refresh" && f.NArg() == 1:
		_, err := c.refresh(ctx)
		return err
	case f.Arg(0) == "download" && f.NArg() == 1:
		return c.download(ctx)
	}
	return fmt.Errorf("want init ROOT, refresh or download, not %q", f.Args())
}

func (c *client) init(root string) error {
	data, err := os.ReadFile(root)
	if err == nil {
		err = durable.MkdirAll(c.metadataDir, 0o700)
	}
	if err != nil {
		return err
	}
	return cache(c.metadataDir).Put("root.json", data)
}

// refresh is the client workflow down to the top-level targets; TUF
// specification, sections 5.1 to 5.6.
func (c *client) refresh(ctx context.Context) (*repo.View, error) {
	l := &repo.Loader{Source: c, Collection: collection, Cache: cache(c.metadataDir), Now: time.Unix(c.now, 0)}
	view, err := l.Load(ctx)
	if err == nil {
		_, err = view.Role(ctx, tuf.RoleTargets) // fails too if nothing is published
	}
	return view, err
}

func (c *client) download(ctx context.Context) error {
	view, err := c.refresh(ctx)
	if err != nil {
		return err
	}
	target, err := view.Lookup(ctx, c.targetName)
	if err != nil {
		return err
	}
	file := filepath.Join(c.targetDir, url.PathEscape(target.Name))
	if data, err := os.ReadFile(file); err == nil && check(target, data) == nil {
		return nil
	}
	key, err := view.Key(target)
	if err != nil {
		return err
	}
	data, _, err := storage.Read(ctx, c, key, target.Length)
	if err == nil {
		err = check(target, data)
	}
	if err != nil {
		return err
	}
	return durable.WriteFile(file, data, 0o600)
}

func check(target repo.Target, data []byte) error {
	d, err := repo.NewDigest(target.Hashes)
	if err != nil {
		return err
	}
	_, _ = d.Write(data) // it never fails
	if d.Len() != target.Length {
		return fmt.Errorf("%s: %d bytes, not %d", target.Name, d.Len(), target.Length)
	}
	return d.Check()
}

// Get reads from the suite's server: metadata and targets have a URL each, and
// the name of a role is one element of the path, whatever is in it.
func (c *client) Get(ctx context.Context, key string) (storage.Object, error) {
	base, name := c.targetBaseURL, strings.TrimPrefix(key, repo.TargetsDir(collection)+"/")
	escaped := (&url.URL{Path: name}).EscapedPath()
	if name, ok := strings.CutPrefix(key, repo.MetadataDir(collection)+"/"); ok {
		base, escaped = c.metadataURL, url.PathEscape(name)
	}
	address := strings.TrimRight(base, "/") + "/" + escaped
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return storage.Object{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return storage.Object{}, err
	}
	if resp.StatusCode == http.StatusOK {
		return storage.Object{Body: resp.Body, Size: resp.ContentLength}, nil
	}
	err = fmt.Errorf("get %s: %s", address, resp.Status)
	if resp.StatusCode == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return storage.Object{}, errors.Join(err, resp.Body.Close())
}

// cache is a directory with a file for each role: the suite wants them without
// version numbers.
type cache string

func (d cache) file(name string) string { return filepath.Join(string(d), url.PathEscape(name)) }

func (d cache) Get(name string) ([]byte, error) { return os.ReadFile(d.file(name)) }

func (d cache) Put(name string, data []byte) error {
	if _, _, numbered := repo.ParseSlot(name); numbered {
		return nil
	}
	return durable.WriteFile(d.file(name), data, 0o600)
}

// Replace need not compare: there is one client at a time.
func (d cache) Replace(name string, _, data []byte) (bool, error) { return true, d.Put(name, data) }
