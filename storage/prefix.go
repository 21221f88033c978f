package storage

import (
	"context"
	"io"
	"iter"
	"strings"
)

// Prefix returns a view of s in which every key lies below prefix, as in a
// directory of that name. It has the optional interfaces that s has; an empty
// prefix returns s. Slashes around prefix do not matter. Errors of s name the
// whole key.
func Prefix(s Store, prefix string) Store {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return s
	}
	return Narrow(&prefixed{s, prefix + "/"}, s)
}

type prefixed struct {
	inner  Store
	prefix string // ends in a slash
}

// key checks before it joins: the slash of an invalid key such as "" must not
// make a valid one of it.
func (p *prefixed) key(key string) (string, error) {
	return p.prefix + key, CheckKey(key)
}

func (p *prefixed) Get(ctx context.Context, key string) (Object, error) {
	full, err := p.key(key)
	if err != nil {
		return Object{}, err
	}
	return p.inner.Get(ctx, full)
}

func (p *prefixed) Put(ctx context.Context, key string, body io.ReadSeeker, prev Version) (Version, error) {
	full, err := p.key(key)
	if err != nil {
		return Absent, err
	}
	return p.inner.Put(ctx, full, body, prev)
}

func (p *prefixed) List(ctx context.Context, prefix string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if after := After(ctx); after != "" {
			ctx = context.WithValue(ctx, afterKey{}, p.prefix+after)
		}
		for e, err := range p.inner.List(ctx, p.prefix+prefix) {
			e.Key = strings.TrimPrefix(e.Key, p.prefix)
			if !yield(e, err) {
				return
			}
		}
	}
}

func (p *prefixed) Stat(ctx context.Context, key string) (Info, error) {
	full, err := p.key(key)
	if err != nil {
		return Info{}, err
	}
	return p.inner.(Stater).Stat(ctx, full)
}

func (p *prefixed) Delete(ctx context.Context, key string, prev Version) error {
	full, err := p.key(key)
	if err != nil {
		return err
	}
	return p.inner.(Deleter).Delete(ctx, full, prev)
}

func (p *prefixed) Batch() (Store, func(context.Context) error, func()) {
	s, flush, discard := p.inner.(Batcher).Batch()
	return Prefix(s, p.prefix), flush, discard
}
