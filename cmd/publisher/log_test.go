package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestForeignLines: net/http logs what a server sends unasked. Only this program
// itself writes to stderr.
func TestForeignLines(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Args = []string{"publisher", "init", "example.com/a", "--no-passphrase", "--trust-dir", t.TempDir(),
		"--store", "s3://bucket?endpoint=http://" + talkative(t)}
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_MAX_ATTEMPTS=2")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "503") {
		t.Fatalf("%v, want a failure with 503:\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if label, _, _ := strings.Cut(line, " "); label != "error:" && label != "hint:" && label != "warning:" {
			t.Errorf("on stderr: %s", line)
		}
	}
}

// talkative is the address of a server that says more than it was asked.
func talkative(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\nHTTP/1.1 400 Unasked\r\n\r\n")
				}
			}()
		}
	}()
	return l.Addr().String()
}
