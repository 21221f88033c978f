package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"publisher/storage"
)

var (
	// ErrKilled is what every call returns once the process counts as killed.
	ErrKilled = errors.New("the process was killed")

	// ErrInjected is what a request with a fault returns.
	ErrInjected = errors.New("injected failure")
)

// A Fault is what goes wrong with one request.
type Fault int

const (
	None          Fault = iota
	Lost                // nothing applied, ErrInjected
	AppliedFailed       // applied, ErrInjected
	AppliedAgain        // applied, ErrConflict: a driver's retry met its own write
	Killed              // applied; this and every later call returns ErrKilled
)

func (f Fault) String() string {
	return [...]string{"none", "lost", "applied but failed", "applied but conflict", "killed"}[f]
}

// A Request is one call on a store with faults.
type Request struct {
	Method string // GET, STAT, PUT, LIST, DELETE, or FLUSH of a batch
	Key    string // the prefix of a LIST, empty for FLUSH
	N      int    // counts all requests, from 1
	Nth    int    // counts the requests of this method, from 1
}

// Faults breaks requests to a store.
type Faults struct {
	inner storage.Store

	mu     sync.Mutex
	hook   func(Request) Fault
	n      int
	nth    map[string]int
	killed bool
}

// NewFaults returns a Faults around s that asks hook about each request. The
// hook is called for one request at a time.
func NewFaults(s storage.Store, hook func(Request) Fault) *Faults {
	return &Faults{inner: s, hook: hook, nth: map[string]int{}}
}

// OnPut is a hook that breaks the n-th Put, counted from 1, with f.
func OnPut(n int, f Fault) func(Request) Fault {
	return func(r Request) Fault {
		if r.Method == "PUT" && r.Nth == n {
			return f
		}
		return None
	}
}

// Store returns the store that breaks. It has the optional interfaces of the
// store behind it.
func (f *Faults) Store() storage.Store {
	return storage.Narrow(&faulty{f.inner, f}, f.inner)
}

// Requests returns how many requests of a method were made so far, so that a
// first run tells a test how many points there are to break.
func (f *Faults) Requests(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nth[method]
}

// do applies the request unless its fault says otherwise.
func (f *Faults) do(method, key string, apply func() error) error {
	fault, err := f.next(method, key)
	if err != nil {
		return err
	}
	if fault == Lost {
		return fmt.Errorf("%s %s: %w (%v)", method, key, ErrInjected, fault)
	}
	if err := apply(); err != nil || fault == None {
		return err
	}
	switch fault {
	case AppliedAgain:
		return fmt.Errorf("%s %s: %w (injected)", method, key, storage.ErrConflict)
	case Killed:
		return fmt.Errorf("%s %s: %w", method, key, ErrKilled)
	}
	return fmt.Errorf("%s %s: %w (%v)", method, key, ErrInjected, fault)
}

func (f *Faults) next(method, key string) (Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killed {
		return None, fmt.Errorf("%s %s: %w", method, key, ErrKilled)
	}
	f.n++
	f.nth[method]++
	fault := f.hook(Request{method, key, f.n, f.nth[method]})
	f.killed = fault == Killed
	return fault, nil
}

type faulty struct {
	inner storage.Store
	f     *Faults
}

func (s *faulty) Get(ctx context.Context, key string) (obj storage.Object, err error) {
	err = s.f.do("GET", key, func() (err error) {
		obj, err = s.inner.Get(ctx, key)
		return err
	})
	if err != nil && obj.Body != nil {
		obj.Body.Close()
		obj = storage.Object{}
	}
	return obj, err
}

func (s *faulty) Stat(ctx context.Context, key string) (info storage.Info, err error) {
	err = s.f.do("STAT", key, func() (err error) {
		info, err = s.inner.(storage.Stater).Stat(ctx, key)
		return err
	})
	return info, err
}

func (s *faulty) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	var v storage.Version
	err := s.f.do("PUT", key, func() (err error) {
		v, err = s.inner.Put(ctx, key, body, prev)
		return err
	})
	if err != nil {
		return storage.Absent, err
	}
	return v, nil
}

func (s *faulty) Delete(ctx context.Context, key string, prev storage.Version) error {
	return s.f.do("DELETE", key, func() error {
		return s.inner.(storage.Deleter).Delete(ctx, key, prev)
	})
}

func (s *faulty) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	list := s.inner.List(ctx, prefix)
	if err := s.f.do("LIST", prefix, func() error { return nil }); err != nil {
		return func(yield func(storage.Entry, error) bool) { yield(storage.Entry{}, err) }
	}
	return list
}

func (s *faulty) Batch() (storage.Store, func(context.Context) error, func()) {
	b, flush, discard := s.inner.(storage.Batcher).Batch()
	broken := func(ctx context.Context) error {
		return s.f.do("FLUSH", "", func() error { return flush(ctx) })
	}
	return storage.Narrow(&faulty{b, s.f}, b), broken, discard
}
