package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Notary is the programs of Notary v0.7.0, which collections are imported from: its own command line, and its server with
// its signer.
type Notary struct{ dir string }

// NotaryPassphrase opens the encrypted keys that WriteKeys writes.
const NotaryPassphrase = "notary-secret"

// WithoutNotary reports that nothing is to be imported from the real Notary, because this machine reaches no module proxy:
// PUBLISHER_TEST_NO_NOTARY=1.
func WithoutNotary() bool { return os.Getenv("PUBLISHER_TEST_NO_NOTARY") == "1" }

// InstallNotary builds Notary, if it was not built yet, and fails tb if that cannot be done. It skips the test, and says
// so, if told that it cannot: see WithoutNotary.
func InstallNotary(tb testing.TB) *Notary {
	tb.Helper()
	if WithoutNotary() {
		tb.Skip("PUBLISHER_TEST_NO_NOTARY=1: nothing is imported from the real Notary")
	}
	n, err := OpenNotary()
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// OpenNotary is InstallNotary for who has no test at hand.
func OpenNotary() (*Notary, error) {
	dir, err := notary07()
	if err != nil {
		return nil, fmt.Errorf("Notary v0.7.0 is built from what the Go module proxy has; without one, set PUBLISHER_TEST_NO_NOTARY=1: %w", err)
	}
	return &Notary{dir}, nil
}

var notary07 = sync.OnceValues(func() (string, error) { return install("notary07", buildNotary) })

func (n *Notary) server() string { return filepath.Join(n.dir, "server.exe") }

// Program is the path of Notary's command line.
func (n *Notary) Program() string { return filepath.Join(n.dir, "notary.exe") }

// WriteKeys fills a directory with key files: of every kind of key, each plain and encrypted, each as v0.7.0 writes it
// (ALGORITHM-plain.pem) and as older releases did (ALGORITHM-plain-old.pem).
func (n *Notary) WriteKeys(tb testing.TB, dir string) {
	tb.Helper()
	if err := runTool(exec.CommandContext(tb.Context(), n.server(), "keys", dir)); err != nil {
		tb.Fatal(err)
	}
}

// Serve starts a server that forgets everything when the test ends, and returns its URL.
func (n *Notary) Serve(tb testing.TB) string {
	tb.Helper()
	url, stop, err := n.Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(stop)
	return url
}

// Start is Serve for who has no test at hand.
func (n *Notary) Start() (url string, stop func(), err error) {
	cmd := exec.Command(n.server(), "serve")
	var talk bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &talk, time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		in.Close() // it ends with its input
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start Notary's server: %w\n%s", err, &talk)
	}
	return strings.TrimSpace(line), stop, nil
}

// buildNotary builds both programs as they would have been built in their time. Since then multipart.Part.FileName cuts
// off directories, and with them the "targets/" of every delegation that a server is sent, which it refuses then; so
// that one file of the standard library is put back, for this build, to what it was.
func buildNotary(src, dst string) error {
	overlay, err := oldMultipart(src, dst)
	if err != nil {
		return fmt.Errorf("undo what Go changed: %w", err)
	}
	for program, pkg := range map[string]string{"server.exe": ".", "notary.exe": "github.com/theupdateframework/notary/cmd/notary"} {
		cmd := exec.Command("go", "build", "-overlay", overlay, "-o", filepath.Join(dst, program), pkg)
		cmd.Dir = src
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		if err := runTool(cmd); err != nil {
			return err
		}
	}
	return nil
}

// oldMultipart writes an overlay for go build.
func oldMultipart(src, dst string) (overlay string, err error) {
	goroot := exec.Command("go", "env", "GOROOT")
	goroot.Dir = src
	root, err := goroot.Output()
	if err != nil {
		return "", err
	}
	file := filepath.Join(strings.TrimSpace(string(root)), "src", "mime", "multipart", "multipart.go")
	now, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	then := strings.Replace(string(now), "filepath.Base(filename)", "filename", 1)
	then = strings.Replace(then, "\t\"path/filepath\"\n", "", 1)
	if len(string(now))-len(then) != len("filepath.Base()")+len("\t\"path/filepath\"\n") {
		return "", fmt.Errorf("%s is not as it was", file)
	}
	old := filepath.Join(dst, "multipart.go")
	if err := os.WriteFile(old, []byte(then), 0o644); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{file: old}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dst, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

// A NotaryUser is somebody at Notary's command line, with a trust directory of their own.
type NotaryUser struct {
	Dir string // the trust directory

	tb   testing.TB
	args []string
	prog string
}

// NotaryPassphrases is what opens and closes the keys of every NotaryUser, by the variable that Notary reads it from.
var NotaryPassphrases = map[string]string{
	"NOTARY_ROOT_PASSPHRASE":       NotaryPassphrase,
	"NOTARY_TARGETS_PASSPHRASE":    "targets-secret",
	"NOTARY_SNAPSHOT_PASSPHRASE":   "snapshot-secret",
	"NOTARY_DELEGATION_PASSPHRASE": "delegation-secret",
}

// User returns somebody who works with the server at url and keeps what they have in dir.
func (n *Notary) User(tb testing.TB, url, dir string) *NotaryUser {
	return &NotaryUser{Dir: dir, tb: tb, prog: n.Program(), args: []string{"-s", url, "-d", dir}}
}

// Run types a command, answers yes to what it asks, and returns what it prints.
func (u *NotaryUser) Run(args ...string) string {
	u.tb.Helper()
	cmd := exec.CommandContext(u.tb.Context(), u.prog, append(u.args[:len(u.args):len(u.args)], args...)...)
	cmd.Stdin = strings.NewReader("yes\n")
	cmd.Env = os.Environ()
	for name, value := range NotaryPassphrases {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.tb.Fatalf("notary %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
