package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/go-json-experiment/json"

	"publisher/repo"
	"publisher/repo/strict"
	"publisher/repo/tuf"
	"publisher/storage"
)

// seen is the versions that a commit has published last. What refreshes have
// signed since is not in it: that would be a write more for each.
type seen struct {
	Root      int64 `json:"root"`
	Timestamp int64 `json:"timestamp"`
}

var seenShape = strict.Object(strict.Fields{"root": strict.Int, "timestamp": strict.Int}, "root", "timestamp")

// after reports whether s is newer: a root may have the versions of other roles
// begin anew.
func (s seen) after(old seen) bool {
	return s.Root > old.Root || s.Root == old.Root && s.Timestamp > old.Timestamp
}

// A lostError reports that the public store has less than the signer has
// published.
type lostError struct {
	has, had int64 // version; has is 0 if there is none
}

func (e *lostError) Error() string {
	if e.has == 0 {
		return fmt.Sprintf("it is gone; version %d was there before", e.had)
	}
	return fmt.Sprintf("version %d, but version %d was there before", e.has, e.had)
}

// lost is a lostError about a file.
func lost(file string, has, had int64) error {
	return &repo.VerifyError{File: file, Err: &lostError{has, had}}
}

// readSeen reads the note on a collection; that there is none is no error.
func (s *Signer) readSeen(ctx context.Context, collection string) (last seen, version storage.Version, err error) {
	key := repo.PublishedKey(collection)
	data, version, err := storage.Read(ctx, s.private, key, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{}, storage.Absent, nil
	}
	if err != nil {
		return seen{}, version, err
	}
	if err = strict.Check(data, maxNote, seenShape); err == nil {
		err = json.Unmarshal(data, &last)
	}
	if err != nil {
		return seen{}, version, fmt.Errorf("read %s: %w", key, err)
	}
	return last, version, nil
}

// remember notes what is published, for signers that start later. Without the
// note they believe the public store what it shows them.
func (s *Signer) remember(ctx context.Context, collection string, c *cache) {
	root, ts := cached[tuf.Root](c, tuf.RoleRoot), cached[tuf.Timestamp](c, tuf.RoleTimestamp)
	if root == nil || ts == nil {
		return
	}
	if err := s.writeSeen(ctx, collection, c, seen{root.Signed.Version, ts.Signed.Version}); err != nil {
		s.Log.Warn("note not written", "key", repo.PublishedKey(collection), "error", err.Error())
	}
}

// writeSeen never replaces a note by an older one.
func (s *Signer) writeSeen(ctx context.Context, collection string, c *cache, now seen) (err error) {
	text, err := json.Marshal(now, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode note: %w", err)
	}
	const tries = 3
	for range tries {
		last, version := c.lastSeen()
		if !now.after(last) {
			return nil
		}
		if version, err = s.private.Put(ctx, repo.PublishedKey(collection), strings.NewReader(string(text)), version); err == nil {
			c.see(now, version)
			return nil
		}
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		there, version, readErr := s.readSeen(ctx, collection)
		if readErr != nil {
			return readErr
		}
		c.see(there, version)
	}
	return err
}

// newer is the public store as a signer reads it that has seen a collection
// before: a store that was rolled back does not pass for the present one. TUF
// has clients do the same; specification, sections 5.3 and 5.4.3.
type newer struct {
	storage.Store
	collection string
	seen       seen
}

// above returns s with older versions of a collection than were seen refused.
func above(s storage.Store, collection string, last seen) storage.Store {
	return storage.Narrow(&newer{s, collection, last}, s)
}

func (n *newer) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := n.Store.Get(ctx, key)
	if key == repo.TimestampKey(n.collection) {
		return n.timestamp(ctx, obj, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return obj, n.missing(key, err)
	}
	return obj, err
}

// missing: a root that was published is not missing because it is the next.
func (n *newer) missing(key string, err error) error {
	name, ok := strings.CutPrefix(key, repo.MetadataDir(n.collection)+"/")
	if role, version, slot := repo.ParseSlot(name); ok && slot && role == tuf.RoleRoot && version <= n.seen.Root {
		return lost(name, 0, version)
	}
	return err
}

// timestamp passes on timestamp.json unless it is older than was seen. Below a
// newer root it may be: that may have replaced the keys, which has versions
// begin anew.
func (n *newer) timestamp(ctx context.Context, obj storage.Object, err error) (storage.Object, error) {
	if errors.Is(err, fs.ErrNotExist) && n.seen.Timestamp > 0 {
		return obj, lost("timestamp.json", 0, n.seen.Timestamp)
	}
	if err != nil {
		return obj, err
	}
	defer obj.Body.Close()
	data, err := io.ReadAll(io.LimitReader(obj.Body, repo.MaxTimestamp+1))
	if err != nil {
		return storage.Object{}, fmt.Errorf("read timestamp.json: %w", err)
	}
	ts, parseErr := tuf.Parse[tuf.Timestamp](data, repo.MaxTimestamp)
	if parseErr == nil && ts.Signed.Version < n.seen.Timestamp {
		_, err := storage.Stat(ctx, n.Store, repo.SlotKey(n.collection, tuf.RoleRoot, n.seen.Root+1))
		if errors.Is(err, fs.ErrNotExist) {
			err = lost("timestamp.json", ts.Signed.Version, n.seen.Timestamp)
		}
		if err != nil {
			return storage.Object{}, err
		}
	}
	obj.Body = io.NopCloser(bytes.NewReader(data))
	return obj, nil
}

// Stat implements storage.Stater where the store behind it does.
func (n *newer) Stat(ctx context.Context, key string) (storage.Info, error) {
	return n.Store.(storage.Stater).Stat(ctx, key)
}

// Delete implements storage.Deleter where the store behind it does.
func (n *newer) Delete(ctx context.Context, key string, prev storage.Version) error {
	return n.Store.(storage.Deleter).Delete(ctx, key, prev)
}

// Batch implements storage.Batcher where the store behind it does.
func (n *newer) Batch() (storage.Store, func(context.Context) error, func()) {
	s, flush, discard := n.Store.(storage.Batcher).Batch()
	return above(s, n.collection, n.seen), flush, discard
}
