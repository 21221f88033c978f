package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"
)

// untilEnd starts a program that runs until the test ends: then it gets a signal,
// and must end in order. It returns what the program says, and where its talk is
// kept.
func untilEnd(t *testing.T, cmd *exec.Cmd, end os.Signal) (out io.Reader, talk *bytes.Buffer) {
	t.Helper()
	talk = new(bytes.Buffer)
	cmd.Stderr = talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(end); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("publisher %q: %v\n%s", cmd.Args[1:], err, talk)
		}
	})
	return out, talk
}
