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
	"unicode/utf8"

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

// secret asks for a line without showing it, and leaves the terminal as it was.
func (t *tty) secret(question string) ([]byte, error) {
	fd := int(t.in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("use terminal: %w", err)
	}
	defer func() {
		_ = term.Restore(fd, state) // there is no other way to try
		t.say("\n")
	}()
	return t.ask(question, t.readSecret)
}

// line asks for a line.
func (t *tty) line(question string) (string, error) {
	line, err := t.ask(question, t.readLine)
	return strings.TrimSpace(string(line)), err
}

const (
	ctrlC     = 'C' - '@'
	ctrlD     = 'D' - '@'
	ctrlU     = 'U' - '@'
	backspace = '\b'
	del       = 0x7f
)

// readSecret is the editor of a terminal in raw mode. That of the system would
// do, but a library that uses it takes the end of the input for an empty read
// and reads on for ever. A Ctrl-D that was typed before raw mode began reads as
// a zero.
func (t *tty) readSecret() (line []byte, err error) {
	for {
		b, err := t.readByte()
		if err != nil {
			return nil, err
		}
		switch b {
		case '\r', '\n':
			return line, nil
		case ctrlC:
			return nil, errInterrupted
		case ctrlD, 0:
			return nil, io.EOF
		case ctrlU:
			line = nil
		case backspace, del:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		default:
			line = append(line, b)
		}
	}
}

// readLine reads no further than the end of the line: what follows answers the
// next question.
func (t *tty) readLine() (line []byte, err error) {
	for {
		b, err := t.readByte()
		if err != nil || b == '\n' {
			return line, err
		}
		line = append(line, b)
	}
}

func (t *tty) readByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(t.in, b[:])
	return b[0], err
}

// ask is what read returns, or errInterrupted as soon as the program is told to
// end: whoever sees the question can interrupt it. Reading goes on then, as
// nothing can stop it.
func (t *tty) ask(question string, read func() ([]byte, error)) ([]byte, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	t.say("%s ", question)
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
		return nil, errInterrupted
	}
}

var errNoAnswer = errors.New("no answer")
