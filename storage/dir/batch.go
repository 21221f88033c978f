package dir

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"publisher/storage"
)

// Batch implements storage.Batcher. Its Puts become durable together, and then
// visible: after a crash or an error, some are there and the others are not,
// and none is there in part. A flush goes on over conflicts, and returns all
// of them.
func (s *Store) Batch() (storage.Store, func(context.Context) error, func()) {
	b := &batch{Store: s}
	return b, b.flush, b.discard
}

// A batch reads from the store itself: what it holds is not there yet.
type batch struct {
	*Store

	mu   sync.Mutex
	sess *session // nil before the first Put and after the flush
	objs []*staged
}

// Stat implements storage.Stater, with the directory that the batch has open: it
// is asked for each of many objects.
func (b *batch) Stat(ctx context.Context, key string) (storage.Info, error) {
	info, err := b.stat(ctx, key)
	if err != nil {
		return storage.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return storage.Info{Size: info.Size(), Version: version(info), Modified: info.ModTime()}, nil
}

func (b *batch) stat(ctx context.Context, key string) (fs.FileInfo, error) {
	if err := checkKey(ctx, key); err != nil {
		return nil, err
	}
	sess, err := b.join(ctx)
	if err != nil {
		return nil, err
	}
	info, err := current(sess.root, key)
	if err == nil && (info == nil || !info.Mode().IsRegular()) {
		err = fs.ErrNotExist
	}
	return info, err
}

// Put implements storage.Store. It writes to a temporary file only.
func (b *batch) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	v, err := b.put(ctx, key, body, prev)
	if err != nil {
		return storage.Absent, fmt.Errorf("put %s: %w", key, err)
	}
	return v, nil
}

func (b *batch) put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if err := checkKey(ctx, key); err != nil {
		return storage.Absent, err
	}
	sess, err := b.join(ctx)
	if err != nil {
		return storage.Absent, err
	}
	obj, err := sess.stage(ctx, key, body, prev, syncLater)
	if err != nil {
		return storage.Absent, err
	}
	if err := sess.settle(obj); err != nil {
		sess.drop(obj)
		return storage.Absent, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objs = append(b.objs, obj)
	return version(obj.info), nil
}

func (b *batch) join(ctx context.Context) (*session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sess == nil {
		sess, err := b.begin(ctx)
		if err != nil {
			return nil, err
		}
		b.sess = sess
	}
	return b.sess, nil
}

// many is how many objects make it cheaper to sync the file system once more
// than each of their directories: it waits for what others have written, too.
const many = 32

func (b *batch) flush(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sess == nil {
		return ctx.Err()
	}
	objs := b.objs
	defer b.drop()
	if len(objs) == 0 {
		return ctx.Err()
	}
	if err := syncAll(b.sess.dir); err != nil {
		return fmt.Errorf("make a batch of %d objects durable: %w", len(objs), err)
	}
	if err := b.place(ctx, b.sess, objs, len(objs) >= many); err != nil {
		return fmt.Errorf("place a batch of %d objects: %w", len(objs), err)
	}
	return nil
}

func (b *batch) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sess != nil {
		b.drop()
	}
}

// drop removes what was not placed and leaves the session.
func (b *batch) drop() {
	for _, obj := range b.objs {
		b.sess.drop(obj)
	}
	b.sess, b.objs = nil, nil
	b.end()
}
