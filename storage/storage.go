// Package storage is the contract between publisher and the object stores that
// hold its collections: read, conditional write, list.
//
// There is no unconditional write. A caller reads a [Version] and writes
// against it; of any number of concurrent writers against the same Version, in
// any number of processes, exactly one succeeds. What a successful Put wrote is
// durable and visible to every later Get, Stat and List, by anyone.
//
// Errors mean the same in every driver: [fs.ErrNotExist] for a missing object,
// [ErrConflict] for a condition that did not hold, [fs.ErrPermission] for
// credentials that may not do it, [fs.ErrInvalid] for a key that no store takes,
// [ErrNoStore] for a bucket that does not exist, [ErrTooLarge] for a read over
// its cap, [ErrCorrupt] for bytes that are not those announced, [ErrDamaged] for
// an object that is no longer what was stored. Match them with [errors.Is].
// Everything else is a failure of the store or of the way to it,
// after which a write may or may not have been applied.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"
)

// A Version names one state of one object. Versions are opaque: they can be
// compared for equality and handed back to Put, nothing else.
type Version string

// Absent is the Version of an object that does not exist.
const Absent Version = ""

var (
	// ErrConflict reports that the object was not at the Version the write was
	// made against. It does not prove that somebody else wrote: a retry inside
	// a driver, after an answer was lost, meets its own write. Read back; equal
	// bytes are success.
	ErrConflict = errors.New("the object changed meanwhile")

	// ErrTooLarge reports an object larger than the reader was ready to take.
	ErrTooLarge = errors.New("the object is larger than allowed")

	// ErrCorrupt reports a body that does not have the SHA-256 or the length
	// announced for it. Nothing was stored.
	ErrCorrupt = errors.New("the content does not match its hash")

	// ErrDamaged reports an object whose bytes are not those that were stored:
	// something changed them behind the store, which keeps a checksum of what it
	// took. The Body of such an object yields all of its bytes, and this error in
	// place of io.EOF. Not every store compares, and none sees who changes the
	// checksum too: no ErrDamaged proves nothing.
	ErrDamaged = errors.New("the store does not send what was stored there")

	// ErrNoStore reports that the store itself is missing (a bucket that does
	// not exist). It is not an fs.ErrNotExist: a missing object is an answer
	// that readers act on, a missing store is a mistake in the address.
	ErrNoStore = errors.New("the store does not exist")
)

// A Store is an object store. Keys are slash-separated, relative and clean
// (see [ValidKey]). No key may be the directory of another, as a is of a/b: some
// stores cannot have both. All methods are safe for concurrent use.
type Store interface {
	// Get opens an object. The caller closes the Body, and reads no more than
	// it is ready to take: see [Read].
	Get(ctx context.Context, key string) (Object, error)

	// Put stores body under key if the object is still at version prev;
	// Absent means that it must not exist. It returns the new Version.
	//
	// Put reads body from its start, perhaps several times, and never holds
	// more than a bounded part of it. A body that is [Hashed] is stored only
	// if it has that SHA-256.
	//
	// After ErrConflict nothing was written by this call, save that a driver's
	// own retry may have met its own write. After any other error the write
	// may or may not have been applied.
	Put(ctx context.Context, key string, body io.ReadSeeker, prev Version) (Version, error)

	// List yields every object whose key starts with prefix, sorted by key
	// (bytewise). It ends after the first error it yields.
	List(ctx context.Context, prefix string) iter.Seq2[Entry, error]
}

// An Object is an open object.
type Object struct {
	Body     io.ReadCloser
	Size     int64 // in bytes, -1 if the store does not say
	Version  Version
	Modified time.Time // zero if the store does not say
	Date     time.Time // the server's clock as it answered, zero if it does not say
}

// An Entry is one object of a listing.
type Entry struct {
	Key      string
	Size     int64 // in bytes
	Modified time.Time
}

// Info describes an object without its content.
type Info struct {
	Size     int64 // in bytes, -1 if the store does not say
	Version  Version
	Modified time.Time
	Date     time.Time // the server's clock as it answered, zero if it does not say
	SHA256   []byte    // nil unless the store itself vouches for it
}

// A Stater can describe an object without a download. Stat returns an error
// wrapping [fs.ErrNotExist] for a missing object.
type Stater interface {
	Stat(ctx context.Context, key string) (Info, error)
}

// A Deleter can remove an object that is still at version prev. Deleting a
// missing object returns an error wrapping [fs.ErrNotExist], another version
// ErrConflict. A store without conditional deletes compares first and may race:
// Delete is for objects that nobody else writes.
type Deleter interface {
	Delete(ctx context.Context, key string, prev Version) error
}

