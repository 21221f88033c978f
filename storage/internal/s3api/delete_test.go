package s3api

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"publisher/storage"
)

// oneObject is a server with one object, whose ETag is that of the content.
type oneObject struct {
	API
	written time.Time // zero: it is not there
	sent    int
	answer  func(o *oneObject, n int) error // after the n-th request was done
	refuse  func(n int) error               // instead of doing it
}

func (o *oneObject) Head(context.Context, string) (storage.Info, error) {
	if o.written.IsZero() {
		return storage.Info{}, said{404}
	}
	return storage.Info{Version: "etag", Modified: o.written}, nil
}

func (o *oneObject) HeadBucket(context.Context) error { return nil }

func (o *oneObject) Delete(_ context.Context, _ string, v storage.Version) error {
	o.sent++
	if o.refuse != nil {
		if err := o.refuse(o.sent); err != nil {
			return err
		}
	}
	if o.written.IsZero() {
		return said{412}
	}
	o.written = time.Time{}
	return o.answer(o, o.sent)
}

func (o *oneObject) Explain(err error) (Response, bool) {
	var s said
	ok := errors.As(err, &s)
	return Response{Status: s.status}, ok
}

type said struct{ status int }

func (s said) Error() string { return "the server says no" }

var errCut = errors.New("connection reset")

// TestDeleteLost: where the answer is lost, what somebody has written again
// meanwhile stays, though its ETag is the same.
func TestDeleteLost(t *testing.T) {
	done := func(*oneObject, int) error { return nil }
	lost := func(*oneObject, int) error { return errCut }
	for name, row := range map[string]struct {
		o     *oneObject
		err   error
		sent  int
		there bool
	}{
		"done":            {&oneObject{answer: done}, nil, 1, false},
		"its answer lost": {&oneObject{answer: lost}, nil, 1, false},
		"its answer lost, and written again": {&oneObject{answer: func(o *oneObject, _ int) error {
			o.written = time.Now()
			return errCut
		}}, storage.ErrConflict, 1, true},
		"never arrived": {&oneObject{answer: done, refuse: func(n int) error {
			if n < 3 {
				return errCut
			}
			return nil
		}}, nil, 3, false},
		"too busy": {&oneObject{answer: done, refuse: func(n int) error {
			if n < 2 {
				return said{503}
			}
			return nil
		}}, nil, 2, false},
		"too busy for ever": {&oneObject{refuse: func(int) error { return said{503} }}, said{503}, maxDeletes, true},
		"not allowed":       {&oneObject{refuse: func(int) error { return said{403} }}, fs.ErrPermission, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				row.o.written = time.Now().Add(-30 * 24 * time.Hour)
				s := New(row.o, "bucket").(storage.Deleter)
				if err := s.Delete(t.Context(), "k", "etag"); !errors.Is(err, row.err) {
					t.Errorf("%v, want %v", err, row.err)
				}
				if row.o.sent != row.sent || row.o.written.IsZero() == row.there {
					t.Errorf("%d requests, written %v", row.o.sent, row.o.written)
				}
			})
		})
	}
}

// TestDeleteInterrupted: who is interrupted does not wait to send it again.
func TestDeleteInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := &oneObject{written: time.Now(), refuse: func(int) error { cancel(); return said{503} }}
	if err := New(o, "bucket").(storage.Deleter).Delete(ctx, "k", "etag"); !errors.Is(err, context.Canceled) || o.sent != 1 {
		t.Errorf("%d requests, %v", o.sent, err)
	}
}
