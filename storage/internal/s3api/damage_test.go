package s3api

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"publisher/storage"
)

// ending is a body that ends in an error.
type ending struct {
	io.Reader
	err error
}

func (e ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		err = e.err
	}
	return n, err
}

// TestChecked: what comes in place of the end of a whole body is the word of the
// SDK on it, and what comes before is not.
func TestChecked(t *testing.T) {
	differ := errors.New("these two differ")
	for _, row := range []struct {
		name string
		size int64
		end  error
		want error
	}{
		{"whole", 4, io.EOF, nil},
		{"not what was stored", 4, differ, storage.ErrDamaged},
		{"cut", 5, differ, differ},
		{"of unknown size", -1, differ, differ},
		{"cancelled at its end", 4, context.Canceled, context.Canceled},
		{"too late", 4, context.DeadlineExceeded, context.DeadlineExceeded},
		{"reset at its end", 4, &net.OpError{Op: "read", Err: net.ErrClosed}, net.ErrClosed},
	} {
		t.Run(row.name, func(t *testing.T) {
			data, err := io.ReadAll(Checked(io.NopCloser(ending{strings.NewReader("body"), row.end}), row.size))
			if string(data) != "body" || !errors.Is(err, row.want) || errors.Is(err, storage.ErrDamaged) != (row.want == storage.ErrDamaged) {
				t.Errorf("%q, %v, want %v", data, err, row.want)
			}
		})
	}
}
