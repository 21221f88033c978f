package s3api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"publisher/storage"
)

const (
	partSize   = 8 << 20
	partMemory = 32 << 20 // for all parts on their way
	maxParts   = 10_000
)

// How long an upload that has ended is given to end cleanly.
const (
	grace     = 5 * time.Second // for parts on their way to arrive
	settling  = time.Second     // for a server to notice that a request was cut
	abortTime = 30 * time.Second
)

// upload creates a large object from parts. The body is read once, in order;
// if it is not what it announced, or anything else fails, the upload is aborted
// and the server keeps nothing.
func (s *store) upload(ctx context.Context, key string, body io.ReadSeeker, size int64) (v storage.Version, err error) {
	id, err := s.startUpload(ctx, key)
	if err != nil {
		return storage.Absent, s.explain(err, "s3:PutObject", key)
	}
	cut := false
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abort(ctx, key, id, cut))
		}
	}()
	parts, cut, err := s.sendParts(ctx, key, id, body, size)
	if err != nil {
		return storage.Absent, err
	}
	v, err = s.api.FinishUpload(ctx, key, id, parts)
	if err != nil {
		return storage.Absent, s.explain(err, "s3:PutObject", key)
	}
	return v, nil
}

// startUpload waits for the answer also when ctx ends meanwhile: without the ID
// in it nobody can abort what the server has started.
func (s *store) startUpload(ctx context.Context, key string) (id string, err error) {
	ctx, cancel := linger(ctx)
	defer cancel()
	return s.api.StartUpload(ctx, key)
}

// linger returns a context that ends some time after ctx does: a server may act
// on a request whose answer nobody waits for, after whatever comes next.
func linger(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel()
		case <-late.Done():
		}
	})
	return late, func() { stop(); cancel() }
}

// abort cleans up also when it is the caller's context that ended the upload.
// A part that was cut may be stored after the first abort, so there is another.
func (s *store) abort(ctx context.Context, key, id string, cut bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	err := s.abortOnce(ctx, key, id)
	if cut {
		time.Sleep(settling)
		err = s.abortOnce(ctx, key, id)
	}
	return err
}

// abortOnce: an upload that is gone was finished by a request whose answer got
// lost, or aborted before.
func (s *store) abortOnce(ctx context.Context, key, id string) error {
	err := s.api.AbortUpload(ctx, key, id)
	if r, ok := s.api.Explain(err); err == nil || ok && r.Status == 404 {
		return nil
	}
	return fmt.Errorf("abort the upload %s, whose parts remain: %w", id, s.explain(err, "s3:AbortMultipartUpload", key))
}

// sendParts reads parts one after the other and sends several at a time. When it
// returns, none is on its way; cut is that some got no answer, so that the
// server may still come to store them.
func (s *store) sendParts(ctx context.Context, key, id string, body io.ReadSeeker, size int64) (parts []Part, cut bool, err error) {
	r, err := storage.NewBodyReader(ctx, body)
	if err != nil {
		return nil, false, err
	}
	each := max(partSize, (size+maxParts-1)/maxParts)
	parts = make([]Part, (size+each-1)/each)
	buffers := make(chan []byte, max(1, partMemory/each))
	for range cap(buffers) {
		buffers <- nil // made when first used
	}
	g, ctx := errgroup.WithContext(ctx)
	sending, cancel := linger(ctx)
	defer cancel()
	var unanswered atomic.Bool
	err = s.eachPart(ctx, r, buffers, each, parts, func(i int, data []byte) {
		g.Go(func() error {
			defer func() { buffers <- data[:each] }()
			etag, err := s.api.UploadPart(sending, key, id, parts[i], data)
			if err != nil {
				if _, answered := s.api.Explain(err); !answered {
					unanswered.Store(true)
				}
				return fmt.Errorf("part %d: %w", parts[i].Number, s.explain(err, "s3:PutObject", key))
			}
			parts[i].ETag = etag
			return nil
		})
	})
	// A part that failed cancels ctx, and so the reading: it is the cause.
	if sent := g.Wait(); sent != nil {
		return nil, unanswered.Load(), sent
	}
	return parts, false, err
}

// eachPart fills a buffer for each part and hands it to send, which gives it
// back when done. It returns nil only for a body that was read to its end and
// is what it announced.
func (s *store) eachPart(ctx context.Context, r io.Reader, buffers chan []byte, size int64, parts []Part, send func(int, []byte)) error {
	for i := range parts {
		var buf []byte
		select {
		case buf = <-buffers:
		case <-ctx.Done():
			return ctx.Err()
		}
		if buf == nil {
			buf = make([]byte, size)
		}
		n, err := io.ReadFull(r, buf)
		if err != nil && err != io.ErrUnexpectedEOF {
			return bodyError(err)
		}
		sum := sha256.Sum256(buf[:n])
		parts[i] = Part{Sum: Sum{sum[:], int64(n)}, Number: int32(i + 1)}
		send(i, buf[:n])
	}
	switch n, err := r.Read(make([]byte, 1)); {
	case n > 0:
		return errors.New("the body grew while it was read")
	case err != io.EOF:
		return bodyError(err)
	}
	return nil
}

func bodyError(err error) error {
	if err == io.EOF {
		return errors.New("the body shrank while it was read")
	}
	return fmt.Errorf("read the body: %w", err)
}
