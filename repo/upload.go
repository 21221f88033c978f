package repo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"publisher/internal/parallel"
	"publisher/storage"
)

// uploads is how many targets are sent at once.
const uploads = 8

// upload sends the targets that the store lacks. On a store that can share the
// cost of durability they all become visible together, at the end.
func (p *Publisher) upload(ctx context.Context, plan *Plan) error {
	if len(plan.uploads) == 0 {
		return nil
	}
	store, flush := p.Store, func(context.Context) error { return nil }
	if b, ok := p.Store.(storage.Batcher); ok {
		var discard func()
		store, flush, discard = b.Batch()
		defer discard()
	}
	err := parallel.Each(ctx, uploads, len(plan.uploads), func(ctx context.Context, i int) error {
		c := plan.uploads[i]
		if err := p.uploadOne(ctx, store, c); err != nil {
			return &ChangeError{Change: c, Err: err}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = flush(ctx)
	if errors.Is(err, storage.ErrConflict) {
		// Another publisher of some of the same files. The rest is in place.
		err = p.checkUploads(ctx, plan)
	}
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return nil
}

func (p *Publisher) checkUploads(ctx context.Context, plan *Plan) error {
	for _, c := range plan.uploads {
		err := p.compare(ctx, p.Store, c)
		if errors.Is(err, fs.ErrNotExist) {
			err = p.place(ctx, p.Store, c, &counted{seen: c.Target.Length})
		}
		if err != nil {
			return &ChangeError{Change: c, Err: err}
		}
	}
	return nil
}

// compare looks at what the store has instead of what would be sent.
func (p *Publisher) compare(ctx context.Context, store storage.Store, c Change) error {
	_, wrong, err := compareObject(ctx, store, p.key(c), c.Name, c.Target, false)
	if err != nil {
		return err
	}
	return wrong
}

func (p *Publisher) key(c Change) string {
	return TargetKey(p.Collection, c.Name, c.Target.Hashes["sha256"])
}

func (p *Publisher) uploadOne(ctx context.Context, store storage.Store, c Change) error {
	err := p.compare(ctx, store, c)
	if errors.Is(err, fs.ErrNotExist) {
		return p.place(ctx, store, c, &counted{tell: p.uploading})
	}
	p.uploading(c.Target.Length)
	return err
}

// place sends what the store lacks.
func (p *Publisher) place(ctx context.Context, store storage.Store, c Change, body *counted) error {
	for tries := 1; ; tries++ {
		err := p.send(ctx, store, c, body)
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		// Another publisher of the same file, or our own lost answer; or a store
		// that says so of two writers of whom none succeeds.
		there := p.compare(ctx, p.Store, c)
		if !errors.Is(there, fs.ErrNotExist) {
			return there
		}
		if tries == maxTries {
			return err
		}
	}
}

// ErrFileChanged reports a file that is not what it was when it was staged.
var ErrFileChanged = errors.New("the file has changed since it was staged")

func (p *Publisher) send(ctx context.Context, store storage.Store, c Change, body *counted) error {
	opened, err := p.Open(c)
	if err != nil {
		return err
	}
	defer opened.Close()
	body.Body, body.at = opened, 0
	sum, err := hex.DecodeString(c.Target.Hashes["sha256"])
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, p.key(c), storage.WithSHA256(body, sum, c.Target.Length), storage.Absent)
	if errors.Is(err, storage.ErrCorrupt) {
		return ErrFileChanged
	}
	return err
}

func (p *Publisher) uploading(n int64) {
	if p.Uploading != nil {
		p.Uploading(n)
	}
}

// counted tells of the bytes that pass for the first time: a body may be read
// again, by a driver or for another try.
type counted struct {
	Body
	tell     func(int64)
	at, seen int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Body.Read(p)
	if c.at += int64(n); c.at > c.seen {
		c.tell(c.at - c.seen)
		c.seen = c.at
	}
	return n, err
}

func (c *counted) Seek(offset int64, whence int) (int64, error) {
	at, err := c.Body.Seek(offset, whence)
	if err == nil {
		c.at = at
	}
	return at, err
}

// Acknowledged returns s, a Stater, with a memory: Stat of an object that was
// Put through it is answered without a request. A Put that succeeded says all
// that Stat could: the object is there, durable, with the SHA-256 that went
// along.
func Acknowledged(s storage.Store) storage.Store {
	return storage.Narrow(&acknowledged{s, &known{infos: map[string]storage.Info{}}}, s)
}

type known struct {
	mu    sync.Mutex
	infos map[string]storage.Info
}

func (k *known) get(key string) (storage.Info, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, ok := k.infos[key]
	return info, ok
}

func (k *known) add(key string, info storage.Info) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.infos[key] = info
}

type acknowledged struct {
	storage.Store
	known *known
}

func (a *acknowledged) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	version, err := a.Store.Put(ctx, key, body, prev)
	if h, ok := body.(storage.Hashed); ok && err == nil {
		a.known.add(key, storage.Info{Size: h.Len(), SHA256: h.SHA256(), Version: version})
	}
	return version, err
}

func (a *acknowledged) Stat(ctx context.Context, key string) (storage.Info, error) {
	if info, ok := a.known.get(key); ok {
		return info, nil
	}
	return storage.Stat(ctx, a.Store, key)
}

func (a *acknowledged) Delete(ctx context.Context, key string, prev storage.Version) error {
	return a.Store.(storage.Deleter).Delete(ctx, key, prev)
}

// Batch remembers what is put into the batch once that is flushed.
func (a *acknowledged) Batch() (storage.Store, func(context.Context) error, func()) {
	s, flush, discard := a.Store.(storage.Batcher).Batch()
	batch := &acknowledged{s, &known{infos: map[string]storage.Info{}}}
	return storage.Narrow(batch, s), func(ctx context.Context) error {
		if err := flush(ctx); err != nil {
			return err
		}
		for key, info := range batch.known.infos {
			a.known.add(key, info)
		}
		return nil
	}, discard
}
