package minio

import (
	"net/url"
	"testing"
	"time"

	"publisher/internal/testserver"
	"publisher/storage"
	"publisher/storage/internal/s3api/s3test"
)

func mustOpen(t *testing.T, srv testserver.S3, prefix string, patience time.Duration) storage.Store {
	t.Helper()
	t.Setenv("MINIO_ROOT_USER", srv.AccessKey)
	t.Setenv("MINIO_ROOT_PASSWORD", srv.SecretKey)
	u, err := url.Parse("minio://" + srv.Host() + "/" + srv.Bucket + prefix + "?region=" + srv.Region)
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(u, patience)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVersityGW(t *testing.T) { s3test.Run(t, testserver.VersityGW(t), mustOpen) }

func TestMinIO(t *testing.T) { s3test.Run(t, testserver.MinIO(t), mustOpen) }
