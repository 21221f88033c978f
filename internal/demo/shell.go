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
	"slices"
	"strings"
	"time"
)

// A shell runs publisher in a directory, and prints each command before what
// the command prints.
type shell struct {
	ctx context.Context
	dir string
	bin string
	env []string

	servers []*server
}

// newShell builds publisher into dir.
func newShell(ctx context.Context, dir string) (*shell, error) {
	s := &shell{ctx: ctx, dir: dir, bin: filepath.Join(dir, "bin", "publisher.exe")}
	// What the user has set up for real work has no part in this.
	s.env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PUBLISHER_") || strings.HasPrefix(v, "NOTARY_")
	})
	out, err := exec.CommandContext(ctx, "go", "build", "-o", s.bin, "./cmd/publisher").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("build publisher, from the top of the repository: %w\n%s", err, out)
	}
	return s, nil
}

// say tells what comes next.
func (s *shell) say(text string) {
	fmt.Println()
	for line := range strings.Lines(text) {
		fmt.Println("# " + strings.TrimSuffix(line, "\n"))
	}
}

// publisher runs publisher, which has to succeed.
func (s *shell) publisher(args ...string) error {
	cmd := s.command(args)
	fmt.Println("$ " + typed(args))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", typed(args), err)
	}
	return nil
}

// refuses runs publisher, which has to fail with that exit code.
func (s *shell) refuses(code int, args ...string) error {
	cmd := s.command(args)
	fmt.Println("$ " + typed(args))
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		return fmt.Errorf("%s: %v, where exit status %d belongs", typed(args), err, code)
	}
	return nil
}

// A heldKey is one line of key list.
type heldKey struct {
	ID   string `json:"keyid"`
	Role string `json:"role"`
}

// keys is what publisher says of the keys in a trust directory.
func (s *shell) keys(trustDir string) ([]heldKey, error) {
	args := []string{"-d", trustDir, "key", "list", "--json"}
	cmd := s.command(args)
	cmd.Stdout = nil
	fmt.Println("$ " + typed(args))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", typed(args), err)
	}
	var keys []heldKey
	if err := json.Unmarshal(out, &keys); err != nil {
		return nil, fmt.Errorf("%s: %w", typed(args), err)
	}
	for _, k := range keys {
		fmt.Printf("# %s %s\n", k.Role, k.ID)
	}
	return keys, nil
}

func (s *shell) command(args []string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, s.bin, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout // in their order, also in a pipe
	return cmd
}

// typed is a command as one would type it.
func typed(args []string) string {
	words := []string{"publisher"}
	for _, arg := range args {
		if strings.ContainsAny(arg, ` '"\$?`) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
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
	cmd := s.command(args)
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = func() error { return interrupt(cmd) }
	cmd.WaitDelay = 5 * time.Second
	fmt.Println("$ " + typed(args) + " &")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	web := &server{cmd: cmd}
	s.servers = append(s.servers, web)
	if err := json.NewDecoder(out).Decode(web); err != nil {
		return nil, fmt.Errorf("%s: read where it serves: %w", typed(args), err)
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
