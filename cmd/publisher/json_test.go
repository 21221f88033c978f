package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"publisher/repo/tuf"
)

// jsonRuns is, for every verb that reports, a run that succeeds, in the order
// in which they build on one another. $DIR is the test's directory.
var jsonRuns = []struct{ verb, args string }{
	{"init", "example.com/a --store file://$DIR/store --no-passphrase"},
	{"import notary", "testdata/notary example.com/b --gun example.com/app --store file://$DIR/store --dry-run"},
	{"add", "example.com/a x $DIR/file"},
	{"status", "example.com/a"},
	{"publish", "example.com/a"},
	{"sign", "example.com/a"},
	{"addhash", "example.com/a y 2 --sha256 87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"},
	{"reset", "example.com/a --all"},
	{"remove", "example.com/a x --ignore-missing"},
	{"refresh", "example.com/a"},
	{"root", "example.com/a"},
	{"check", "example.com/a"},
	{"doctor", "example.com/a"},
	{"key rotate", "example.com/a snapshot --local --no-passphrase --grace 1s --yes"},
	{"submissions", "example.com/a --online lambda:s?endpoint=http://127.0.0.1:1 --inbox file://$DIR/inbox"},
	{"list", "example.com/a"},
	{"lookup", "example.com/a x"},
	{"log", "example.com/a"},
	{"download", "example.com/a x -o $DIR/got"},
	{"key list", ""},
	{"key generate", "-o $DIR/new.pem --no-passphrase"},
	{"key export", "--public -o $DIR/public.pem"},
	{"key import", "$DIR/new.pem --no-passphrase"},
	{"delegation add", "example.com/a targets/r $DIR/delegate.pub --paths r/* -p"},
	{"delegation list", "example.com/a"},
	{"delegation purge", "example.com/a --key $KEY"},
	{"reset", "example.com/a --all"},
	{"delegation remove", "example.com/a targets/r --yes"},
	{"witness", "example.com/a targets"},
	{"root", "example.com/a"},
	{"mirror", "example.com/a file://$DIR/copy"},
	{"gc", "example.com/a --yes"},
	{"trust list", ""},
	{"trust set", "example.com/a --store file://$DIR/store"},
	{"delete", "example.com/gone --remote --yes --store file://$DIR/store"},
	{"config show", "example.com/a"},
	{"version", ""},
}

// jsonless is the verbs without a result of their own: what they print, if
// anything, is data, or goes on until they are interrupted (dev, which has
// tests of its own), or a file, or nothing.
var jsonless = []string{
	"completion bash", "completion fish", "completion powershell", "completion zsh", "help", "verify", "dev", "signer",
	"key export", "key passwd", "key remove", "trust export", "trust add", "trust remove",
}

// TestJSON has every verb that reports print one JSON value, and nothing else.
func TestJSON(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	delegate := writePublicKey(t, filepath.Join(dir, "delegate.pub"))
	covered := map[string]bool{}
	for _, verb := range jsonless {
		covered[verb] = true
	}
	for _, run := range jsonRuns {
		covered[run.verb] = true
		args := strings.Fields(run.verb + " --json " + strings.NewReplacer("$DIR", filepath.ToSlash(dir), "$KEY", delegate).Replace(run.args))
		out, talk, err := runIn(t, dir, args...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", run.verb, err, talk)
		}
		d := json.NewDecoder(bytes.NewReader(out))
		var v any
		if err := d.Decode(&v); err != nil {
			t.Errorf("%s prints no JSON: %v\n%s", run.verb, err, out)
		} else if _, err := d.Token(); err != io.EOF {
			t.Errorf("%s prints more than one JSON value:\n%s", run.verb, out)
		}
		for name, text := range map[string][]byte{"stdout": out, "stderr": talk} {
			if bytes.ContainsRune(text, '\x1b') {
				t.Errorf("%s: %s is no terminal, and has escape codes: %q", run.verb, name, text)
			}
		}
	}
	for _, verb := range verbNames(newRoot(newApp(os.Stdin, os.Stdout, os.Stderr)), "") {
		if !covered[verb] {
			t.Errorf("no run of %q", verb)
		}
		delete(covered, verb)
	}
	if len(covered) > 0 {
		t.Errorf("these are no verbs: %v", slices.Sorted(maps.Keys(covered)))
	}
}

// writePublicKey writes a public key in PEM form and returns its ID.
func writePublicKey(t *testing.T, name string) (id string) {
	t.Helper()
	key, err := tuf.NewKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	text, err := publicPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return key.ID()
}

// runIn runs the program with a trust directory below dir and an environment
// that asks for colour, which it must not get.
func runIn(t *testing.T, dir string, args ...string) (out, talk []byte, err error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Args[0] = "publisher" // by which TestMain knows
	cmd.Env = []string{"HOME=" + dir, "PUBLISHER_TRUST_DIR=" + filepath.Join(dir, "trust"), "TERM=xterm-256color", "COLORTERM=truecolor"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.Bytes(), stderr.Bytes(), err
}

// verbNames is the commands that can be run.
func verbNames(cmd *cobra.Command, path string) []string {
	var names []string
	for _, c := range cmd.Commands() {
		name := strings.TrimSpace(path + " " + c.Name())
		if c.HasSubCommands() {
			names = append(names, verbNames(c, name)...)
			continue
		}
		names = append(names, name)
	}
	return names
}
