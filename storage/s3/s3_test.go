package s3

import (
	"net/url"
	"testing"

	"publisher/internal/testserver"
	"publisher/storage"
	"publisher/storage/internal/transport"
	"publisher/storage/storagetest"
)

func address(srv testserver.S3, prefix string) string {
	return "s3://" + srv.Bucket + prefix + "?region=" + srv.Region + "&endpoint=" + url.QueryEscape(srv.Endpoint)
}

func mustOpen(t *testing.T, srv testserver.S3, prefix string) storage.Store {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", srv.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", srv.SecretKey)
	u, err := url.Parse(address(srv, prefix))
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(t.Context(), u, transport.Patience)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func suite(t *testing.T, srv testserver.S3) {
	t.Run("Plain", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store { return mustOpen(t, srv.NewBucket(t), "") })
	})
	t.Run("Prefix", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store { return mustOpen(t, srv.NewBucket(t), "/some/pre fix+") })
	})
}

func TestVersityGW(t *testing.T) { suite(t, testserver.VersityGW(t)) }

func TestMinIO(t *testing.T) { suite(t, testserver.MinIO(t)) }
