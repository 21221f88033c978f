package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadme types every command of the README's console blocks into a shell,
// in one folder, and compares what comes back. In what the README shows, …
// stands for anything on a line, and alone on a line for any number of lines.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"dist/app.bin", "dist/lib/lib.so"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sh := newShell(t, dir)
	// The reader of the README has the port free; a test does not know.
	port := freePort(t)
	for _, block := range consoleBlocks(string(text)) {
		// One block plays on the puller's machine, the others on the publisher's.
		sh.env = []string{"PUBLISHER_TRUST_DIR=" + filepath.Join(dir, "publisher")}
		for _, c := range block {
			command := strings.ReplaceAll(c.command, "7443", port)
			if got := sh.run(command); !c.matches(got) {
				t.Errorf("$ %s\ngot:\n%s\nthe README says:\n%s", c.command, got, c.output)
			}
		}
	}
}

// A typed command, and what the README says comes back.
type typed struct{ command, output string }

func consoleBlocks(text string) (blocks [][]typed) {
	for _, m := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(text, -1) {
		var block []typed
		for line := range strings.Lines(m[1]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				block = append(block, typed{command: strings.TrimSpace(command)})
			} else {
				block[len(block)-1].output += line
			}
		}
		blocks = append(blocks, block)
	}
	return blocks
}

func (c typed) matches(got string) bool {
	var pattern strings.Builder
	for line := range strings.Lines(c.output) {
		if line == "…\n" {
			pattern.WriteString("(?s:.*)")
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(got)
}

// A shell runs one command after the other in a folder.
type shell struct {
	t    *testing.T
	dir  string
	env  []string
	base []string
}

func newShell(t *testing.T, dir string) *shell {
	bin := filepath.Join(t.TempDir(), "publisher")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	base := []string{"PATH=" + filepath.Dir(bin) + ":" + os.Getenv("PATH"), "HOME=" + dir, "NO_COLOR=1"}
	for _, role := range []string{"ROOT", "TARGETS", "SNAPSHOT", "TIMESTAMP"} {
		base = append(base, "PUBLISHER_"+role+"_PASSPHRASE=correct horse battery")
	}
	return &shell{t: t, dir: dir, base: base}
}

// run returns what a command prints. A server keeps running; what it prints
// first is returned.
func (s *shell) run(command string) string {
	s.t.Helper()
	if name, value, ok := strings.Cut(strings.TrimPrefix(command, "export "), "="); ok && strings.HasPrefix(command, "export ") {
		s.env = append(s.env, name+"="+strings.ReplaceAll(value, "$PWD", s.dir))
		return ""
	}
	cmd := exec.CommandContext(s.t.Context(), "bash", "-c", command)
	cmd.Dir, cmd.Env = s.dir, append(s.base, s.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if strings.HasPrefix(command, "publisher dev ") {
		return s.serve(cmd, command)
	}
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !asExit(err, &exit) {
		s.t.Fatalf("%s: %v", command, err)
	}
	return out.String()
}

func (s *shell) serve(cmd *exec.Cmd, command string) string {
	s.t.Helper()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Wait() })
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(command)
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return ""
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatalf("%s: nothing listens", command)
	return ""
}

func asExit(err error, target **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*target = e
	return ok
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}
