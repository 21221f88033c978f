package s3api

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"publisher/storage"
)

// slowServer takes its time, and does not notice when the client is gone: what
// was sent arrives. It is all there is of a server for one upload.
type slowServer struct {
	API
	start, part time.Duration // how long a request takes to arrive

	started, parts, aborts atomic.Int64
}

// arrive has happen what the client asked for, whether it waits or not.
func arrive(ctx context.Context, after time.Duration, what func()) error {
	done := make(chan struct{})
	time.AfterFunc(after, func() { what(); close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slowServer) StartUpload(ctx context.Context, _ string) (string, error) {
	return "id", arrive(ctx, s.start, func() { s.started.Add(1) })
}

func (s *slowServer) UploadPart(ctx context.Context, _, _ string, _ Part, _ []byte) (string, error) {
	return "etag", arrive(ctx, s.part, func() { s.parts.Add(1) })
}

func (s *slowServer) AbortUpload(ctx context.Context, _, _ string) error {
	s.started.Store(0)
	s.parts.Store(0)
	s.aborts.Add(1)
	return ctx.Err()
}

func (s *slowServer) Explain(error) (Response, bool) { return Response{}, false }

// TestUploadInterrupted: whenever the user interrupts an upload, and whatever of
// it arrives later, the server keeps nothing.
func TestUploadInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name          string
		start, part   time.Duration
		after, atMost time.Duration
		aborts        int64
	}{
		{"while it starts", 2 * time.Second, 0, time.Second, 3 * time.Second, 1},
		{"parts on their way", 0, 3 * time.Second, time.Second, 4 * time.Second, 1},
		{"parts that arrive after the abort", 0, grace + 1500*time.Millisecond, time.Second, grace + 3*time.Second, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(tt.after, cancel)
				server, begin := &slowServer{start: tt.start, part: tt.part}, time.Now()
				_, err := New(server, "bucket").Put(ctx, "k", bytes.NewReader(make([]byte, maxPut+1)), storage.Absent)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v, want context.Canceled", err)
				}
				if took := time.Since(begin); took > tt.atMost {
					t.Errorf("it took %v, want at most %v", took, tt.atMost)
				}
				time.Sleep(time.Hour)
				started, parts, aborts := server.started.Load(), server.parts.Load(), server.aborts.Load()
				if started != 0 || parts != 0 || aborts != tt.aborts {
					t.Errorf("%d uploads and %d parts are left after %d aborts, want none after %d", started, parts, aborts, tt.aborts)
				}
			})
		})
	}
}
