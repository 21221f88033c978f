package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"publisher/internal/testserver"
)

// TestTranscripts types every command of the console blocks of documents into a shell,
// in one folder for each document, and compares what comes back. In what a
// document shows, … stands for anything on a line, and alone on a line for any
// number of lines.
func TestTranscripts(t *testing.T) {
	bin := buildPublisher(t)
	for _, name := range []string{"README.md", "docs/operations.md", "docs/notary.md"} {
		t.Run(name, func(t *testing.T) { typeIn(t, bin, name) })
	}
}

// TestSelfHosting types docs/self-hosting.md, with a versitygw and an nginx where
// it has them.
func TestSelfHosting(t *testing.T) {
	store := testserver.VersityGW(t, "--sidecar", t.TempDir())
	cdn := testserver.Nginx(t, "../../selfhost/nginx.conf.template", store.Host(), "public")
	bin, dir := buildPublisher(t), t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "selfhost"), os.DirFS("../../selfhost")); err != nil {
		t.Fatal(err)
	}
	// Whoever edits .env knows who the administrator is.
	edit := fmt.Sprintf("EDITOR=sed -i s/^ROOT_ACCESS_KEY=.*/ROOT_ACCESS_KEY=%s/;s/^ROOT_SECRET_KEY=.*/ROOT_SECRET_KEY=%s/", store.AccessKey, store.SecretKey)
	typeAll(t, newShell(t, bin, dir), "docs/self-hosting.md", []string{edit},
		"http://127.0.0.1:7070", store.Endpoint, "http://127.0.0.1:8080", cdn.URL, "4444", freePort(t))
}

func typeIn(t *testing.T, bin, document string) {
	dir := t.TempDir()
	for _, name := range []string{"dist/app.bin", "dist/lib/lib.so"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, ".notary"), os.DirFS("testdata/notary")); err != nil {
		t.Fatal(err)
	}
	typeAll(t, newShell(t, bin, dir), document, nil, "7443", freePort(t), "4444", freePort(t))
}

// typeAll types a document's commands with more in the environment. The reader of
// a document has its ports free, which a test does not know: others are put in
// their place.
func typeAll(t *testing.T, sh *shell, document string, env []string, ports ...string) {
	t.Helper()
	text, err := os.ReadFile("../../" + document)
	if err != nil {
		t.Fatal(err)
	}
	blocks := consoleBlocks(strings.NewReplacer(ports...).Replace(string(text)))
	if len(blocks) == 0 {
		t.Fatal("no console blocks")
	}
	for _, block := range blocks {
		// One block plays on the puller's machine, the others on the publisher's.
		sh.env = append([]string{"PUBLISHER_TRUST_DIR=" + filepath.Join(sh.dir, "publisher")}, env...)
		for _, c := range block {
			if got := sh.run(c.command); !c.matches(got) {
				t.Errorf("$ %s\ngot:\n%s\n%s says:\n%s", c.command, got, document, c.output)
			}
		}
	}
}

// TestOperations: whatever the signer logs or counts, docs/operations.md tells
// what it means.
func TestOperations(t *testing.T) {
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`(?:\b[lL]og\.(?:Info|Warn|Error)|\.fail)\("([^"]+)"|[mM]etric[A-Z]\w* += "([^"]+)"`)
	found := 0
	for _, pattern := range []string{"../../lambda/*.go", "../../lambda/bootstrap/*.go", "daemon.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range said.FindAllStringSubmatch(string(text), -1) {
				found++
				if name := m[1] + m[2]; !strings.Contains(string(document), "`"+name+"`") {
					t.Errorf("%s says %q, and docs/operations.md does not", file, name)
				}
			}
		}
	}
	if found < 25 {
		t.Errorf("found %d names: they are said in another way now", found)
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
	t      *testing.T
	dir    string
	env    []string
	base   []string
	server *exec.Cmd // the last one that was started
}

func buildPublisher(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "publisher")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

func newShell(t *testing.T, bin, dir string) *shell {
	base := []string{"PATH=" + filepath.Dir(bin) + ":" + os.Getenv("PATH"), "HOME=" + dir, "NO_COLOR=1"}
	for _, role := range []string{"ROOT", "TARGETS", "SNAPSHOT", "TIMESTAMP", "DELEGATION"} {
		base = append(base, "PUBLISHER_"+role+"_PASSPHRASE=correct horse battery")
	}
	return &shell{t: t, dir: dir, base: base}
}

// run returns what a command prints. A server keeps running until the document
// says kill %1; of what it prints, the first line is returned.
func (s *shell) run(command string) string {
	s.t.Helper()
	if name, value, ok := strings.Cut(strings.TrimPrefix(command, "export "), "="); ok && strings.HasPrefix(command, "export ") {
		s.env = append(s.env, name+"="+strings.ReplaceAll(value, "$PWD", s.dir))
		return ""
	}
	if command == "kill %1" {
		s.stop()
		return ""
	}
	cmd := exec.CommandContext(s.t.Context(), "bash", "-c", "exec "+command)
	if background, ok := strings.CutSuffix(cmd.Args[2], " &"); ok || strings.HasPrefix(command, "publisher dev ") {
		cmd.Args[2] = background
		cmd.Dir, cmd.Env = s.dir, append(s.base, s.env...)
		return s.serve(cmd)
	}
	cmd.Args[2] = command
	cmd.Dir, cmd.Env = s.dir, append(s.base, s.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !asExit(err, &exit) {
		s.t.Fatalf("%s: %v", command, err)
	}
	return out.String()
}

// serve returns when the server says that it serves.
func (s *shell) serve(cmd *exec.Cmd) string {
	s.t.Helper()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.server = cmd
	s.t.Cleanup(func() { _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatalf("%s: it ended without a word: %v", cmd.Args[2], err)
	}
	return line
}

func (s *shell) stop() {
	s.t.Helper()
	if err := s.server.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	if err := s.server.Wait(); err != nil {
		s.t.Fatalf("%s: %v", s.server.Args[2], err)
	}
}

func asExit(err error, target **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*target = e
	return ok
}

// freePort is a port that is free with the one after it, which dev takes too. It
// is none of those that the system gives to whoever asks for any.
func freePort(t *testing.T) string {
	for range 100 {
		port := 20000 + 2*rand.IntN(5000)
		if canListen(port) && canListen(port+1) {
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

func canListen(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
