package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"time"

	"publisher/storage"
)

// This file tells of every request to a store, with --debug.

// traced tells of what is read from s.
func (a *app) traced(s storage.Getter) storage.Getter {
	if !a.flags.debug {
		return s
	}
	return tracedGetter{s, a}
}

// tracedStore tells of every request to s.
func (a *app) tracedStore(s storage.Store) storage.Store {
	if !a.flags.debug {
		return s
	}
	return storage.Narrow(tracing{tracedGetter{s, a}, s}, s)
}

type tracedGetter struct {
	storage.Getter
	app *app
}

// done tells how a request ended that began at a time.
func (t tracedGetter) done(what, key string, began time.Time, err error) {
	outcome := "ok"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		outcome = "not there"
	case errors.Is(err, storage.ErrConflict):
		outcome = "conflict"
	case err != nil:
		outcome = oneLine(err.Error())
	}
	t.app.debugf("%s %s: %s, %v", what, printable(key), outcome, time.Since(began).Round(time.Microsecond))
}

func (t tracedGetter) Get(ctx context.Context, key string) (storage.Object, error) {
	began := time.Now()
	obj, err := t.Getter.Get(ctx, key)
	t.done("get", key, began, err)
	return obj, err
}

// tracing has every optional method; Narrow takes away those that the store
// does not have.
type tracing struct {
	tracedGetter
	store storage.Store
}

func (t tracing) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	began := time.Now()
	v, err := t.store.Put(ctx, key, body, prev)
	t.done("put", key, began, err)
	return v, err
}

func (t tracing) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	t.app.debugf("list %s", printable(prefix))
	return t.store.List(ctx, prefix)
}

func (t tracing) Stat(ctx context.Context, key string) (storage.Info, error) {
	began := time.Now()
	info, err := t.store.(storage.Stater).Stat(ctx, key)
	t.done("stat", key, began, err)
	return info, err
}

func (t tracing) Delete(ctx context.Context, key string, prev storage.Version) error {
	began := time.Now()
	err := t.store.(storage.Deleter).Delete(ctx, key, prev)
	t.done("delete", key, began, err)
	return err
}

func (t tracing) Batch() (storage.Store, func(context.Context) error, func()) {
	s, flush, discard := t.store.(storage.Batcher).Batch()
	return t.app.tracedStore(s), flush, discard
}
