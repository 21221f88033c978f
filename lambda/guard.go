package lambda

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"publisher/repo"
	"publisher/storage"
)

// A ClockError reports that the clocks of this machine and of a store differ by
// more than repo.MaxSkew. Nothing is signed by a clock like that: it would be dated
// wrongly, and expiry judged wrongly.
type ClockError struct {
	Here, There time.Time
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock here says %s, the store's says %s: nothing is signed while they are more than %v apart",
		e.Here.UTC().Format(time.RFC3339), e.There.UTC().Format(time.RFC3339), repo.MaxSkew)
}

// guard returns s with every answer's date compared with the clock, with an end
// to every request that is not answered, and with panics turned into errors: some
// of them would be in a goroutine of repo's, where they end the process.
func guard(s storage.Store, now func() time.Time) storage.Store {
	return storage.Narrow(&guarded{s, now}, s)
}

type guarded struct {
	storage.Store
	now func() time.Time
}

func (g *guarded) checkClock(there time.Time) error {
	here := g.now()
	if there.IsZero() || here.Sub(there).Abs() <= repo.MaxSkew {
		return nil
	}
	return &ClockError{Here: here, There: there}
}

// listen returns a context for one request, and what its answer has to say about
// the clock: that it is off counts more than the answer.
func (g *guarded) listen(ctx context.Context) (context.Context, func(error) error) {
	var mu sync.Mutex
	var there time.Time
	ctx = storage.OnDate(ctx, func(at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		there = at
	})
	return ctx, func(err error) error {
		mu.Lock()
		defer mu.Unlock()
		if clock := g.checkClock(there); clock != nil {
			return clock
		}
		return err
	}
}

func (g *guarded) Get(ctx context.Context, key string) (obj storage.Object, err error) {
	defer caught(&err)
	asked, p := patient(ctx)
	asked, heard := g.listen(asked)
	if obj, err = g.Store.Get(asked, key); err != nil {
		defer p.done()
		return obj, heard(p.explain(err))
	}
	obj.Body = &patientBody{obj.Body, p}
	if err = heard(g.checkClock(obj.Date)); err != nil {
		obj.Body.Close()
		return storage.Object{}, err
	}
	return obj, nil
}

func (g *guarded) Stat(ctx context.Context, key string) (info storage.Info, err error) {
	defer caught(&err)
	ctx, p := patient(ctx)
	defer p.done()
	ctx, heard := g.listen(ctx)
	if info, err = g.Store.(storage.Stater).Stat(ctx, key); err == nil {
		err = g.checkClock(info.Date)
	}
	return info, heard(p.explain(err))
}

// Put has written all the same, if the store says that it has: what is found to
// be off is all that comes after.
func (g *guarded) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (v storage.Version, err error) {
	defer caught(&err)
	ctx, p := patient(ctx)
	defer p.done()
	ctx, heard := g.listen(ctx)
	v, err = g.Store.Put(ctx, key, body, prev)
	return v, heard(p.explain(err))
}

func (g *guarded) Delete(ctx context.Context, key string, prev storage.Version) (err error) {
	defer caught(&err)
	ctx, p := patient(ctx)
	defer p.done()
	ctx, heard := g.listen(ctx)
	return heard(p.explain(g.Store.(storage.Deleter).Delete(ctx, key, prev)))
}

func (g *guarded) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		ctx, p := patient(ctx)
		defer p.done()
		ctx, heard := g.listen(ctx)
		for e, err := range g.Store.List(ctx, prefix) {
			p.pause() // whoever takes their time between two objects
			if err = heard(p.explain(err)); !yield(e, err) || err != nil {
				return
			}
			p.resume()
		}
		// There may be nothing in the list.
		if err := heard(nil); err != nil {
			yield(storage.Entry{}, err)
		}
	}
}

func (g *guarded) Batch() (storage.Store, func(context.Context) error, func()) {
	s, flush, discard := g.Store.(storage.Batcher).Batch()
	return guard(s, g.now), flush, discard
}

// maxSubmission is how many bytes the parts of one submission may have together.
const maxSubmission = 32 << 20

// limited is the inbox for one submission.
type limited struct {
	storage.Store
	space *space
	left  int64 // bytes
}

// limit returns s with a bound on what is read from it, and room for that. It
// lacks all optional interfaces.
func limit(s storage.Store, in *space) storage.Store { return &limited{s, in, maxSubmission} }

func (l *limited) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := l.Store.Get(ctx, key)
	if err != nil {
		return obj, err
	}
	if obj.Size < 0 || obj.Size > l.left {
		obj.Body.Close()
		return storage.Object{}, fmt.Errorf("get %s: %w: the submission has more than %d bytes", key, storage.ErrTooLarge, maxSubmission)
	}
	l.left -= obj.Size
	if err := l.space.hold(ctx, maxSubmission-l.left); err != nil {
		obj.Body.Close()
		return storage.Object{}, err
	}
	return obj, nil
}
