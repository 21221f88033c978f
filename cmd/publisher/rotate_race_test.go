package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"publisher/internal/testserver"
)

// TestRotateRace has somebody else rotate while this rotation is about to write
// its root: it says which root has its key in the end.
func TestRotateRace(t *testing.T) {
	s3 := testserver.VersityGW(t)
	proxied, proxy := s3.Through(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s3.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3.SecretKey)
	mine, theirs, file := filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "theirs"), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := "s3://" + s3.Bucket + "/prefix?region=us-east-1&endpoint="
	run := func(args ...string) ran {
		r := runWith(t, t.Context(), nil, args...)
		if r.code != exitOK {
			t.Errorf("%q: exit code %d: %s", args, r.code, r.err)
		}
		return r
	}
	run("init", "a/b", "--store", store+s3.Endpoint, "--no-passphrase", "-d", mine)
	run("add", "a/b", "x", file, "-p", "-d", mine)
	if err := os.CopyFS(theirs, os.DirFS(mine)); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	other := false
	proxy.Break(func(r *http.Request, _ int) testserver.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".snapshot.json") {
			once.Do(func() {
				other = true
				run("key", "rotate", "a/b", "targets", "--no-passphrase", "--grace", "1s", "--yes", "-d", theirs)
			})
		}
		return testserver.None
	})
	r := run("key", "rotate", "a/b", "timestamp", "--no-passphrase", "--grace", "1s", "--yes", "--store", store+proxied.Endpoint, "-d", mine)
	if !other || !strings.HasSuffix(strings.TrimSpace(r.out), ", since root 3") {
		t.Errorf("beside another rotation: %s", r.out)
	}
	run("check", "a/b", "-d", mine)
}
