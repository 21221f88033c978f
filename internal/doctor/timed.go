package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"time"

	"publisher/storage"
)

// timed is a store that gives up on what takes so long that nobody would wait for
// it; nil for nil.
func (p *Patient) timed(s storage.Store, name string, hangs *atomic.Int32) storage.Store {
	if s == nil {
		return nil
	}
	return storage.Narrow(&timedStore{s, p, name, hangs}, s)
}

type timedSource struct {
	storage.Getter
	patient *Patient
}

func (s *timedSource) Get(ctx context.Context, key string) (storage.Object, error) {
	return s.patient.hurry(ctx, s.Getter, key)
}

type timedStore struct {
	storage.Store
	patient *Patient
	name    string
	hangs   *atomic.Int32 // how often it has not answered
}

// maxHangs is after how many requests without an answer a store is asked nothing
// more: an examination is to end.
const maxHangs = 3

func (s *timedStore) Get(ctx context.Context, key string) (storage.Object, error) {
	if err := s.givenUp(); err != nil {
		return storage.Object{}, err
	}
	obj, err := s.patient.hurry(ctx, s.Store, key)
	return obj, s.named(err)
}

// Put implements storage.Store. What is put here is small.
func (s *timedStore) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (v storage.Version, err error) {
	err = s.limited(ctx, func(ctx context.Context) (err error) {
		v, err = s.Store.Put(ctx, key, body, prev)
		return err
	})
	return v, err
}

// List implements storage.Store. The time that the caller takes does not count.
func (s *timedStore) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		if err := s.givenUp(); err != nil {
			yield(storage.Entry{}, err)
			return
		}
		h := s.patient.wait(ctx)
		defer h.release()
		for e, err := range s.Store.List(h.ctx, prefix) {
			h.timer.Stop()
			if !yield(e, s.named(h.cause(err))) {
				return
			}
			h.began = time.Now()
			h.timer.Reset(s.patient.limit(0))
		}
	}
}

// Stat implements storage.Stater.
func (s *timedStore) Stat(ctx context.Context, key string) (info storage.Info, err error) {
	err = s.limited(ctx, func(ctx context.Context) (err error) {
		info, err = storage.Stat(ctx, s.Store, key)
		return err
	})
	return info, err
}

// Delete implements storage.Deleter.
func (s *timedStore) Delete(ctx context.Context, key string, prev storage.Version) error {
	return s.limited(ctx, func(ctx context.Context) error {
		return s.Store.(storage.Deleter).Delete(ctx, key, prev)
	})
}

// Batch implements storage.Batcher.
func (s *timedStore) Batch() (storage.Store, func(context.Context) error, func()) {
	return s.Store.(storage.Batcher).Batch()
}

// limited makes a request that moves few bytes.
func (s *timedStore) limited(ctx context.Context, ask func(context.Context) error) error {
	if err := s.givenUp(); err != nil {
		return err
	}
	h := s.patient.wait(ctx)
	defer h.release()
	return s.named(h.cause(ask(h.ctx)))
}

// givenUp fails for a store that has not answered again and again.
func (s *timedStore) givenUp() error {
	if s.hangs.Load() < maxHangs {
		return nil
	}
	return fmt.Errorf("%s: timeout: it has not answered %d times: %w", s.name, maxHangs, context.DeadlineExceeded)
}

// named says which store it was that did not answer, and counts that.
func (s *timedStore) named(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.hangs.Add(1)
	return fmt.Errorf("%s: %w", s.name, err)
}

// wait begins to wait for an answer.
func (p *Patient) wait(ctx context.Context) *hurried {
	ctx, cancel := context.WithCancelCause(ctx)
	h := &hurried{ctx: ctx, cancel: cancel, patient: p, began: time.Now()}
	h.timer = time.AfterFunc(p.limit(0), h.end)
	return h
}

// hurry opens an object. Its bytes must come as fast as those of an answer.
func (p *Patient) hurry(ctx context.Context, s storage.Getter, key string) (storage.Object, error) {
	h := p.wait(ctx)
	obj, err := s.Get(h.ctx, key)
	if err != nil {
		err = h.cause(err)
		h.release()
		return obj, err
	}
	h.ReadCloser, obj.Body = obj.Body, h
	return obj, nil
}

// hurried is the body of an object that is waited for.
type hurried struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	patient *Patient
	began   time.Time
	timer   *time.Timer
	got     int64
}

func (h *hurried) Read(p []byte) (int, error) {
	h.timer.Reset(h.patient.limit(h.got) - time.Since(h.began))
	n, err := h.ReadCloser.Read(p)
	h.got += int64(n)
	return n, h.cause(err)
}

func (h *hurried) end() {
	h.cancel(fmt.Errorf("timeout: not done after %v: %w", time.Since(h.began).Round(100*time.Millisecond), context.DeadlineExceeded))
}

// cause is why a read has failed: a driver says that it was cancelled, or that
// this is the end, where the server ends its answer as it sees that.
func (h *hurried) cause(err error) error {
	if cause := context.Cause(h.ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

func (h *hurried) Close() error {
	defer h.release()
	return h.ReadCloser.Close()
}

func (h *hurried) release() {
	h.timer.Stop()
	h.cancel(nil)
}
