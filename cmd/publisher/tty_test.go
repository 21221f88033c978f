//go:build linux || darwin

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// A person is somebody at a terminal.
type person struct {
	t      *testing.T
	keys   *os.File // where they type
	seen   chan byte
	screen []byte // what they have seen
}

// sit starts the program on a terminal of its own, with its output elsewhere.
func sit(t *testing.T, args ...string) (*person, *exec.Cmd, *os.File) {
	t.Helper()
	keys, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close(); terminal.Close() })
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Args[0] = "publisher" // by which TestMain knows
	cmd.Env = []string{"HOME=" + t.TempDir(), "NO_COLOR=1"}
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.ExtraFiles = []*os.File{terminal}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, keys: keys, seen: make(chan byte, 1<<16)}
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := io.ReadFull(keys, b); err != nil {
				return
			}
			p.seen <- b[0]
		}
	}()
	return p, cmd, terminal
}

// reads waits until text is on the screen.
func (p *person) reads(text string) {
	p.t.Helper()
	late := time.After(time.Minute)
	for !strings.HasSuffix(string(p.screen), text) {
		select {
		case b := <-p.seen:
			p.screen = append(p.screen, b)
		case <-late:
			p.t.Fatalf("the screen shows %q, not %q", p.screen, text)
		}
	}
}

func (p *person) types(text string) {
	p.t.Helper()
	if _, err := p.keys.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// settled waits until the program has taken the terminal over. What is typed
// before that, the terminal itself shows.
func settled(t *testing.T, terminal *os.File, before *term.State) {
	t.Helper()
	for range 6000 {
		if !reflect.DeepEqual(before, stateOf(t, terminal)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the terminal still shows what is typed")
}

func stateOf(t *testing.T, terminal *os.File) *term.State {
	t.Helper()
	state, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestPassphraseIsNotShown(t *testing.T) {
	p, cmd, terminal := sit(t, "key", "generate")
	before := stateOf(t, terminal)
	for _, again := range []string{"new passphrase for the root key: ", "the same again: "} {
		p.reads(again)
		settled(t, terminal, before)
		p.types("mistake\x15grüß\x7f\x7füße-secrex\bt\r")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err, cmd.Stderr)
	}
	if strings.Contains(string(p.screen), "secre") || strings.Contains(fmt.Sprint(cmd.Stdout, cmd.Stderr), "secre") {
		t.Errorf("shown: %q, %s, %s", p.screen, cmd.Stdout, cmd.Stderr)
	}
	if after := stateOf(t, terminal); !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal was %v and is left %v", before, after)
	}
	opened := exec.CommandContext(t.Context(), cmd.Path, "key", "passwd", strings.TrimSpace(fmt.Sprint(cmd.Stdout)), "--no-passphrase")
	opened.Args[0] = cmd.Args[0]
	opened.Env = append(cmd.Env, "PUBLISHER_ROOT_PASSPHRASE=grüße-secret")
	if out, err := opened.CombinedOutput(); err != nil {
		t.Errorf("the passphrase is not what was typed: %s", out)
	}
}

func TestInterruptedQuestion(t *testing.T) {
	for name, interrupt := range map[string]func(p *person, cmd *exec.Cmd){
		"Ctrl-C":  func(p *person, _ *exec.Cmd) { p.types("half a pass\x03") },
		"SIGINT":  func(_ *person, cmd *exec.Cmd) { _ = cmd.Process.Signal(os.Interrupt) },
		"SIGTERM": func(_ *person, cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			p, cmd, terminal := sit(t, "key", "generate")
			before := stateOf(t, terminal)
			p.reads("new passphrase for the root key: ")
			settled(t, terminal, before)
			interrupt(p, cmd)
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
				t.Errorf("got %v, want exit code %d", err, exitInterrupted)
			}
			if got, want := fmt.Sprint(cmd.Stderr), "error: interrupted\nhint: run the same command again: it goes on where it stopped\n"; got != want {
				t.Errorf("stderr is %q", got)
			}
			if after := stateOf(t, terminal); !reflect.DeepEqual(before, after) {
				t.Errorf("the terminal was %v and is left %v", before, after)
			}
		})
	}
}
