package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"publisher/internal/console"
)

// A shell runs publisher, and its servers.
type shell struct {
	*console.Shell
	servers []*server
}

func newShell(ctx context.Context, dir string) (*shell, error) {
	s, err := console.New(ctx, dir)
	return &shell{Shell: s}, err
}

// A heldKey is one line of key list.
type heldKey struct {
	ID   string `json:"keyid"`
	Role string `json:"role"`
}

// keys is what publisher says of the keys in a trust directory.
func (s *shell) keys(trustDir string) ([]heldKey, error) {
	out, err := s.Output("-d", trustDir, "key", "list", "--json")
	if err != nil {
		return nil, err
	}
	var keys []heldKey
	if err := json.Unmarshal(out, &keys); err != nil {
		return nil, fmt.Errorf("read the list of keys: %w", err)
	}
	for _, k := range keys {
		fmt.Printf("# %s %s\n", k.Role, k.ID)
	}
	return keys, nil
}

// A server is publisher dev at work.
type server struct {
	URL    string `json:"url"`
	CA     string `json:"tlscacert"`
	Store  string `json:"store"`
	Inbox  string `json:"inbox"`
	Online string `json:"online"`

	cmd *exec.Cmd
}

// serve serves a directory store on free ports. Servers have a trust directory of
// their own.
func (s *shell) serve(dir string) (*server, error) {
	args := []string{"-d", "server", "dev", "--dir", dir, "--listen", "127.0.0.1:0", "--json"}
	cmd := s.Command(args)
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = func() error { return interrupt(cmd) }
	cmd.WaitDelay = 5 * time.Second
	fmt.Println("$ " + console.Typed(args) + " &")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	web := &server{cmd: cmd}
	s.servers = append(s.servers, web)
	if err := json.NewDecoder(out).Decode(web); err != nil {
		return nil, fmt.Errorf("%s: read where it serves: %w", console.Typed(args), err)
	}
	fmt.Println(web.URL)
	return web, nil
}

// stopServers ends what serve began.
func (s *shell) stopServers() error {
	var all []error
	for _, web := range s.servers {
		all = append(all, web.stop())
	}
	return errors.Join(all...)
}

// stop ends the server, which has to end in order.
func (w *server) stop() error {
	if err := interrupt(w.cmd); err != nil {
		return err
	}
	err := w.cmd.Wait()
	if runtime.GOOS == "windows" {
		return nil // it was killed: there are no interrupts
	}
	return err
}

func interrupt(cmd *exec.Cmd) error {
	if runtime.GOOS == "windows" {
		return cmd.Process.Kill()
	}
	return cmd.Process.Signal(os.Interrupt)
}

// fileURL is the URL of a directory store.
func fileURL(dir string) string {
	path := filepath.ToSlash(dir)
	if runtime.GOOS == "windows" {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
