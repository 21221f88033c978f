package storagetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"publisher/storage"
)

func put(t *testing.T, s storage.Store, key, body string, prev storage.Version) storage.Version {
	t.Helper()
	v, err := s.Put(t.Context(), key, strings.NewReader(body), prev)
	if err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
	return v
}

func wantConflict(t *testing.T, s storage.Store, key, body string, prev storage.Version) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, strings.NewReader(body), prev); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("Put(%q) against %q: %v, want ErrConflict", key, prev, err)
	}
}

func read(t *testing.T, s storage.Store, key string) (string, storage.Version) {
	t.Helper()
	data, v, err := storage.Read(t.Context(), s, key, 1<<20)
	if err != nil {
		t.Errorf("read %q: %v", key, err)
	}
	return string(data), v
}

func want(t *testing.T, s storage.Store, key, body string, v storage.Version) {
	t.Helper()
	data, got := read(t, s, key)
	if data != body || got != v {
		t.Errorf("%q holds %.100q at Version %q, want %.100q at %q", key, data, got, body, v)
	}
}

// wantBody compares an object with NewBody(size), without holding it.
func wantBody(t *testing.T, s storage.Store, key string, size int64) {
	t.Helper()
	obj, err := s.Get(t.Context(), key)
	if err != nil {
		t.Error(err)
		return
	}
	defer obj.Body.Close()
	h := sha256.New()
	n, err := io.Copy(h, obj.Body)
	if err != nil || n != size || obj.Size != size {
		t.Errorf("%q: read %d bytes, Size says %d, want %d: %v", key, n, obj.Size, size, err)
	}
	if diff := cmp.Diff(Sum(size), h.Sum(nil)); diff != "" {
		t.Errorf("%q: SHA-256:\n%s", key, diff)
	}
}

func checkList(t *testing.T, s storage.Store, prefix string, keys ...string) {
	t.Helper()
	var got []string
	for e, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Errorf("List(%q): %v", prefix, err)
			return
		}
		if e.Modified.IsZero() {
			t.Errorf("List(%q): %q has no time", prefix, e.Key)
		}
		got = append(got, e.Key)
	}
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Errorf("List(%q) (-want +got):\n%s", prefix, diff)
	}
}

// A Body is a reproducible body of any size that takes no memory.
type Body struct{ at, size int64 }

// NewBody returns a Body of size bytes. Each of its blocks differs.
func NewBody(size int64) *Body { return &Body{0, size} }

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.at >= b.size {
		return 0, io.EOF
	}
	block, within := b.at/int64(len(pattern)), b.at%int64(len(pattern))
	n := copy(p[:min(int64(len(p)), b.size-b.at)], pattern[within:])
	if within == 0 {
		p[0] = byte(block)
	}
	b.at += int64(n)
	return n, nil
}

var pattern = func() (p [4001]byte) { // not a multiple of any block or part
	for i := range p {
		p[i] = byte(i ^ i>>8*31)
	}
	return p
}()

// Seek implements io.Seeker.
func (b *Body) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	b.at = offset
	return offset, nil
}

// Sum returns the SHA-256 of NewBody(size).
func Sum(size int64) []byte {
	if sum, known := sums.Load(size); known {
		return sum.([]byte)
	}
	h := sha256.New()
	io.Copy(h, NewBody(size)) // neither side fails
	sum := h.Sum(nil)
	sums.Store(size, sum)
	return sum
}

var sums sync.Map // size → sum, which the suite asks for again and again

var errBody = errors.New("the disk under the body failed")

// A failingBody fails when it is read beyond a point. It still knows its size.
type failingBody struct {
	*Body
	point int64
}

func (b *failingBody) Read(p []byte) (int, error) {
	if b.at >= b.point {
		return 0, errBody
	}
	return b.Body.Read(p[:min(int64(len(p)), b.point-b.at)])
}
