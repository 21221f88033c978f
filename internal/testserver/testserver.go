// Package testserver starts real S3 servers for tests, on ephemeral ports of
// the loopback interface. Each is built once from its Go module, at a fixed
// version, and kept in the user's cache directory.
package testserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	versityVersion = "v1.8.0"
	minioVersion   = "v0.0.0-20260212201848-7aac2a2c5b7c" // as in tools/minio/go.mod
)

// S3 is a running server with an empty bucket and the keys to it.
type S3 struct {
	Endpoint  string // http://127.0.0.1:port
	Bucket    string
	AccessKey string
	SecretKey string
	Token     string // of a session, empty for others
	Region    string

	dir string // where objects are plain files, empty if they are not
}

// VersityGW starts versitygw over a temporary directory for the time of the
// test. Flags are more of those of its backend: without --sidecar the policy of a
// bucket is an extended attribute, which holds 4 KB on many filesystems.
func VersityGW(t testing.TB, flags ...string) S3 {
	t.Helper()
	bin := build(t, "versitygw-"+versityVersion, func(out string) *exec.Cmd {
		cmd := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@"+versityVersion)
		cmd.Env = append(os.Environ(), "GOBIN="+filepath.Dir(out), "GOFLAGS=")
		return cmd
	}, "versitygw")
	data := t.TempDir()
	return start(t, S3{dir: data}, func(addr string, s S3) *exec.Cmd {
		args := []string{"--port", addr, "--region", s.Region, "--quiet", "--keep-alive", "--iam-dir", t.TempDir(), "posix"}
		args = append(args, flags...)
		if len(flags) == 0 && !hasXattrs(data) {
			args = append(args, "--sidecar", t.TempDir())
		}
		cmd := exec.Command(bin, append(args, data)...)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
		return cmd
	})
}

// MinIO starts MinIO over a temporary directory for the time of the test. It
// skips the test unless PUBLISHER_TEST_MINIO=1: MinIO takes minutes to build.
// Env is more of its configuration.
func MinIO(t testing.TB, env ...string) S3 {
	t.Helper()
	if os.Getenv("PUBLISHER_TEST_MINIO") != "1" {
		t.Skip("MinIO takes minutes to build: set PUBLISHER_TEST_MINIO=1, or run make test-minio")
	}
	bin := build(t, "minio-"+minioVersion, func(out string) *exec.Cmd {
		cmd := exec.Command("go", "build", "-o", out, "github.com/minio/minio")
		cmd.Dir = filepath.Join(moduleRoot(t), "tools", "minio")
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
		return cmd
	}, "minio")
	return start(t, S3{}, func(addr string, s S3) *exec.Cmd {
		cmd := exec.Command(bin, "server", "--quiet", "--address", addr, t.TempDir())
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off")
		cmd.Env = append(cmd.Env, env...)
		return cmd
	})
}

// start runs the command until the test ends, and makes a bucket. Between the
// choice of a port and its use by the server another process may take it, so a
// server that ends at once gets another try.
func start(t testing.TB, s S3, command func(addr string, s S3) *exec.Cmd) S3 {
	t.Helper()
	s.AccessKey, s.SecretKey, s.Region = "publisher-test", "not-a-secret-at-all", "us-east-1"
	for range 3 {
		addr := freeAddr(t)
		s.Endpoint = "http://" + addr
		cmd := command(addr, s)
		var log lockedBuffer
		cmd.Stdout, cmd.Stderr = &log, &log
		ended := run(t, cmd)
		if err := ready(s.Endpoint, ended); err != nil {
			t.Logf("%s: %v\n%s", filepath.Base(cmd.Path), err, log.String())
			cmd.Process.Kill()
			continue
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			<-ended
		})
		return s.NewBucket(t)
	}
	t.Fatal("the server does not start")
	return S3{}
}

// run starts a command and returns where its end is told.
func run(t testing.TB, cmd *exec.Cmd) <-chan error {
	dieWithParent(cmd)
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // a thread that lives as long as the command
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	return ended
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ready waits until the server answers anything but "not yet".
func ready(endpoint string, ended <-chan error) error {
	client := &http.Client{Timeout: time.Second}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		select {
		case err := <-ended:
			return fmt.Errorf("ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if resp, err := client.Get(endpoint); err == nil {
			resp.Body.Close()
			if resp.StatusCode < 500 {
				return nil
			}
		}
	}
	return fmt.Errorf("no answer from %s", endpoint)
}

var buckets atomic.Int64

// NewBucket makes another bucket on the same server.
func (s S3) NewBucket(t testing.TB) S3 {
	t.Helper()
	s.Bucket = fmt.Sprintf("bucket-%d", buckets.Add(1))
	if _, err := s.Client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &s.Bucket}); err != nil {
		t.Fatalf("create %s: %v", s.Bucket, err)
	}
	return s
}

// Uploads returns the number of multipart uploads that were begun in the bucket
// and neither finished nor aborted.
func (s S3) Uploads(t testing.TB) int {
	t.Helper()
	out, err := s.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

// File returns the file that an object is, which a test can change behind the
// server's back. It skips the test where the server does not keep them like that.
func (s S3) File(t testing.TB, key string) string {
	t.Helper()
	if s.dir == "" {
		t.Skip("this server does not keep objects as files")
	}
	return filepath.Join(s.dir, s.Bucket, filepath.FromSlash(key))
}

// Flip changes the last byte of an object behind the server's back.
func (s S3) Flip(t testing.TB, key string) {
	t.Helper()
	f, err := os.OpenFile(s.File(t, key), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	last[0] ^= 1
	if _, err := f.WriteAt(last, info.Size()-1); err != nil {
		t.Fatal(err)
	}
}

// Client returns a client of the AWS SDK, which signs nothing without an
// AccessKey.
func (s S3) Client() *s3.Client {
	options := s3.Options{BaseEndpoint: &s.Endpoint, UsePathStyle: true, Region: s.Region}
	if s.AccessKey != "" {
		options.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return s.credentials(), nil
		})
	}
	return s3.New(options)
}

func (s S3) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey, SessionToken: s.Token}
}

// Host returns the host:port of the endpoint.
func (s S3) Host() string { return strings.TrimPrefix(s.Endpoint, "http://") }
