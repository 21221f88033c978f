package storage

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

// drip gives some bytes with each Read, which takes some time.
type drip struct {
	left, each int
	takes      time.Duration
	clock      *time.Time
}

func (d *drip) Read(p []byte) (int, error) {
	*d.clock = d.clock.Add(d.takes)
	n := min(d.left, d.each, len(p))
	if d.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestBrisk: how fast a body must come, and that it does not matter how slow its
// reader is.
func TestBrisk(t *testing.T) {
	for _, row := range []struct {
		what       string
		size, each int
		takes      time.Duration
		pause      time.Duration // of the reader
		slow       bool
	}{
		{"one byte a second", 1 << 20, 1, time.Second, 0, true},
		{"a little less than it must be", 1 << 20, 1023, time.Second, 0, true},
		{"as fast as it must be", 1 << 20, 1024, time.Second, 0, false},
		{"much now and then", 1 << 20, 1 << 18, 200 * time.Second, 0, true}, // io.Copy takes less of it at once
		{"nothing much after a long while", 100, 50, 3 * time.Minute, 0, true},
		{"a few bytes, slowly", 50, 1, time.Second, 0, false},
		{"a slow reader", 1 << 10, 16, 0, time.Hour, false},
	} {
		t.Run(row.what, func(t *testing.T) {
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			body := Brisk(io.NopCloser(&drip{row.size, row.each, row.takes, &now}), func() time.Time { return now })
			read := readerFunc(func(p []byte) (int, error) { now = now.Add(row.pause); return body.Read(p) })
			n, err := io.Copy(io.Discard, read)
			if errors.Is(err, ErrSlow) != row.slow || err != nil && !row.slow || err == nil && n != int64(row.size) {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestBriskCloses: the body is the one that it was.
func TestBriskCloses(t *testing.T) {
	inner := &closed{Reader: bytes.NewReader([]byte("content"))}
	body := Brisk(inner, time.Now)
	if data, err := io.ReadAll(body); string(data) != "content" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if err := body.Close(); err != nil || !inner.done {
		t.Errorf("closed: %v, %v", inner.done, err)
	}
}

type closed struct {
	io.Reader
	done bool
}

func (c *closed) Close() error { c.done = true; return nil }
