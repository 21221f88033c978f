package s3api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"publisher/storage"
)

// Put implements storage.Store. Compare-and-swap is never built on a multipart
// upload, so what replaces an object has to fit in one request.
func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	v, err := s.put(ctx, key, body, prev)
	if err != nil {
		return storage.Absent, fmt.Errorf("put %s: %w", key, err)
	}
	s.found.Store(true)
	return v, nil
}

func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if err := start(ctx, key); err != nil {
		return storage.Absent, err
	}
	size, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return storage.Absent, fmt.Errorf("measure the body: %w", err)
	}
	if h, ok := body.(storage.Hashed); ok && h.Len() != size {
		return storage.Absent, fmt.Errorf("%w: %d bytes, %d announced", storage.ErrCorrupt, size, h.Len())
	}
	if size > maxPut && prev != storage.Absent {
		return storage.Absent, fmt.Errorf("replace an object by %d bytes: at most %d can be replaced safely", size, maxPut)
	}
	if size > maxPut {
		return s.upload(ctx, key, body, size)
	}
	sum, err := sumOf(ctx, body)
	if err != nil {
		return storage.Absent, err
	}
	witness := &witness{ReadSeeker: body}
	if _, err := witness.Seek(0, io.SeekStart); err != nil {
		return storage.Absent, fmt.Errorf("rewind the body: %w", err)
	}
	v, err := s.api.Put(ctx, key, witness, sum, prev)
	switch {
	case err == nil:
		return v, nil
	case witness.err != nil:
		return storage.Absent, witness.err
	}
	err = s.explain(err, "s3:PutObject", key)
	if errors.Is(err, fs.ErrNotExist) && prev != storage.Absent { // If-Match on a missing object
		err = fmt.Errorf("%w (%v)", storage.ErrConflict, err)
	}
	return storage.Absent, err
}

// sumOf asks the body for its hash, or reads it once to know.
func sumOf(ctx context.Context, body io.ReadSeeker) (Sum, error) {
	if h, ok := body.(storage.Hashed); ok {
		return Sum{h.SHA256(), h.Len()}, nil
	}
	r, err := storage.NewBodyReader(ctx, body)
	if err != nil {
		return Sum{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, r)
	return Sum{h.Sum(nil), n}, err
}

// A witness remembers why the body failed, which SDKs are free to wrap away.
type witness struct {
	io.ReadSeeker
	err error
}

func (w *witness) Read(p []byte) (int, error) {
	n, err := w.ReadSeeker.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
