package forge

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/storage"
)

// Highest is the highest version that TUF clients read.
const Highest = 1<<53 - 1

// ReadRing reads the keys of a trust directory that are not encrypted.
func ReadRing(trustDir string) (Ring, error) {
	files, err := filepath.Glob(filepath.Join(trustDir, "private", "*.key"))
	if err != nil {
		return nil, err
	}
	ring := Ring{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all, err := keys.Decode(data, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		key, err := all[0].Public()
		if err != nil {
			return nil, err
		}
		ring[key.ID()] = all[0].Signer
	}
	return ring, nil
}

// Announce is what a thief of the timestamp key does who can also write the
// store: the published timestamp again, with another version.
func Announce(ctx context.Context, store storage.Store, collection string, ring repo.Keyring, version int64) error {
	key := repo.TimestampKey(collection)
	data, there, err := storage.Read(ctx, store, key, repo.MaxTimestamp)
	if err != nil {
		return err
	}
	old, err := tuf.Parse[tuf.Timestamp](data, repo.MaxTimestamp)
	if err != nil {
		return err
	}
	next := old.Signed
	next.Version = version
	f, err := again(ctx, ring, tuf.RoleTimestamp, next, old.Signatures)
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, key, bytes.NewReader(f.Bytes()), there)
	return err
}

// again is a file with the next content, signed with the keys that signed the
// content before.
func again[T tuf.Content](ctx context.Context, ring repo.Keyring, role string, next T, by []tuf.Signature) (*tuf.File[T], error) {
	f, err := tuf.New(next)
	if err != nil {
		return nil, err
	}
	for _, s := range by {
		signer, err := ring.Signer(ctx, role, s.KeyID)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", s.KeyID, err)
		}
		sig, err := signer.SignMessage(bytes.NewReader(f.Payload()))
		if err != nil {
			return nil, err
		}
		if err := f.AddSignature(s.KeyID, sig); err != nil {
			return nil, err
		}
	}
	return f, nil
}
