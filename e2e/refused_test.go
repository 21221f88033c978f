package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"publisher/internal/testserver"
)

// TestRefusedByServer has real servers refuse what init asks of them: nothing
// is left, and the error says what is missing.
func TestRefusedByServer(t *testing.T) { testRefused(t, testserver.VersityGW(t)) }

func TestRefusedByMinIO(t *testing.T) { testRefused(t, testserver.MinIO(t)) }

func testRefused(t *testing.T, server testserver.S3) {
	missing, wrongSecret := server, server
	missing.Bucket = "no-such-bucket"
	wrongSecret.SecretKey = "guessed-secret"
	for _, row := range []struct {
		name   string
		server testserver.S3
		code   int
		want   []string
	}{
		{"no bucket", missing, 5, []string{"bucket no-such-bucket: the store does not exist", "hint: make the bucket first"}},
		{"wrong secret", wrongSecret, 4, []string{"permission denied: s3:", "hint: grant the missing permission"}},
	} {
		for driver, address := range map[string]func(testserver.S3) store{"s3": s3Address, "minio": minioAddress} {
			t.Run(row.name+" by "+driver, func(t *testing.T) {
				s := address(row.server)
				o := newOwner(t, s)
				cmd := o.command(t.Context(), "init", "example.com/a", "--store", s.url, "--no-passphrase")
				var talk bytes.Buffer
				cmd.Stderr = &talk
				if code := exitCode(t, cmd.Run()); code != row.code {
					t.Errorf("exit code %d, want %d", code, row.code)
				}
				for _, text := range append(row.want, "error: ") {
					if strings.Count(talk.String(), text) != 1 {
						t.Errorf("want %q once, have\n%s", text, &talk)
					}
				}
				if out, err := o.try(t.Context(), "status", "example.com/a"); err == nil {
					t.Errorf("a collection was left: %s", out)
				}
				if entries, err := os.ReadDir(o.dir + "/private"); err == nil && len(entries) > 0 {
					t.Errorf("%d keys were left", len(entries))
				}
			})
		}
	}
}

// TestHangingServer presses Ctrl-C when nothing comes from the server.
func TestHangingServer(t *testing.T) {
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	s3 := testserver.S3{Endpoint: server.URL, Bucket: "bucket", AccessKey: "key", SecretKey: "not-a-secret", Region: "us-east-1"}
	for driver, address := range map[string]func(testserver.S3) store{"s3": s3Address, "minio": minioAddress} {
		t.Run(driver, func(t *testing.T) {
			s := address(s3)
			cmd := newOwner(t, s).command(t.Context(), "init", "example.com/a", "--store", s.url, "--no-passphrase")
			var talk bytes.Buffer
			cmd.Stderr = &talk
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-asked
			started := time.Now()
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd.Wait()); code != 130 {
				t.Errorf("exit code %d, want 130\n%s", code, &talk)
			}
			if took := time.Since(started); took > 30*time.Second {
				t.Errorf("it took %v to end", took)
			}
		})
	}
}
