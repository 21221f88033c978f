package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// A tty is the terminal that the program was started from, wherever its
// standard files lead. Questions go there, never to stdout.
type tty struct {
	in, out *os.File
}

// openTTY fails if there is no terminal.
func openTTY() (*tty, error) {
	names := [2]string{"/dev/tty", "/dev/tty"}
	if runtime.GOOS == "windows" {
		names = [2]string{"CONIN$", "CONOUT$"}
	}
	in, err := os.OpenFile(names[0], os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(names[1], os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return &tty{in, out}, nil
}

func (t *tty) close() {
	_ = t.in.Close() // only questions went there
	_ = t.out.Close()
}

func (t *tty) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, format, args...) // who does not see the question does not answer
}

// secret asks for a line without showing it.
func (t *tty) secret(question string) ([]byte, error) {
	t.say("%s ", question)
	defer t.say("\n")
	return t.uninterrupted(func() ([]byte, error) { return term.ReadPassword(int(t.in.Fd())) })
}

// line asks for a line.
func (t *tty) line(question string) (string, error) {
	t.say("%s ", question)
	line, err := t.uninterrupted(t.readLine)
	return strings.TrimSpace(string(line)), err
}

// readLine reads no further than the end of the line: what follows answers the
// next question.
func (t *tty) readLine() (line []byte, err error) {
	b := make([]byte, 1)
	for {
		n, err := t.in.Read(b)
		if n == 1 && b[0] == '\n' {
			return line, nil
		}
		line = append(line, b[:n]...)
		if err != nil {
			return line, err
		}
	}
}

// uninterrupted is read, or errInterrupted with the terminal as it was before.
// Reading goes on then, as nothing can stop it; the program is about to end.
func (t *tty) uninterrupted(read func() ([]byte, error)) ([]byte, error) {
	state, err := term.GetState(int(t.in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("use terminal: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := read()
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		if errors.Is(a.err, io.EOF) {
			return nil, errNoAnswer
		}
		return a.line, a.err
	case <-signals:
		return nil, errors.Join(errInterrupted, term.Restore(int(t.in.Fd()), state))
	}
}

var errNoAnswer = errors.New("no answer")
