package doctor

import (
	"context"
	"fmt"
	"io"
	"time"

	"publisher/storage"
)

// timed is a source, or a store, that gives up on objects which come so slowly
// that nobody would wait for them.
func (p *Patient) timed(s storage.Getter) storage.Getter {
	if store, ok := s.(storage.Store); ok {
		return &timedStore{store, p}
	}
	return &timedSource{s, p}
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
}

func (s *timedStore) Get(ctx context.Context, key string) (storage.Object, error) {
	return s.patient.hurry(ctx, s.Store, key)
}

// Stat implements storage.Stater.
func (s *timedStore) Stat(ctx context.Context, key string) (storage.Info, error) {
	return storage.Stat(ctx, s.Store, key)
}

// hurry opens an object. Its bytes must come as fast as those of an answer.
func (p *Patient) hurry(ctx context.Context, s storage.Getter, key string) (storage.Object, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	h := &hurried{ctx: ctx, cancel: cancel, patient: p, began: time.Now()}
	h.timer = time.AfterFunc(p.limit(0), h.end)
	obj, err := s.Get(ctx, key)
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
