package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"publisher/internal/testserver"
)

// TestWebhookOfMinIO: what is left in the inbox while nobody waits for it is
// published when MinIO tells the signer of it, long before the schedule.
func TestWebhookOfMinIO(t *testing.T) {
	var signer url.URL
	known := make(chan struct{})
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-known
		r.URL.Path = "/2015-03-31/functions/signer/invocations"
		httputil.NewSingleHostReverseProxy(&signer).ServeHTTP(w, r)
	}))
	defer hook.Close()
	server := testserver.MinIO(t, "MINIO_NOTIFY_WEBHOOK_ENABLE_SIGNER=on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_SIGNER="+hook.URL)
	public, inbox := throughMinIO(t, server.NewBucket(t)), server.NewBucket(t)
	private := minioAddress(inbox)
	notify(t, inbox)

	o := newOwner(t, public)
	endpoint := startSigner(t, o, private.url+"/box")
	signer = *endpoint
	close(known)
	online := "lambda:signer?endpoint=" + endpoint.String()
	o.init(t, "example.com/a", "--inbox", private.url+"/box", "--online", online)
	file := filepath.Join(t.TempDir(), "install.sh")
	if err := os.WriteFile(file, []byte("echo hello\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	o.run(t, "add", "example.com/a", "install.sh", file)
	o.run(t, "publish", "example.com/a", "--no-wait")
	for !strings.Contains(string(o.run(t, "list", "example.com/a", "--store", public.url)), "install.sh") {
		time.Sleep(50 * time.Millisecond) // until the test's own end
	}
	o.run(t, "publish", "example.com/a") // which finds the receipt
	if n := o.check(t, "example.com/a"); n != 1 {
		t.Errorf("%d targets", n)
	}
}

// notify has the server tell its webhook of new objects in a bucket.
func notify(t *testing.T, bucket testserver.S3) {
	t.Helper()
	_, err := bucket.Client().PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket.Bucket,
		NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{
			QueueArn: aws.String("arn:minio:sqs::SIGNER:webhook"), Events: []types.Event{"s3:ObjectCreated:*"},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// startSigner runs publisher signer for as long as the test, with a schedule
// that does not come, and returns where it is.
func startSigner(t *testing.T, o *owner, inbox string) *url.URL {
	t.Helper()
	pass := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(pass, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := o.command(context.WithoutCancel(t.Context()), "signer", "--store", o.store.url, "--inbox", inbox,
		"--keys", "sealed:passphrase-file="+pass, "--create", "example.com", "--listen", "127.0.0.1:0", "--refresh-every", "10h")
	out, talk := untilEnd(t, cmd, os.Interrupt)
	var said string
	if _, err := fmt.Fscanf(out, "signer %s\n", &said); err != nil {
		t.Fatalf("publisher signer said nothing: %v\n%s", err, talk)
	}
	u, err := url.Parse(strings.TrimPrefix(said, "lambda:signer?endpoint="))
	if err != nil {
		t.Fatal(err)
	}
	return u
}
