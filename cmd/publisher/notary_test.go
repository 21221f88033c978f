package main

import (
	"fmt"

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
// $WORK/notary. Its server, which the first command starts, is $NOTARY_URL. What
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
	ts.Check(ts.Exec("sh", append([]string{"-c", `yes yes | "$0" "$@"`, n.Program(), "-s", ts.Getenv("NOTARY_URL"), "-d", ts.MkAbs("notary")}, args...)...))
}
