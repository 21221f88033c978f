package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"publisher/internal/testserver"
)

// TestDeleteRemote deletes from a real S3 server: whoever may not remove objects
// is told so, an interruption is made up for, and the neighbours stay.
func TestDeleteRemote(t *testing.T) {
	s3 := testserver.VersityGW(t)
	proxied, proxy := s3.Through(t)
	t.Setenv("PUBLISHER_TRUST_DIR", t.TempDir())
	t.Setenv("AWS_ACCESS_KEY_ID", s3.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3.SecretKey)
	store := "s3://" + s3.Bucket + "/prefix?region=us-east-1&endpoint="
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	must := func(args ...string) ran {
		t.Helper()
		r := runWith(t, t.Context(), nil, args...)
		if r.code != exitOK {
			t.Fatalf("%q: exit code %d: %s", args, r.code, r.err)
		}
		return r
	}
	for _, name := range []string{"a/b", "a/b/c", "a/bc"} {
		must("init", name, "--store", store+s3.Endpoint, "--no-passphrase")
		must("add", name, "x+y z", file, "-p")
	}

	deletes := 0
	proxy.Break(func(r *http.Request, _ int) testserver.Fault {
		if r.Method != http.MethodDelete {
			return testserver.None
		}
		deletes++
		return testserver.Status(http.StatusForbidden)
	})
	remote := []string{"delete", "a/b", "--remote", "--yes", "--store", store + proxied.Endpoint}
	r := runWith(t, t.Context(), nil, remote...)
	if r.code != exitPermission || deletes == 0 || !strings.Contains(r.err, "hint: use credentials that may list and remove objects") {
		t.Errorf("without permission: exit code %d after %d deletes: %s", r.code, deletes, r.err)
	}
	must("check", "a/b")

	deletes = 0
	proxy.Break(func(r *http.Request, _ int) testserver.Fault {
		if r.Method != http.MethodDelete {
			return testserver.None
		}
		if deletes++; deletes < 3 {
			return testserver.None
		}
		return testserver.Status(http.StatusForbidden)
	})
	if r := runWith(t, t.Context(), nil, remote...); r.code != exitPermission || !strings.Contains(r.err, "removed, and then: ") {
		t.Errorf("interrupted: exit code %d: %s", r.code, r.err)
	}
	if r := runWith(t, t.Context(), nil, "trust", "add", "a/b", "--tofu", "--store", store+s3.Endpoint, "-d", t.TempDir()); r.code != exitOK {
		t.Errorf("the first root has gone before the rest: %s", r.err)
	}
	proxy.Break(func(*http.Request, int) testserver.Fault { return testserver.None })
	must(remote...)
	must("check", "a/b/c", "--deep")
	must("check", "a/bc", "--deep")
	must("init", "a/b", "--store", store+s3.Endpoint, "--no-passphrase", "-p")
}
