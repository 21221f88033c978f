// Package interop pulls a published repository with stock TUF clients, so that a test can say what others make of it.
//
// No client here shares code with this module: each is a released version, used through its documented API with its
// default limits, and reads nothing but what an HTTP server gives it. The Node clients and the old Go client live in
// packages of their own, are installed on first use and kept in the user's cache directory.
package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ErrRefused says that a client did its work and turned the repository down: a signature, hash, version, expiry or
// status that it would not accept. Other errors of Pull are a crash of the client, a fault of the harness, or a client
// that accepted bytes other than the expected ones.
var ErrRefused = errors.New("refused by the client")

// A Pull is what a client is asked to fetch and what it must get.
type Pull struct {
	MetadataURL string            // without a trailing slash, e.g. http://127.0.0.1:1234/example.com/scripts/metadata
	TargetsURL  string            // without a trailing slash
	Root        []byte            // what a client that has no state yet trusts
	Targets     map[string][]byte // target name to the SHA-256 it must have; none means refresh the metadata only
	Dir         string            // what clients remember between pulls, one sub-directory each; "" is a fresh client
	CA          []byte            // PEM of the authority behind an https server; nil for the system's
}

// A Client is one released version of a TUF client.
type Client struct {
	name     string
	topLevel bool
	fetch    fetchFunc
}

// A fetchFunc refreshes the metadata, downloads the job's targets and answers with their SHA-256. What the client itself
// refuses wraps ErrRefused.
type fetchFunc func(context.Context, job) (map[string][]byte, error)

// A job is a Pull as a client sees it: it learns which targets to fetch, not what they should be.
type job struct {
	MetadataURL string   `json:"metadataURL"`
	TargetsURL  string   `json:"targetsURL"`
	Root        []byte   `json:"root"`
	Targets     []string `json:"targets"`
	Dir         string   `json:"dir"`
	CA          []byte   `json:"ca,omitempty"`
}

// Clients returns every client, installing those that are missing, and fails tb if one cannot be installed. With
// PUBLISHER_TEST_NO_NODE=1 the clients that need Node.js are left out.
func Clients(tb testing.TB) []Client {
	tb.Helper()
	clients := []Client{{name: "go-tuf-v2.4.2", fetch: fetchGoTUF2}}
	gotuf07, err := goTUF07()
	if err != nil {
		tb.Fatal(err)
	}
	clients = append(clients, Client{name: "go-tuf-v0.7.0", fetch: gotuf07})
	if os.Getenv("PUBLISHER_TEST_NO_NODE") == "1" {
		tb.Log("PUBLISHER_TEST_NO_NODE=1: tuf-js and tuf-browser are left out")
		return clients
	}
	node, err := nodeScript()
	if err != nil {
		tb.Fatal(err)
	}
	return append(clients,
		Client{name: "tuf-js-6.0.2", fetch: node("tuf-js")},
		Client{name: "tuf-browser-0.1.8", fetch: node("tuf-browser"), topLevel: true})
}

// Name returns the client's name and version, fit for the name of a subtest.
func (c Client) Name() string { return c.name }

// SkipDelegations reports whether the client finds the targets of the top-level role only.
func (c Client) SkipDelegations() bool { return c.topLevel }

// Pull refreshes the metadata as a user of the client would, downloads p.Targets and compares what arrived. A client
// with state in p.Dir goes on from the root it kept there. It is safe for concurrent use with different Dirs.
func (c Client) Pull(ctx context.Context, p Pull) error {
	dir, cleanup, err := c.stateDir(p.Dir)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	defer cleanup()
	got, err := c.fetch(ctx, job{
		MetadataURL: strings.TrimSuffix(p.MetadataURL, "/"),
		TargetsURL:  strings.TrimSuffix(p.TargetsURL, "/"),
		Root:        p.Root,
		Targets:     append([]string{}, slices.Sorted(maps.Keys(p.Targets))...), // [] in JSON, never null
		Dir:         dir,
		CA:          p.CA,
	})
	if ctx.Err() != nil {
		err = context.Cause(ctx) // whatever the client made of it, it refused nothing
	} else if err == nil {
		err = compare(got, p.Targets)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// stateDir makes the directory for this client's state; cleanup removes it if nobody wants to keep it. The old go-tuf
// refuses a directory that others can enter.
func (c Client) stateDir(kept string) (dir string, cleanup func(), err error) {
	if kept != "" {
		dir = filepath.Join(kept, c.name)
		return dir, func() {}, os.MkdirAll(dir, 0o700)
	}
	dir, err = os.MkdirTemp("", "interop-")
	return dir, func() { os.RemoveAll(dir) }, err
}

func compare(got, want map[string][]byte) error {
	if len(got) != len(want) {
		return fmt.Errorf("fetched %d targets, want %d", len(got), len(want))
	}
	for name, sum := range want {
		if len(sum) != sha256.Size {
			return fmt.Errorf("target %q: expected hash has %d bytes, want %d", name, len(sum), sha256.Size)
		}
		if !bytes.Equal(got[name], sum) {
			return fmt.Errorf("target %q: fetched bytes have SHA-256 %x, want %x", name, got[name], sum)
		}
	}
	return nil
}
