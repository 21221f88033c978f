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

// TestRotateRace has somebody else rotate another role while this rotation is about
// to write its root: it says which root has its key in the end.
func TestRotateRace(t *testing.T) {
	r := besideRotation(t, "targets", "timestamp")
	if r.code != exitOK || !strings.HasSuffix(strings.TrimSpace(r.out), ", since root 3") {
		t.Errorf("beside another rotation: exit code %d: %s%s", r.code, r.out, r.err)
	}
}

// TestRotateLost has somebody else rotate the same role: their keys stay, as nobody
// has agreed to replace them, and nothing of this rotation does.
func TestRotateLost(t *testing.T) {
	r := besideRotation(t, "timestamp", "timestamp")
	if r.code != exitConflict || !strings.Contains(r.err, "timestamp was rotated by somebody else meanwhile: root 2 has other keys than root 1") {
		t.Errorf("beside a rotation of the same role: exit code %d: %s%s", r.code, r.out, r.err)
	}
}

// besideRotation rotates a role and has somebody else rotate one before its root is
// written. Nothing is left of either rotation when it is over.
func besideRotation(t *testing.T, other, role string) ran {
	t.Helper()
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
	done := false
	proxy.Break(func(r *http.Request, _ int) testserver.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".snapshot.json") {
			once.Do(func() {
				done = true
				run("key", "rotate", "a/b", other, "--no-passphrase", "--grace", "1s", "--yes", "-d", theirs)
			})
		}
		return testserver.None
	})
	r := runWith(t, t.Context(), nil, "key", "rotate", "a/b", role, "--no-passphrase", "--grace", "1s", "--yes", "--store", store+proxied.Endpoint, "-d", mine)
	if !done {
		t.Error("nobody else has rotated")
	}
	if left := run("status", "a/b", "-d", mine); strings.Contains(left.err, "was begun") {
		t.Errorf("it is still begun: %s", left.err)
	}
	if drafts := run("sign", "a/b", "--list", "--json", "-d", mine); strings.Contains(drafts.out, `"draft"`) {
		t.Errorf("a draft is left: %s", drafts.out)
	}
	run("check", "a/b", "-d", mine)
	return r
}
