package e2e

import (
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"publisher/internal/testserver"
)

const mirrored = "example.com/scripts"

// TestMirror promotes a collection from one bucket to another: what is copied is
// what was signed, and what is there is not copied again; whatever else lies in
// the mirror goes when it is old.
func TestMirror(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...string) testserver.S3{
		"versitygw": testserver.VersityGW, "MinIO": testserver.MinIO,
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			for driver, address := range map[string]func(testserver.S3) store{"s3": s3Address, "minio": minioAddress} {
				t.Run(driver, func(t *testing.T) { promote(t, server, address) })
			}
		})
	}
}

func promote(t *testing.T, server testserver.S3, address func(testserver.S3) store) {
	staging, production := server.NewBucket(t), server.NewBucket(t)
	o, to := newOwner(t, address(staging)), address(production)
	o.init(t, mirrored, "--expires", "root=50y,targets=50y,snapshot=50y,timestamp=50y")
	dir := t.TempDir()
	(files{"a+b": "one", "dir/c": "two"}).write(t, dir)
	o.run(t, "add", mirrored, "a+b", filepath.Join(dir, "a+b"))
	o.run(t, "add", mirrored, "dir/c", filepath.Join(dir, "dir/c"), "--publish")
	if first := o.mirror(t, to); first.Targets != 2 || first.Files != 4 {
		t.Errorf("a first copy: %+v", first)
	}
	if again := o.mirror(t, to); again.Targets != 0 || again.Files != 0 || again.Present != 2 {
		t.Errorf("a second copy: %+v", again)
	}
	if diff := cmp.Diff(inBucket(t, staging), inBucket(t, production)); diff != "" {
		t.Errorf("the mirror is another (-source +mirror):\n%s", diff)
	}
	stray := prefix + "/" + mirrored + "/targets/0123.stray"
	if _, err := production.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &production.Bucket, Key: &stray, Body: strings.NewReader("stray")}); err != nil {
		t.Fatal(err)
	}
	if young := o.mirror(t, to, "--prune"); len(young.Garbage) != 0 {
		t.Errorf("what is young is garbage: %+v", young)
	}
	later := []string{"--prune", "--now", "2060-01-01T00:00:00Z"}
	if plan := o.mirror(t, to, append(later, "--dry-run")...); cmp.Diff([]string{"targets/0123.stray"}, plan.Garbage) != "" || plan.Removed != 0 {
		t.Errorf("a plan: %+v", plan)
	}
	if done := o.mirror(t, to, append(later, "--yes")...); done.Removed != 1 {
		t.Errorf("the garbage stays: %+v", done)
	}
	if diff := cmp.Diff(inBucket(t, staging), inBucket(t, production)); diff != "" {
		t.Errorf("after it the mirror is another (-source +mirror):\n%s", diff)
	}
	puller := newOwner(t, to)
	o.run(t, "trust", "export", mirrored, "-o", filepath.Join(dir, "root.json"))
	puller.run(t, "trust", "add", mirrored, "--root", filepath.Join(dir, "root.json"), "--store", to.url)
	if n := puller.check(t, mirrored); n != 2 {
		t.Errorf("%d targets are checked", n)
	}
	if out := puller.run(t, "doctor", mirrored); !strings.Contains(string(out), " 0 errors, 0 warnings;") {
		t.Errorf("doctor says %s", out)
	}
}

// A copied is what mirror prints.
type copied struct {
	Files, Targets, Present, Removed int
	Garbage                          []string
}

func (o *owner) mirror(t *testing.T, to store, args ...string) (done copied) {
	t.Helper()
	out := o.run(t, append([]string{"mirror", mirrored, to.url, "--json"}, args...)...)
	if err := json.Unmarshal(out, &done); err != nil {
		t.Fatalf("mirror printed %s: %v", out, err)
	}
	return done
}

// inBucket is every object of a bucket.
func inBucket(t *testing.T, s testserver.S3) map[string]string {
	t.Helper()
	all := map[string]string{}
	page, err := s.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Contents {
		obj, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.Bucket, Key: e.Key})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(obj.Body)
		obj.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[*e.Key] = string(data)
	}
	return all
}
