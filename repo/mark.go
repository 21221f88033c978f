package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/repo/strict"
	"publisher/storage"
)

// maxMark is the most bytes of a mark.
const maxMark = 4 << 20

// A CollectedError reports a target that was found in the store, and is being
// removed from it as garbage. Nothing was written. In a moment it is gone, and
// can be uploaded.
type CollectedError struct {
	Name  string
	Since time.Time // zero if the store does not say
}

func (e *CollectedError) Error() string {
	text := fmt.Sprintf("target %q is being removed by garbage collection", e.Name)
	if e.Since.IsZero() {
		return text
	}
	return text + ", since " + e.Since.UTC().Format(time.RFC3339)
}

// interruptedAfter is how old the mark of a run is that has most likely died: it
// takes seconds to remove what one names.
const interruptedAfter = 15 * time.Minute

func (e *CollectedError) interrupted(now time.Time) bool {
	return !e.Since.IsZero() && now.Sub(e.Since) > interruptedAfter
}

// mark is the form of the object that names what is about to be removed.
type mark struct {
	Collection string   `json:"collection"`
	Keys       []string `json:"keys"`
}

var markShape = strict.Object(strict.Fields{
	"collection": strict.String, "keys": strict.Array(strict.String),
}, "collection", "keys")

// writeMark marks keys. One that is there already is finished first: the error
// wraps storage.ErrConflict.
func writeMark(ctx context.Context, s storage.Store, collection string, keys []string) error {
	data, err := encodeMark(collection, keys)
	if err != nil {
		return err
	}
	key := GarbageKey(collection)
	if _, err = s.Put(ctx, key, bytes.NewReader(data), storage.Absent); err == nil {
		return nil
	}
	// Perhaps it was written and the answer was lost.
	if there, _, readErr := storage.Read(ctx, s, key, maxMark); readErr == nil && bytes.Equal(there, data) {
		return nil
	}
	return fmt.Errorf("write %s: %w", key, err)
}

func encodeMark(collection string, keys []string) ([]byte, error) {
	data, err := json.Marshal(mark{collection, keys})
	if err != nil {
		return nil, fmt.Errorf("encode mark: %w", err)
	}
	return data, nil
}

// rewriteMark writes the mark that is there again, and tells of it what the store
// says.
func rewriteMark(ctx context.Context, s storage.Store, collection string) (info storage.Info, err error) {
	key := GarbageKey(collection)
	keys, version, err := readMark(ctx, s, collection)
	if err != nil {
		return info, err
	}
	data, err := encodeMark(collection, keys)
	if err != nil {
		return info, err
	}
	if _, err := s.Put(ctx, key, bytes.NewReader(data), version); err != nil {
		return info, fmt.Errorf("write %s: %w", key, err)
	}
	return storage.Stat(ctx, s, key)
}

// readMark returns what is marked. The error wraps fs.ErrNotExist if nothing is.
func readMark(ctx context.Context, s storage.Getter, collection string) ([]string, storage.Version, error) {
	key := GarbageKey(collection)
	data, version, err := storage.Read(ctx, s, key, maxMark)
	if err != nil {
		return nil, version, err
	}
	var m mark
	if err := strict.Check(data, maxMark, markShape); err != nil {
		return nil, version, fmt.Errorf("read %s: %w", key, err)
	}
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil {
		return nil, version, fmt.Errorf("read %s: %w", key, err)
	}
	if m.Collection != collection {
		return nil, version, fmt.Errorf("read %s: it is of the collection %.255q", key, m.Collection)
	}
	return m.Keys, version, nil
}

// checkMark refuses a target whose object is marked. Between a look at the
// object and a look at the mark both may have gone: who finds no mark looks at
// the object again.
func checkMark(ctx context.Context, s storage.Getter, collection, name, key string) error {
	keys, _, err := readMark(ctx, s, collection)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case slices.Contains(keys, key):
		info, err := storage.Stat(ctx, s, GarbageKey(collection))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return &CollectedError{Name: name, Since: info.Modified}
	}
	return nil
}