// A Batcher shares the cost of durability among many writes. Puts to the
// returned Store may become durable and visible only when flush returns nil;
// conflicts may surface in flush too, which then still writes all the rest, and
// returns an error wrapping ErrConflict. A batch that is not flushed leaves
// nothing visible; discard frees what it holds and may be called after flush.
type Batcher interface {
	Batch() (s Store, flush func(context.Context) error, discard func())
}

// Hashed is a body that knows its SHA-256 and length beforehand, so that a
// driver can have the server check them without reading the body twice.
type Hashed interface {
	io.ReadSeeker
	SHA256() []byte
	Len() int64
}

// WithSHA256 returns body with a SHA-256 and a length that are known already.
func WithSHA256(body io.ReadSeeker, sum []byte, length int64) Hashed {
	return &hashed{body, sum, length}
}

type hashed struct {
	io.ReadSeeker
	sum    []byte
	length int64
}

func (h *hashed) SHA256() []byte { return h.sum }
func (h *hashed) Len() int64     { return h.length }

// Getter is the part of a Store that readers need.
type Getter interface {
	Get(ctx context.Context, key string) (Object, error)
}

// readTime is how long Read waits for an object: metadata is small, and who
// serves it a byte at a time would have a client wait for days.
const readTime = time.Minute

// Read returns the whole object, and fails with ErrTooLarge if it has more than
// max bytes, with io.ErrUnexpectedEOF if it has fewer than the store announced,
// with context.DeadlineExceeded if it is not there within a minute.
//
// With ErrDamaged it returns the bytes that came, for those who can tell what
// they are worth. That is what the object is, and not one version's bytes beside
// another's checksum, as a server may send while the object is replaced: it was
// read twice.
func Read(ctx context.Context, s Getter, key string, max int64) ([]byte, Version, error) {
	limited, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	data, v, err := read(limited, s, key, max)
	if errors.Is(err, ErrDamaged) {
		data, v, err = read(limited, s, key, max)
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		// What the driver says is how its request ended, and not always why.
		return nil, Absent, fmt.Errorf("read %s: the store is too slow, not done after %v: %w", key, readTime, limited.Err())
	}
	return data, v, err
}

func read(ctx context.Context, s Getter, key string, max int64) ([]byte, Version, error) {
	obj, err := s.Get(ctx, key)
	if err != nil {
		return nil, Absent, err
	}
	defer obj.Body.Close()
	if obj.Size > max {
		return nil, Absent, fmt.Errorf("read %s: %w: %d bytes, at most %d expected", key, ErrTooLarge, obj.Size, max)
	}
	data, err := io.ReadAll(io.LimitReader(obj.Body, max+1))
	switch {
	case int64(len(data)) > max:
		return nil, Absent, fmt.Errorf("read %s: %w: more than %d bytes", key, ErrTooLarge, max)
	case errors.Is(err, ErrDamaged):
		return data, obj.Version, fmt.Errorf("read %s: %w", key, err)
	case err != nil:
		return nil, Absent, fmt.Errorf("read %s: %w", key, err)
	case obj.Size >= 0 && int64(len(data)) != obj.Size:
		return nil, Absent, fmt.Errorf("read %s: %w: %d bytes of %d", key, io.ErrUnexpectedEOF, len(data), obj.Size)
	}
	return data, obj.Version, nil
}

// ValidKey reports whether key is one a Store takes: relative, without empty,
// "." or ".." elements, backslashes or control characters, at most 1024 bytes.
func ValidKey(key string) bool {
	if !fs.ValidPath(key) || key == "." || len(key) > 1024 || strings.Contains(key, `\`) {
		return false
	}
	for _, r := range key {
		if r < 0x20 || r == 0x7f {
			return false
		}
	}
	return true
}

// CacheControl returns the Cache-Control header under which an object is
// stored and served: timestamp.json is the only object that is ever replaced.
func CacheControl(key string) string {
	if strings.HasSuffix("/"+key, "/timestamp.json") {
		return "no-cache"
	}
	return "public, max-age=31536000, immutable"
}

// ContentType returns the Content-Type header under which an object is stored
// and served.
func ContentType(key string) string {
	switch {
	case strings.Contains("/"+key, "/targets/"):
		return "application/octet-stream"
	case strings.HasSuffix(key, ".html"):
		return "text/html; charset=utf-8"
	case strings.HasSuffix(key, ".json"):
		return "application/json"
	}
	return "application/octet-stream"
}

// Stat describes an object, by a Stater's own means or by opening it.
func Stat(ctx context.Context, s Getter, key string) (Info, error) {
	if s, ok := s.(Stater); ok {
		return s.Stat(ctx, key)
	}
	obj, err := s.Get(ctx, key)
	if err != nil {
		return Info{}, err
	}
	return Info{Size: obj.Size, Version: obj.Version, Modified: obj.Modified, Date: obj.Date}, obj.Body.Close()
}
