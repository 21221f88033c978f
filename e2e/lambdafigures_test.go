package e2e

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"publisher/internal/lambdaemu"
	"publisher/internal/testserver"
)

// maxZip is what the function may weigh: Lambda loads it at each cold start.
const maxZip = 10_000_000 // bytes

// TestLambdaSize builds the zip as make lambda does.
func TestLambdaSize(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		dir := t.TempDir()
		bin, zip := filepath.Join(dir, "bootstrap"), filepath.Join(dir, "zip")
		run(t, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch}, "go", "build", "-trimpath", "-buildvcs=false",
			"-tags", "lambda.norpc", "-ldflags", "-s -w -buildid=", "-o", bin, "publisher/lambda/bootstrap")
		run(t, nil, "go", "run", "publisher/internal/zipone", bin, zip)
		info, err := os.Stat(zip)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", arch, info.Size())
		if info.Size() > maxZip {
			t.Errorf("%s: %d bytes, at most %d expected", arch, info.Size(), maxZip)
		}
	}
}

func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// coldStarts is the signer over empty stores, and a function that does nothing.
func coldStarts(t testing.TB) (signer, hello *lambdaemu.Emulator) {
	t.Helper()
	bin, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	other, err := lambdaemu.Build(t.TempDir(), "publisher/internal/lambdaemu/hello")
	if err != nil {
		t.Fatal(err)
	}
	server := testserver.VersityGW(t)
	address := func(bucket string) string {
		return (&url.URL{Scheme: "s3", Host: bucket, RawQuery: url.Values{"endpoint": {server.Endpoint}}.Encode()}).String()
	}
	signer = lambdaemu.Start(t, lambdaemu.Function{Name: "signer", Bootstrap: bin, Timeout: time.Minute, Env: []string{
		"PUBLISHER_STORE=" + address(server.Bucket), "PUBLISHER_INBOX=" + address(server.NewBucket(t).Bucket),
		"PUBLISHER_KEYS=sealed:kms:arn:aws:kms:us-east-1:123456789012:key/none",
		"AWS_ACCESS_KEY_ID=" + server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + server.SecretKey,
	}})
	return signer, lambdaemu.Start(t, lambdaemu.Function{Name: "hello", Bootstrap: other})
}

// firstAnswer is how long a new process takes to answer: the signer's answer
// needs one request to the store.
func firstAnswer(t testing.TB, e *lambdaemu.Emulator) time.Duration {
	e.Recycle()
	begun := time.Now()
	if _, failed := e.Invoke(t, `{"action": "refresh"}`); failed != nil {
		t.Fatalf("%s", failed)
	}
	return time.Since(begun)
}

// TestLambdaColdStart compares the best of several starts, with room for a
// machine that has other things to do. BenchmarkLambdaColdStart has the figures.
func TestLambdaColdStart(t *testing.T) {
	const room = 100 * time.Millisecond
	signer, hello := coldStarts(t)
	slow, fast := time.Hour, time.Hour
	for range 10 {
		slow, fast = min(slow, firstAnswer(t, signer)), min(fast, firstAnswer(t, hello))
	}
	t.Logf("the first answer after %v, hello's after %v; resident %d MiB", slow, fast, signer.Invocations()[0].MaxMemory>>20)
	if slow > fast+room {
		t.Errorf("the first answer comes %v after hello's, at most %v expected", slow-fast, room)
	}
}

func BenchmarkLambdaColdStart(b *testing.B) {
	signer, hello := coldStarts(b)
	b.Run("hello", func(b *testing.B) {
		for b.Loop() {
			firstAnswer(b, hello)
		}
	})
	b.Run("signer", func(b *testing.B) {
		for b.Loop() {
			firstAnswer(b, signer)
		}
	})
}
