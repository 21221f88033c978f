package repo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"publisher/repo/tuf"
	"publisher/storage"
)

// remote is the bytes of a target in a store, as a body to be put into another
// one. It is read as it comes, and each time it comes to its end it is compared
// with the listing: where it differs the end is an error, so that nobody stores
// it.
type remote struct {
	ctx    context.Context
	source storage.Getter
	keys   []string // any of which has them
	want   tuf.TargetFile
	tell   func(n int64)

	key    string        // the one that has them
	body   io.ReadCloser // nil until it is read
	digest *Digest
	at     int64 // where the reader is
	told   int64 // how far the reader has ever been
}

// hashed has the store check the SHA-256 too, where one is listed.
func (r *remote) hashed() io.ReadSeeker {
	if sum, err := hex.DecodeString(r.want.Hashes["sha256"]); err == nil && len(sum) > 0 {
		return storage.WithSHA256(r, sum, r.want.Length)
	}
	return r
}

func (r *remote) Read(p []byte) (int, error) {
	if r.at >= r.want.Length && r.body == nil && r.want.Length > 0 {
		return 0, io.EOF // after Seek to the end
	}
	if r.body == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	n, err := r.body.Read(p)
	_, _ = r.digest.Write(p[:n]) // a hash never fails
	if r.at += int64(n); r.at > r.told {
		r.tell(min(r.at, r.want.Length) - min(r.told, r.want.Length))
		r.told = r.at
	}
	switch {
	case r.at > r.want.Length:
		return 0, unverified(r.key, fmt.Errorf("it has more than %d bytes in the source", r.want.Length))
	case err == io.EOF && r.at < r.want.Length:
		return n, unverified(r.key, fmt.Errorf("it has %d bytes in the source, not %d", r.at, r.want.Length))
	case err == io.EOF:
		if bad := r.digest.Check(); bad != nil {
			return n, unverified(r.key, bad)
		}
	}
	return n, err
}

// open starts at the beginning and comes to where Seek has said: a source need
// not be able to start in between.
func (r *remote) open() error {
	digest, err := NewDigest(r.want.Hashes)
	if err != nil {
		return err
	}
	obj, err := r.get()
	if err != nil {
		return err
	}
	r.body, r.digest = obj.Body, digest
	if _, err := io.CopyN(digest, r.body, r.at); err != nil {
		return fmt.Errorf("read %s: %w", r.key, err)
	}
	return nil
}

// get opens the first of the keys that is there.
func (r *remote) get() (storage.Object, error) {
	for i, key := range r.keys {
		obj, err := r.source.Get(r.ctx, key)
		if err == nil {
			r.key, r.keys = key, r.keys[i:]
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return obj, err
		}
	}
	return storage.Object{}, unverified(r.keys[0], fmt.Errorf("the source does not have it: %w", fs.ErrNotExist))
}

// Seek implements io.Seeker.
func (r *remote) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.want.Length
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	if offset == r.at {
		return offset, nil
	}
	err := r.Close()
	r.at = offset
	return offset, err
}

// Close closes what is open. The body can be read again.
func (r *remote) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}
