package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"publisher/internal/testserver"
	"publisher/repo"
	"publisher/storage"
	"publisher/trust"
)

// TestResetForbidden: who may not delete from the inbox is told who can, and
// nothing is taken back; who may delete no more than submissions is warned of
// what stays.
func TestResetForbidden(t *testing.T) {
	s3 := testserver.VersityGW(t)
	proxied, proxy := s3.Through(t)
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	t.Setenv("PUBLISHER_TRUST_DIR", dir)
	t.Setenv("AWS_ACCESS_KEY_ID", s3.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3.SecretKey)
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
	must("init", "a/b", "--store", "file://"+t.TempDir(), "--no-passphrase")
	must("add", "a/b", "x", file)
	name := leaveStaged(t, dir, "s3://"+s3.Bucket+"/inbox?region=us-east-1&endpoint="+proxied.Endpoint)

	forbid := func(part string) {
		proxy.Break(func(r *http.Request, _ int) testserver.Fault {
			if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, part) {
				return testserver.Status(http.StatusForbidden)
			}
			return testserver.None
		})
	}
	forbid("/submissions/")
	r := runWith(t, t.Context(), nil, "reset", "a/b", "-n", "0")
	if r.code != exitPermission || !strings.Contains(r.err, "hint: ask whoever runs the signer to delete a/b/submissions/"+name+".json") {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	if r := must("status", "a/b"); !strings.Contains(r.out, "submission "+name+" waits in the inbox, with staged changes 0,") {
		t.Errorf("after a reset that failed: %s", r.out)
	}
	forbid("/parts/")
	if r := must("reset", "a/b", "-n", "0"); !strings.Contains(r.err, "signed files of "+name+" stay in the inbox") || !strings.Contains(r.out, "withdrew") {
		t.Errorf("parts that may not be deleted: %s%s", r.out, r.err)
	}
	if r := must("status", "a/b"); strings.Contains(r.out, "submission") {
		t.Errorf("after a reset: %s", r.out)
	}
}

// leaveStaged leaves a submission with all that is staged for a/b, as publish
// --no-wait does.
func leaveStaged(t *testing.T, dir, inbox string) string {
	t.Helper()
	const name = "01KAMZZZZZZZZZZZZZZZZZZZZA"
	c := trust.Open(dir).Collection("a/b")
	staged, err := c.Changelist().List()
	if err != nil {
		t.Fatal(err)
	}
	sub := &repo.Submission{Collection: "a/b", Files: map[string][]byte{"targets": []byte("{}")}}
	var store storage.Store
	if store, err = openStore(t.Context(), inbox); err == nil {
		err = (repo.Inbox{Store: store, Collection: "a/b"}).Leave(t.Context(), name, sub)
	}
	if err == nil {
		err = c.SetPending(trust.Pending{Name: name, Submission: sub.ID(), Inbox: inbox, Changes: changeIDs(staged)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}
