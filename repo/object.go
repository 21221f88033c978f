package repo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"publisher/repo/tuf"
	"publisher/storage"
)

// isWrecked reports whether an object is there and nobody can have stored it for
// what it is to be: it is too large, or was changed behind the store.
func isWrecked(err error) bool {
	return errors.Is(err, storage.ErrTooLarge) || errors.Is(err, storage.ErrDamaged)
}

// compareObject compares a target's object with its listing: by what the store
// says of it, and by its bytes if deep asks for that or the store does not even
// say how many there are. What is wrong with the object is one result; err is
// of the way to it, or wraps fs.ErrNotExist.
func compareObject(ctx context.Context, s storage.Getter, key, name string, file tuf.TargetFile, deep bool) (info storage.Info, wrong, err error) {
	if info, err = storage.Stat(ctx, s, key); err != nil {
		return info, nil, err
	}
	if info.Size >= 0 {
		if wrong = compareInfo(info, name, file); wrong != nil || !deep {
			return info, wrong, nil
		}
	}
	wrong, err = compareBytes(ctx, s, key, name, file)
	return info, wrong, err
}

func compareInfo(info storage.Info, name string, file tuf.TargetFile) error {
	if info.Size != file.Length {
		return fmt.Errorf("target %q has %d bytes in the store, not %d", name, info.Size, file.Length)
	}
	want, listed := file.Hashes["sha256"] // some makers list a sha512 alone
	if sum := fmt.Sprintf("%x", info.SHA256); listed && info.SHA256 != nil && sum != want {
		return fmt.Errorf("target %q has the sha256 %s in the store, not %s", name, sum, want)
	}
	return nil
}

// compareBytes reads no more than is listed, and a byte.
func compareBytes(ctx context.Context, s storage.Getter, key, name string, file tuf.TargetFile) (wrong, err error) {
	digest, wrong := NewDigest(file.Hashes)
	if wrong != nil {
		return wrong, nil
	}
	obj, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer obj.Body.Close()
	_, err = io.Copy(digest, io.LimitReader(obj.Body, file.Length+1))
	damaged := errors.Is(err, storage.ErrDamaged)
	if err != nil && !damaged {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	switch n := digest.Len(); {
	case n < file.Length:
		return fmt.Errorf("target %q has %d bytes in the store, not %d", name, n, file.Length), nil
	case n > file.Length:
		return fmt.Errorf("target %q has more than %d bytes in the store", name, file.Length), nil
	}
	if wrong = digest.Check(); wrong == nil && damaged {
		// Then it is the checksum that was changed, and clients that compare it fail.
		wrong = fmt.Errorf("target %q: %w", name, err)
	}
	return wrong, nil
}
