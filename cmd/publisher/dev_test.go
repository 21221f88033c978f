package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/rogpeppe/go-internal/testscript"
)

// devServer starts "publisher dev" on free ports, sets $URL, $CA, $STORE, $INBOX
// and $ONLINE, and stops it when the script ends: an interrupt is its normal end.
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
	ts.Setenv("INBOX", s.Inbox)
	ts.Setenv("ONLINE", s.Online)
}

// TestDev: what dev prints leads to the server, a request is told with -v, and
// an interrupt is its normal end.
func TestDev(t *testing.T) {
	t.Setenv("PUBLISHER_TRUST_DIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan ran)
	go func() {
		ended <- runWith(t, ctx, nil, "dev", "--http", "--listen", "127.0.0.1:0", "-v")
	}()
	url := printedURL(t, filepath.Join(os.Getenv("PUBLISHER_TRUST_DIR"), "std", "stdout"))
	resp, err := http.Get(url + "/a/metadata/1.root.json")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cancel()
	r := <-ended
	if r.code != exitOK {
		t.Errorf("exit code %d", r.code)
	}
	if want := "GET /a/metadata/1.root.json 404 10 "; !strings.Contains(r.err, want) {
		t.Errorf("the log is %q, want %q in it", r.err, want)
	}
	if want := "publisher download example.com/demo hello.txt --url " + url + "\n"; !strings.Contains(r.out, want) {
		t.Errorf("printed %q, want %q in it", r.out, want)
	}
}

// printedURL waits for the URL in what dev prints.
func printedURL(t *testing.T, file string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		data, _ := os.ReadFile(file) // it may not be there yet
		if m := regexp.MustCompile(`hello.txt --url (\S+)\n`).FindSubmatch(data); m != nil {
			return string(m[1])
		}
	}
	t.Fatal("no URL was printed")
	return ""
}

func TestInside(t *testing.T) {
	for _, tt := range []struct {
		dir, path string
		inside    bool
	}{
		{"/a", "/a", true}, {"/a", "/a/b", true}, {"/", "/a", true}, {"/a/b", "/a", false}, {"/a", "/ab", false}, {"/a", "/b", false},
	} {
		if got := inside(tt.dir, tt.path); got != tt.inside {
			t.Errorf("inside(%s, %s) = %v", tt.dir, tt.path, got)
		}
	}
}
