package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"publisher/internal/testserver"
	"publisher/repo"
	"publisher/storage"
)

// TestDamagedStore: a byte that was flipped behind an S3 server is found and
// named as one in a directory is, by everything that reads it, whichever SDK the
// store is read with; and what there is to do about it can be done.
func TestDamagedStore(t *testing.T) {
	server := testserver.VersityGW(t)
	t.Run("s3", func(t *testing.T) {
		s3 := server.NewBucket(t)
		testDamagedStore(t, s3, "s3://"+s3.Bucket+"?region=us-east-1&endpoint="+s3.Endpoint)
	})
	t.Run("minio", func(t *testing.T) {
		s3 := server.NewBucket(t)
		testDamagedStore(t, s3, "minio://"+s3.Host()+"/"+s3.Bucket)
	})
}

func testDamagedStore(t *testing.T, s3 testserver.S3, store string) {
	t.Setenv("PUBLISHER_TRUST_DIR", t.TempDir())
	t.Setenv("AWS_ACCESS_KEY_ID", s3.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3.SecretKey)
	work := t.TempDir()
	file, root, reader := filepath.Join(work, "file"), filepath.Join(work, "root.json"), filepath.Join(work, "reader")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	runs := func(code int, args ...string) ran {
		t.Helper()
		r := runWith(t, t.Context(), nil, args...)
		if r.code != code {
			t.Errorf("%q: exit code %d, want %d: %s%s", args, r.code, code, r.out, r.err)
		}
		return r
	}
	says := func(text string, code int, args ...string) {
		t.Helper()
		if r := runs(code, args...); !strings.Contains(r.out+r.err, text) {
			t.Errorf("%q: %s%swant %q", args, r.out, r.err, text)
		}
	}
	damaged := func(keys []string, do func()) {
		t.Helper()
		for _, key := range keys {
			s3.Flip(t, key)
			defer s3.Flip(t, key) // which makes it whole again
		}
		do()
	}
	runs(exitOK, "key", "generate", "ed25519", "-r", "targets/ci", "-o", filepath.Join(work, "ci"), "--no-passphrase")
	runs(exitOK, "key", "import", filepath.Join(work, "ci"), "-r", "targets/ci", "--no-passphrase")
	runs(exitOK, "init", "a/b", "--store", store, "--no-passphrase")
	runs(exitOK, "delegation", "add", "a/b", "targets/ci", filepath.Join(work, "ci.pub"), "--paths", "ci/", "-p")
	runs(exitOK, "add", "a/b", "x", file, "-p")
	runs(exitOK, "add", "a/b", "ci/x", file, "-r", "targets/ci", "-p")
	runs(exitOK, "trust", "export", "a/b", "-o", root)
	runs(exitOK, "trust", "add", "a/b", "--root", root, "--store", store, "-d", reader)

	runs(exitOK, "add", "a/b", "ci/y", file, "-r", "targets/ci")

	sum := "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" // of the content
	x := repo.TargetKey("a/b", "x", sum)
	metadata := keysOf(t, s3, store)
	timestamp, ci := metadata["timestamp.json"], metadata["ci.json"]

	// A target: that the server does not look is all that check can know.
	damaged([]string{x}, func() {
		runs(exitOK, "check", "a/b")
		says("targets/"+sum+".x: the content does not have the signed hash", exitVerification, "check", "a/b", "--deep")
		says("hint: restore the named files", exitVerification, "check", "a/b", "--deep")
		runs(exitOK, "list", "a/b")
		runs(exitVerification, "download", "a/b", "x", "-o", filepath.Join(work, "got"))
		if _, err := os.Stat(filepath.Join(work, "got")); err == nil {
			t.Error("what was downloaded is kept")
		}
		says("error: ", exitFailed, "doctor", "a/b", "--deep")
	})
	for _, key := range []string{ci, timestamp} {
		name := strings.TrimPrefix(key, "a/b/metadata/")
		damaged([]string{key}, func() {
			for _, deep := range []string{"--deep=false", "--deep"} {
				says("metadata/"+name+": the store does not send what was stored there", exitVerification, "check", "a/b", deep)
				says("hint: restore the named files", exitVerification, "check", "a/b", deep)
			}
			says("verify "+name+": ", exitVerification, "list", "a/b", "-d", reader)
			says("hint: do not use what you have; publisher check a/b lists", exitVerification, "list", "a/b", "-d", reader)
			says("the store does not send what was stored there", exitFailed, "doctor", "a/b")
		})
	}
	damaged([]string{timestamp}, func() {
		for _, args := range [][]string{{"publish", "a/b"}, {"mirror", "a/b", "file://" + filepath.Join(work, "mirror")}} {
			says("verify timestamp.json: ", exitVerification, args...)
			says("hint: publisher check a/b lists everything that is wrong: restore", exitVerification, args...)
		}
	})
	damaged([]string{x, ci}, func() {
		r := runs(exitVerification, "check", "a/b", "--deep")
		if !strings.Contains(r.out, ".x: ") || !strings.Contains(r.out, "ci.json: ") || !strings.Contains(r.err, "2 broken promises") {
			t.Errorf("not all that is wrong: %s%s", r.out, r.err)
		}
	})
	runs(exitOK, "check", "a/b", "--deep")
	runs(exitOK, "list", "a/b", "-d", reader)

	// Who verified the role before it was damaged can publish its next version.
	damaged([]string{ci}, func() {
		runs(exitOK, "publish", "a/b")
		runs(exitOK, "check", "a/b")
	})

	// Other bytes that came by way of the server: it keeps their checksum.
	overwrite(t, store, x, "CONTENT")
	says("has the sha256 ", exitVerification, "check", "a/b")
}

// keysOf is where the newest metadata is, by its name without a version.
func keysOf(t *testing.T, s3 testserver.S3, store string) map[string]string {
	t.Helper()
	s, err := openStore(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	versions, keys := map[string]int64{}, map[string]string{}
	for e, err := range s.List(t.Context(), repo.MetadataDir("a/b")+"/") {
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(e.Key)
		role, n, ok := repo.ParseSlot(base)
		if !ok {
			keys[base] = e.Key
		} else if n > versions[role] {
			versions[role], keys[role+".json"] = n, e.Key
		}
	}
	if names := slices.Sorted(maps.Keys(keys)); len(names) != 5 {
		t.Fatalf("%q", names)
	}
	return keys
}

func overwrite(t *testing.T, store, key, text string) {
	t.Helper()
	s, err := openStore(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	info, err := storage.Stat(t.Context(), s, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), key, strings.NewReader(text), info.Version); err != nil {
		t.Fatal(err)
	}
}
