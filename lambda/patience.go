package lambda

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// requestTime is how long one request to a store or to a key management service
// may take, with all that a driver does about it. Drivers have patience of their
// own, with a connection and so often as they try again; this is what a run can
// count on.
const requestTime = time.Minute

// A patience is the end of one request: after a minute, or half of the time that
// is left, so that whoever asked can still say and do something about it.
type patience struct {
	all   context.Context
	limit time.Duration
	timer *time.Timer
	stop  context.CancelCauseFunc
	asked context.Context
}

// errHung ends a request.
var errHung = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)

// patient returns the context for one request. The caller calls done.
func patient(ctx context.Context) (context.Context, *patience) {
	p := &patience{all: ctx, limit: requestTime}
	if deadline, ok := ctx.Deadline(); ok {
		p.limit = min(p.limit, time.Until(deadline)/2)
	}
	p.asked, p.stop = context.WithCancelCause(ctx)
	p.timer = time.AfterFunc(p.limit, func() { p.stop(errHung) })
	return p.asked, p
}

func (p *patience) done() {
	p.timer.Stop()
	p.stop(nil)
}

func (p *patience) pause()  { p.timer.Stop() }
func (p *patience) resume() { p.timer.Reset(p.limit) }

// explain says of an error that it is of the end that was put to the request:
// what the driver says is how it ended.
func (p *patience) explain(err error) error {
	if err != nil && p.all.Err() == nil && context.Cause(p.asked) == errHung {
		return fmt.Errorf("not done after %v: %w", p.limit.Round(time.Millisecond), errHung)
	}
	return err
}

// patientBody is a body that is part of its request.
type patientBody struct {
	io.ReadCloser
	p *patience
}

func (b *patientBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	if err == io.EOF {
		return n, err
	}
	return n, b.p.explain(err)
}

func (b *patientBody) Close() error {
	defer b.p.done()
	return b.ReadCloser.Close()
}

// patientKeys puts an end to what is asked of those who hold keys.
type patientKeys struct{ Keys }

func (k patientKeys) Make(ctx context.Context, collection, role string) (*Key, error) {
	ctx, p := patient(ctx)
	defer p.done()
	key, err := k.Keys.Make(ctx, collection, role)
	return key, p.explain(err)
}

func (k patientKeys) Open(ctx context.Context, key *Key) (signature.Signer, error) {
	ctx, p := patient(ctx)
	defer p.done()
	s, err := k.Keys.Open(ctx, key)
	return s, p.explain(err)
}

// bound is a signer that works under the context it was asked for in.
type bound struct {
	signature.Signer
	ctx context.Context
}

func (b *bound) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	ctx, p := patient(b.ctx)
	defer p.done()
	sig, err := b.Signer.SignMessage(message, append(opts, options.WithContext(ctx))...)
	return sig, p.explain(err)
}
