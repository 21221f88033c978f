package storagetest

import (
	"context"
	"io"
	"iter"
	"slices"
	"sync"

	"publisher/storage"
)

// Counts are the requests a store has seen.
type Counts struct {
	Reads   int // Get and Stat
	Writes  int // Put, also in a batch
	Lists   int
	Deletes int
}

// A Counter counts and logs the requests that pass through its Store.
type Counter struct {
	inner storage.Store

	mu     sync.Mutex
	counts Counts
	log    []string
}

// NewCounter returns a Counter of the requests to s.
func NewCounter(s storage.Store) *Counter { return &Counter{inner: s} }

// Store returns the counted store. It has the optional interfaces of the store
// behind it.
func (c *Counter) Store() storage.Store {
	return storage.Narrow(&counted{c.inner, c}, c.inner)
}

// Counts returns the number of requests since the last Reset.
func (c *Counter) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// Log returns the requests since the last Reset as "METHOD key" lines, in the
// order in which they began; the methods are GET, STAT, PUT, LIST and DELETE.
func (c *Counter) Log() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

// Reset forgets all requests.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts, c.log = Counts{}, nil
}

func (c *Counter) add(n *int, method, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
	c.log = append(c.log, method+" "+key)
}

type counted struct {
	storage.Store
	c *Counter
}

func (s *counted) Get(ctx context.Context, key string) (storage.Object, error) {
	s.c.add(&s.c.counts.Reads, "GET", key)
	return s.Store.Get(ctx, key)
}

func (s *counted) Stat(ctx context.Context, key string) (storage.Info, error) {
	s.c.add(&s.c.counts.Reads, "STAT", key)
	return s.Store.(storage.Stater).Stat(ctx, key)
}

func (s *counted) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	s.c.add(&s.c.counts.Writes, "PUT", key)
	return s.Store.Put(ctx, key, body, prev)
}

func (s *counted) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	s.c.add(&s.c.counts.Lists, "LIST", prefix)
	return s.Store.List(ctx, prefix)
}

func (s *counted) Delete(ctx context.Context, key string, prev storage.Version) error {
	s.c.add(&s.c.counts.Deletes, "DELETE", key)
	return s.Store.(storage.Deleter).Delete(ctx, key, prev)
}

func (s *counted) Batch() (storage.Store, func(context.Context) error, func()) {
	b, flush, discard := s.Store.(storage.Batcher).Batch()
	return storage.Narrow(&counted{b, s.c}, b), flush, discard
}
