package minio

import (
	"net/url"
	"testing"

	"publisher/internal/testserver"
	"publisher/storage"
	"publisher/storage/internal/transport"
	"publisher/storage/storagetest"
)

func mustOpen(t *testing.T, srv testserver.S3, prefix string) storage.Store {
	t.Helper()
	t.Setenv("MINIO_ROOT_USER", srv.AccessKey)
	t.Setenv("MINIO_ROOT_PASSWORD", srv.SecretKey)
	u, err := url.Parse("minio://" + srv.Host() + "/" + srv.Bucket + prefix + "?region=" + srv.Region)
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(u, transport.Patience)
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
