package main

import (
	"bytes"
	"os"
	"os/exec"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/rogpeppe/go-internal/testscript"
)

// devServer starts "publisher dev" on a free port, sets $URL and $CA, and stops
// it when the script ends: an interrupt is its normal end.
//
//	dev [flags…]
func devServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: dev [flags...]")
	}
	cmd := exec.Command("publisher", append([]string{"dev", "--listen", "127.0.0.1:0", "--json"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "USERPROFILE", "PUBLISHER_TRUST_DIR", "NO_COLOR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	talk := &bytes.Buffer{}
	cmd.Stderr = talk
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		ts.Check(cmd.Process.Signal(os.Interrupt))
		if err := cmd.Wait(); err != nil {
			ts.Fatalf("publisher dev: %v: %s", err, talk)
		}
	})
	var s served
	if err := json.UnmarshalDecode(jsontext.NewDecoder(out), &s); err != nil {
		ts.Fatalf("publisher dev said nothing: %v: %s", err, talk)
	}
	ts.Setenv("URL", s.URL)
	ts.Setenv("CA", s.CA)
	ts.Setenv("STORE", s.Store)
}
