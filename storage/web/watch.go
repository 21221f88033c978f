package web

import (
	"context"
	"fmt"
	"io"
	"time"
)

// A watch ends a request whose server lets it wait too long. The connection
// cannot tell: in HTTP/2 it is one for many requests, and has news of its own.
type watch struct {
	cancel   context.CancelCauseFunc
	ctx      context.Context
	timer    *time.Timer
	patience time.Duration
}

// newWatch starts to wait. The request is made with the context it returns.
func newWatch(ctx context.Context, patience time.Duration) (*watch, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("timeout: the server sent nothing for %v", patience)
	return &watch{cancel, ctx, time.AfterFunc(patience, func() { cancel(stalled) }), patience}, ctx
}

// stop ends the waiting. It returns err, or why that came to be.
func (w *watch) stop(err error) error {
	w.timer.Stop()
	if cause := context.Cause(w.ctx); err != nil && err != io.EOF && cause != nil {
		return cause
	}
	return err
}

// end ends the request.
func (w *watch) end() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// A watchedBody waits only while somebody reads: who is slow to take what was
// sent does not make the server one.
type watchedBody struct {
	io.ReadCloser
	watch *watch
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.patience)
	n, err := b.ReadCloser.Read(p)
	return n, b.watch.stop(err)
}

func (b *watchedBody) Close() error {
	defer b.watch.end()
	return b.ReadCloser.Close()
}
