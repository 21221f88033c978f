package s3api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"publisher/storage"
)

// Checked returns the body of an object, which an SDK compares with the checksum
// that the server keeps of it. It ends in storage.ErrDamaged, after all of the
// bytes, where the SDK finds that they differ: SDKs have no type for that, so it
// is told by what it comes in place of, the end of a body of which nothing is
// missing. A body of unknown size, -1, is returned as it is.
func Checked(body io.ReadCloser, size int64) io.ReadCloser {
	if size < 0 {
		return body
	}
	return &checked{body, size}
}

type checked struct {
	io.ReadCloser
	left int64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= int64(n); c.left == 0 && err != nil && err != io.EOF && !ended(err) {
		err = fmt.Errorf("%w (%v)", storage.ErrDamaged, err)
	}
	return n, err
}

// ended reports whether it was the way to the server that ended, or the wait.
func ended(err error) bool {
	_, broken := errors.AsType[net.Error](err)
	return broken || errors.Is(err, context.Canceled) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, storage.ErrDamaged)
}
