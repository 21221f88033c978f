// Package s3api is the storage contract in terms of single S3 requests. The
// drivers supply the requests, each with its own SDK.
package s3api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync/atomic"

	"publisher/storage"
)

// API is one SDK on one bucket. Its errors are the SDK's own; Explain tells
// what the server said.
type API interface {
	Get(ctx context.Context, key string) (storage.Object, error)
	Head(ctx context.Context, key string) (storage.Info, error)
	HeadBucket(ctx context.Context) error
	List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error]

	// Put is one conditional PutObject with the object's SHA-256, which the
	// server checks. The SDK may rewind body and send it again.
	Put(ctx context.Context, key string, body io.ReadSeeker, sum Sum, prev storage.Version) (storage.Version, error)

	// Delete removes the object, at that Version only if the server can. It is sent
	// once: whether it may be sent again the SDK cannot tell.
	Delete(ctx context.Context, key string, v storage.Version) error

	// A multipart upload; the last step creates the object, which must not
	// exist.
	StartUpload(ctx context.Context, key string) (id string, err error)
	UploadPart(ctx context.Context, key, id string, part Part, data []byte) (etag string, err error)
	FinishUpload(ctx context.Context, key, id string, parts []Part) (storage.Version, error)
	AbortUpload(ctx context.Context, key, id string) error

	Explain(err error) (Response, bool)
}

// Sum is the SHA-256 and the length of a body.
type Sum struct {
	SHA256 []byte
	Size   int64
}

// Hex returns the SHA-256 as signatures have it.
func (s Sum) Hex() string { return hex.EncodeToString(s.SHA256) }

// Part is one part of a multipart upload.
type Part struct {
	Sum
	Number int32
	ETag   string
}

// maxPut is the largest object that goes in one request.
const maxPut = 64 << 20

// New returns the store of an API. Its Version is the ETag.
func New(api API, bucket string) storage.Store {
	return &store{api: api, bucket: bucket}
}

type store struct {
	api    API
	bucket string
	found  atomic.Bool // the bucket is known to exist
}

// Get implements storage.Store.
func (s *store) Get(ctx context.Context, key string) (storage.Object, error) {
	if err := start(ctx, key); err != nil {
		return storage.Object{}, fmt.Errorf("get %s: %w", key, err)
	}
	obj, err := s.api.Get(ctx, key)
	if err != nil {
		return storage.Object{}, fmt.Errorf("get %s: %w", key, s.explain(err, "s3:GetObject", key))
	}
	s.found.Store(true)
	return obj, nil
}

// Stat implements storage.Stater.
func (s *store) Stat(ctx context.Context, key string) (storage.Info, error) {
	info, err := s.head(ctx, key)
	if err != nil {
		return storage.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return info, nil
}

func (s *store) head(ctx context.Context, key string) (storage.Info, error) {
	if err := start(ctx, key); err != nil {
		return storage.Info{}, err
	}
	info, err := s.api.Head(ctx, key)
	if err == nil {
		s.found.Store(true)
		return info, nil
	}
	err = s.explain(err, "s3:GetObject", key)
	// The answer to a HEAD has no body to say what is missing.
	if errors.Is(err, fs.ErrNotExist) && !s.found.Load() {
		if err := s.api.HeadBucket(ctx); err != nil {
			if r, ok := s.api.Explain(err); ok && r.Status == 404 {
				return storage.Info{}, s.noStore()
			}
			return storage.Info{}, s.explain(err, "s3:ListBucket", "")
		}
		s.found.Store(true)
	}
	return storage.Info{}, err
}

// List implements storage.Store.
func (s *store) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(storage.Entry{}, fmt.Errorf("list %s: %w", prefix, err))
			return
		}
		if !storage.CanBegin(prefix) {
			return
		}
		for e, err := range s.api.List(ctx, prefix) {
			if err != nil {
				yield(storage.Entry{}, fmt.Errorf("list %s: %w", prefix, s.explain(err, "s3:ListBucket", "")))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func start(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return storage.CheckKey(key)
}
