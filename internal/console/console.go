// Package console runs publisher in a directory for programs that show how it
// works, and prints each command before what the command prints.
package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Shell is a directory, and publisher in it.
type Shell struct {
	Dir string
	Env []string // of each command

	ctx context.Context
	bin string
}

// New builds publisher into dir. It has to be called from within the
// repository.
func New(ctx context.Context, dir string) (*Shell, error) {
	s := &Shell{Dir: dir, ctx: ctx, bin: filepath.Join(dir, "bin", "publisher.exe")}
	// What the user has set up for real work has no part in this.
	s.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PUBLISHER_") || strings.HasPrefix(v, "NOTARY_")
	})
	out, err := exec.CommandContext(ctx, "go", "build", "-o", s.bin, "publisher/cmd/publisher").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("build publisher, from within the repository: %w\n%s", err, out)
	}
	return s, nil
}

// Say tells what comes next.
func (s *Shell) Say(text string) {
	fmt.Println()
	for line := range strings.Lines(text) {
		fmt.Println("# " + strings.TrimSuffix(line, "\n"))
	}
}

// Publisher runs publisher, which has to succeed.
func (s *Shell) Publisher(args ...string) error {
	fmt.Println("$ " + Typed(args))
	if err := s.Command(args).Run(); err != nil {
		return fmt.Errorf("%s: %w", Typed(args), err)
	}
	return nil
}

// Output is Publisher for those who read what it prints as its result.
func (s *Shell) Output(args ...string) ([]byte, error) {
	cmd := s.Command(args)
	cmd.Stdout = nil
	fmt.Println("$ " + Typed(args))
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w", Typed(args), err)
	}
	return out, nil
}

// Refuses runs publisher, which has to fail with that exit code.
func (s *Shell) Refuses(code int, args ...string) error {
	fmt.Println("$ " + Typed(args))
	err := s.Command(args).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		return fmt.Errorf("%s: %v, where exit status %d belongs", Typed(args), err, code)
	}
	return nil
}

// Command is publisher, ready to start.
func (s *Shell) Command(args []string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, s.bin, args...)
	cmd.Dir, cmd.Env = s.Dir, s.Env
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout // in their order, also in a pipe
	return cmd
}

// Typed is a command as one would type it.
func Typed(args []string) string {
	words := []string{"publisher"}
	for _, arg := range args {
		if strings.ContainsAny(arg, ` '"\$?&`) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
