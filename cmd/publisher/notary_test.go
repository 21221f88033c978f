package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"publisher/internal/interop"
)

// scriptCondition: [notary] holds where the real Notary can be had.
func scriptCondition(name string) (bool, error) {
	if name != "notary" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return !interop.WithoutNotary(), nil
}

// notaryUser types a command to the real Notary, with a trust directory in
// $WORK/notary, or where -d says. Its server, which the first command starts, is $NOTARY_URL. What
// Notary asks is answered with yes.
func notaryUser(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: notary args...")
	}
	n, err := interop.OpenNotary()
	ts.Check(err)
	if ts.Getenv("NOTARY_URL") == "" {
		url, stop, err := n.Start()
		ts.Check(err)
		ts.Defer(stop)
		ts.Setenv("NOTARY_URL", url)
		for name, value := range interop.NotaryPassphrases {
			ts.Setenv(name, value)
		}
	}
	dir := "notary"
	if args[0] == "-d" && len(args) > 1 {
		dir, args = args[1], args[2:]
	}
	ts.Check(ts.Exec("sh", append([]string{"-c", `yes yes | "$0" "$@"`, n.Program(), "-s", ts.Getenv("NOTARY_URL"), "-d", ts.MkAbs(dir)}, args...)...))
}

// TestNotaryTable: what docs/notary.md says to type in place of Notary's
// commands is there, with its flags.
func TestNotaryTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/notary.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `notary .*$").FindAllString(string(text), -1)
	if len(rows) < 20 {
		t.Fatalf("%d rows: the table is written in another way now", len(rows))
	}
	for _, row := range rows {
		for _, typed := range regexp.MustCompile("`publisher ([^`]*)`").FindAllStringSubmatch(row, -1) {
			checkTyped(t, strings.Fields(typed[1]))
		}
	}
}

func checkTyped(t *testing.T, words []string) {
	t.Helper()
	cmd, args, err := newRoot(newApp(os.Stdin, os.Stdout, os.Stderr)).Find(words)
	if err != nil || cmd.HasSubCommands() {
		t.Errorf("publisher %s: no such command: %v", strings.Join(words, " "), err)
		return
	}
	if err := cmd.ParseFlags(args); err != nil {
		t.Errorf("publisher %s: %v", strings.Join(words, " "), err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("publisher %s: %v", strings.Join(words, " "), err)
	}
}
