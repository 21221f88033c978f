package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Memory is a Store in memory, for tests and rehearsals. It is a Stater that
// vouches for SHA-256, and a Deleter. Its Versions never repeat.
type Memory struct {
	Now func() time.Time // stamps objects; not to be changed once in use

	// Date, if set, is the server's clock that answers tell.
	Date func() time.Time

	mu      sync.Mutex
	objects map[string]memoryObject
	writes  int
}

type memoryObject struct {
	data     []byte // never changed
	version  Version
	modified time.Time
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{Now: time.Now, objects: map[string]memoryObject{}}
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string) (Object, error) {
	o, err := m.lookup(ctx, key)
	if err != nil {
		return Object{}, fmt.Errorf("get %s: %w", key, err)
	}
	body := io.NopCloser(bytes.NewReader(o.data))
	return Object{Body: body, Size: int64(len(o.data)), Version: o.version, Modified: o.modified, Date: m.date()}, nil
}

// Stat implements Stater.
func (m *Memory) Stat(ctx context.Context, key string) (Info, error) {
	o, err := m.lookup(ctx, key)
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	sum := sha256.Sum256(o.data)
	return Info{Size: int64(len(o.data)), Version: o.version, Modified: o.modified, Date: m.date(), SHA256: sum[:]}, nil
}

// tell is what a server does with every answer.
func (m *Memory) tell(ctx context.Context) { TellDate(ctx, m.date()) }

func (m *Memory) date() time.Time {
	if m.Date == nil {
		return time.Time{}
	}
	return m.Date()
}

func (m *Memory) lookup(ctx context.Context, key string) (memoryObject, error) {
	if err := start(ctx, key); err != nil {
		return memoryObject{}, err
	}
	m.tell(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return memoryObject{}, fs.ErrNotExist
	}
	return o, nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, body io.ReadSeeker, prev Version) (Version, error) {
	if err := start(ctx, key); err != nil {
		return Absent, fmt.Errorf("put %s: %w", key, err)
	}
	r, err := NewBodyReader(ctx, body)
	if err != nil {
		return Absent, fmt.Errorf("put %s: %w", key, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return Absent, fmt.Errorf("put %s: %w", key, err)
	}
	m.tell(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects[key].version != prev {
		return Absent, fmt.Errorf("put %s: %w", key, ErrConflict)
	}
	m.writes++
	v := Version(strconv.Itoa(m.writes))
	m.objects[key] = memoryObject{data, v, m.Now()}
	return v, nil
}

// Delete implements Deleter.
func (m *Memory) Delete(ctx context.Context, key string, prev Version) error {
	if err := start(ctx, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	m.tell(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch o, ok := m.objects[key]; {
	case !ok:
		return fmt.Errorf("delete %s: %w", key, fs.ErrNotExist)
	case o.version != prev:
		return fmt.Errorf("delete %s: %w", key, ErrConflict)
	}
	delete(m.objects, key)
	return nil
}

// List implements Store. It yields what was there when it started.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		m.tell(ctx)
		for _, e := range m.entries(prefix) {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if e.Key > After(ctx) && !yield(e, nil) {
				return
			}
		}
	}
}

func (m *Memory) entries(prefix string) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Entry
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(key, prefix) {
			o := m.objects[key]
			list = append(list, Entry{key, int64(len(o.data)), o.modified})
		}
	}
	return list
}

func start(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return CheckKey(key)
}
