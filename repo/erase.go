package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"

	"publisher/internal/parallel"
	"publisher/repo/tuf"
	"publisher/storage"
)

// ErrNoDelete reports a store whose driver cannot remove objects.
var ErrNoDelete = errors.New("the store cannot remove objects")

// An Eraser removes all of a collection from its stores: what is published, and
// what an online signer's inbox has of it.
//
// First go the submissions, so that no signer publishes it anew, and the signer's
// note that it was published, so that it is not missed; then timestamp.json,
// without which a client finds a clean end and a signer nothing to refresh; then
// everything else, the first root last. Until that is gone nobody can make a new
// collection of the same name, which would lie among the remains of the old one.
// Whatever interrupts it, to run it again goes on.
type Eraser struct {
	Store      storage.Store
	Inbox      storage.Store // nil if there is none
	Collection string

	// OnlineKeys lets the private keys of the online signer go, too.
	OnlineKeys bool

	// Removing, if set, is told of every object that is gone. It is called by
	// several goroutines.
	Removing func()

	gone atomic.Int64
}

// eraseRounds is how often the stores are listed: who was at work when
// timestamp.json went may have written since.
const eraseRounds = 3

// Erase returns how many objects are gone. It fails with ErrNoDelete before
// anything is removed.
func (e *Eraser) Erase(ctx context.Context) (int, error) {
	for _, store := range e.stores() {
		if _, ok := store.(storage.Deleter); !ok {
			return 0, ErrNoDelete
		}
	}
	err := e.eraseAll(ctx)
	return int(e.gone.Load()), err
}

func (e *Eraser) stores() []storage.Store {
	if e.Inbox == nil {
		return []storage.Store{e.Store}
	}
	return []storage.Store{e.Store, e.Inbox}
}

func (e *Eraser) eraseAll(ctx context.Context) error {
	if err := e.announce(ctx); err != nil {
		return err
	}
	if err := e.erase(ctx, e.Store, TimestampKey(e.Collection)); err != nil {
		return err
	}
	for _, dir := range []string{TargetsDir(e.Collection) + "/", MetadataDir(e.Collection) + "/"} {
		if err := e.eraseBelow(ctx, e.Store, dir, SlotKey(e.Collection, tuf.RoleRoot, 1)); err != nil {
			return err
		}
	}
	if err := e.eraseInbox(ctx); err != nil {
		return err
	}
	return e.erase(ctx, e.Store, SlotKey(e.Collection, tuf.RoleRoot, 1))
}

// announce lets the online signer know: without submissions it publishes
// nothing, and without its note it does not miss what will be gone.
func (e *Eraser) announce(ctx context.Context) error {
	if e.Inbox == nil {
		return nil
	}
	if err := e.eraseBelow(ctx, e.Inbox, SubmissionsDir(e.Collection)); err != nil {
		return err
	}
	return e.erase(ctx, e.Inbox, PublishedKey(e.Collection))
}

// eraseInbox removes what is left there, also of what the signer has written
// while it was at work.
func (e *Eraser) eraseInbox(ctx context.Context) error {
	if e.Inbox == nil {
		return nil
	}
	if err := e.announce(ctx); err != nil {
		return err
	}
	if e.OnlineKeys {
		if err := e.erase(ctx, e.Inbox, KnownKey(e.Collection)); err != nil {
			return err
		}
	}
	for _, dir := range privateDirs(e.Collection, e.OnlineKeys) {
		if err := e.eraseBelow(ctx, e.Inbox, dir); err != nil {
			return err
		}
	}
	return nil
}

// eraseBelow removes every object below a directory but those spared, until no
// more come.
func (e *Eraser) eraseBelow(ctx context.Context, store storage.Store, dir string, spared ...string) error {
	for range eraseRounds {
		var keys []string
		for entry, err := range store.List(ctx, dir) {
			if err != nil {
				return fmt.Errorf("list %s: %w", dir, err)
			}
			if !slices.Contains(spared, entry.Key) {
				keys = append(keys, entry.Key)
			}
		}
		if len(keys) == 0 {
			return nil
		}
		err := parallel.Each(ctx, removeAtOnce, len(keys), func(ctx context.Context, i int) error {
			return e.erase(ctx, store, keys[i])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// erase removes one object, whatever its version. That it is not there is
// success.
func (e *Eraser) erase(ctx context.Context, store storage.Store, key string) error {
	for range maxRaces {
		info, err := storage.Stat(ctx, store, key)
		if err == nil {
			err = store.(storage.Deleter).Delete(ctx, key, info.Version)
		}
		switch {
		case err == nil:
			e.gone.Add(1)
			if e.Removing != nil {
				e.Removing()
			}
			return nil
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, storage.ErrConflict):
			return fmt.Errorf("remove %s: %w", key, err)
		}
	}
	return fmt.Errorf("remove %s: %w, %d times in a row", key, storage.ErrConflict, maxRaces)
}
