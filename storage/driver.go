package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
)

// CheckKey returns an error wrapping [fs.ErrInvalid] for a key that is not a
// [ValidKey]. Drivers call it first in every method that takes a key.
func CheckKey(key string) error {
	if !ValidKey(key) {
		return fmt.Errorf("object key %q: %w", key, fs.ErrInvalid)
	}
	return nil
}

// CanBegin reports whether a [ValidKey] can begin with prefix. A List of any
// other is empty; servers may not take it for that.
func CanBegin(prefix string) bool {
	slash := strings.LastIndexByte(prefix, '/')
	return slash < 0 || ValidKey(prefix[:slash])
}

// A BodyReader reads a Put's body once from its start, and stops when the
// context ends. It is what drivers read a body through.
//
// If the body is [Hashed], it is hashed on the way, and the last Read returns
// ErrCorrupt in place of io.EOF unless length and hash are those announced: who
// copies until io.EOF never takes a wrong body for a whole one.
type BodyReader struct {
	ctx  context.Context
	body io.Reader
	want Hashed // nil if nothing is announced
	sum  hash.Hash
	n    int64
}

// NewBodyReader rewinds body and returns a reader of all of it.
func NewBodyReader(ctx context.Context, body io.ReadSeeker) (*BodyReader, error) {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("rewind the body: %w", err)
	}
	want, _ := body.(Hashed)
	return &BodyReader{ctx: ctx, body: body, want: want, sum: sha256.New()}, nil
}

// Read implements io.Reader.
func (b *BodyReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.body.Read(p)
	if b.want == nil {
		return n, err
	}
	b.sum.Write(p[:n])
	b.n += int64(n)
	if b.n > b.want.Len() {
		return n, fmt.Errorf("%w: more than the %d bytes announced", ErrCorrupt, b.want.Len())
	}
	if err == io.EOF {
		if bad := b.check(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

func (b *BodyReader) check() error {
	if b.n != b.want.Len() {
		return fmt.Errorf("%w: %d bytes, %d announced", ErrCorrupt, b.n, b.want.Len())
	}
	if got := b.sum.Sum(nil); !bytes.Equal(got, b.want.SHA256()) {
		return fmt.Errorf("%w: SHA-256 is %x, %x announced", ErrCorrupt, got, b.want.SHA256())
	}
	return nil
}
