package testserver

import "testing"

func TestVersityGW(t *testing.T) {
	a := VersityGW(t)
	if b := a.NewBucket(t); b.Bucket == a.Bucket || b.Endpoint != a.Endpoint {
		t.Errorf("NewBucket returned %v beside %v", b, a)
	}
}

func TestMinIO(t *testing.T) { MinIO(t) }
