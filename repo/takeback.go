package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"publisher/storage"
)

// TakeBack takes a submission out of the inbox before it is answered, and those
// of its parts that no other one waits with: from parts alone whoever may write
// the inbox can make it again. It wraps fs.ErrNotExist if it is not there, and
// fs.ErrPermission for those who may not take it away. Whole is false if parts
// had to stay. Whoever commits may have read it by then, and goes on.
func (b Inbox) TakeBack(ctx context.Context, name string) (whole bool, err error) {
	d, ok := b.Store.(storage.Deleter)
	if !ok {
		return false, fmt.Errorf("the inbox cannot delete objects: %w", fs.ErrPermission)
	}
	key := SubmissionKey(b.Collection, name)
	data, version, err := storage.Read(ctx, b.Store, key, maxManifest)
	if err != nil {
		return false, err
	}
	if err := d.Delete(ctx, key, version); err != nil {
		return false, err
	}
	m, err := b.manifest(data)
	if err != nil {
		return true, nil // it would have been refused
	}
	wanted, err := b.wanted(ctx)
	if err != nil {
		return false, fmt.Errorf("look for what else waits with its parts: %w", err)
	}
	for _, sum := range m.Parts {
		key := PartKey(b.Collection, sum)
		if wanted[key] {
			continue
		}
		if err := b.drop(ctx, d, key); errors.Is(err, fs.ErrPermission) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}

// drop deletes an object, which may be gone.
func (b Inbox) drop(ctx context.Context, d storage.Deleter, key string) error {
	info, err := storage.Stat(ctx, b.Store, key)
	if err == nil {
		err = d.Delete(ctx, key, info.Version)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
