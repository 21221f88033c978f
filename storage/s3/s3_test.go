package s3

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"publisher/internal/testserver"
	"publisher/storage"
	"publisher/storage/internal/s3api/s3test"
)

func address(srv testserver.S3, prefix string) string {
	return "s3://" + srv.Bucket + prefix + "?region=" + srv.Region + "&endpoint=" + url.QueryEscape(srv.Endpoint)
}

func mustOpen(t *testing.T, srv testserver.S3, prefix string, patience time.Duration) storage.Store {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", srv.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", srv.SecretKey)
	u, err := url.Parse(address(srv, prefix))
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(t.Context(), u, patience)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVersityGW(t *testing.T) { s3test.Run(t, testserver.VersityGW(t), mustOpen) }

func TestMinIO(t *testing.T) { s3test.Run(t, testserver.MinIO(t), mustOpen) }

// TestVersityGWDate wants the server's clock with every answer that has room
// for it.
func TestVersityGWDate(t *testing.T) {
	s := mustOpen(t, testserver.VersityGW(t).NewBucket(t), "/prefix", time.Minute)
	if _, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Absent); err != nil {
		t.Fatal(err)
	}
	obj, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	obj.Body.Close()
	info, err := storage.Stat(t.Context(), s, "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, date := range []time.Time{obj.Date, info.Date} {
		if off := time.Since(date).Abs(); off > time.Minute {
			t.Errorf("the server's date is %v, which is %v off", date, off)
		}
	}
}
