package lambda

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// refresh signs what is due of one collection; a patient one what is urgent.
// That nothing is due, it finds out with one read, from what timestamp.json says
// of itself. That is unverified: whoever could forge it could as well put back
// an old one.
func (s *Signer) refresh(ctx context.Context, collection string, patient bool, t *tally) (err error) {
	defer caught(&err)
	t.add(func(c *Counts) { c.Collections++ })
	name := repo.TimestampKey(collection)
	data, version, err := storage.Read(ctx, s.public, name, repo.MaxTimestamp)
	if errors.Is(err, fs.ErrNotExist) {
		return s.missing(ctx, collection)
	}
	if err != nil {
		return err
	}
	if ts, err := tuf.Parse[tuf.Timestamp](data, repo.MaxTimestamp); err == nil {
		s.metrics.expiry(collection, tuf.RoleTimestamp, ts.Signed.Expires.Sub(s.Now()))
		if s.Now().Before(ts.Signed.Publisher.RefreshAfter) && s.Now().Before(ts.Signed.Expires) {
			return nil
		}
	}
	return s.refreshDue(ctx, collection, &primed{Store: s.public, name: name, data: data, version: version}, patient, t)
}

func (s *Signer) refreshDue(ctx context.Context, collection string, store storage.Store, patient bool, t *tally) error {
	started := s.Now()
	known, err := s.known(ctx, collection)
	if err != nil {
		return err
	}
	if known == nil {
		return &repo.VerifyError{File: repo.SlotName(tuf.RoleRoot, 1), Err: fs.ErrNotExist}
	}
	c := s.committer(collection, known, store)
	again := func(ctx context.Context) (*repo.Receipt, error) { return c.Refresh(ctx, false) }
	if patient {
		again = c.RefreshUrgent
	}
	receipt, err := again(ctx)
	var short *repo.ThresholdError
	if errors.As(err, &short) && short.Have == 0 {
		return s.cannotSign(ctx, collection, known, short.Role, t)
	}
	if err != nil {
		return err
	}
	if receipt == nil {
		s.caches.keep(known)
		if patient {
			t.add(func(c *Counts) { c.Waiting++ })
		}
		return nil
	}
	t.add(func(c *Counts) { c.Refreshed++ })
	s.Log.Info("refreshed", "collection", collection, "versions", receipt.Versions)
	s.apart(collection, func() {
		s.caches.keep(known)
		if last, _ := known.lastSeen(); last.Timestamp == 0 {
			s.remember(ctx, collection, known) // published before there were notes
		}
		s.metrics.refresh(collection, s.Now().Sub(started))
		s.observe(ctx, collection, known)
	})
	return nil
}

// cannotSign tells a collection that has moved to another's keys from one whose
// keys are gone: under this root the signer has committed, or there is no key of
// its own at all, not even one of before. People have to look after the latter,
// for as long as it takes them.
func (s *Signer) cannotSign(ctx context.Context, collection string, known *cache, role string, t *tally) error {
	root := cached[tuf.Root](known, tuf.RoleRoot)
	last, _ := known.lastSeen()
	gone := root != nil && root.Signed.Version == last.Root
	if !gone {
		ids, err := s.keyIDs(ctx, collection, role)
		if err != nil {
			return err
		}
		gone = len(ids) == 0
	}
	if !gone {
		s.Log.Info("not refreshed: the keys are somebody else's", "collection", collection, "role", role)
		return nil
	}
	s.Log.Warn("not refreshed: the keys are gone from the inbox", "collection", collection, "role", role)
	s.metrics.failure(collection)
	t.add(func(c *Counts) {
		c.Keyless++
		c.say("no " + role + " key of " + collection + " is in the inbox any more")
	})
	return nil
}

// renewRest is how long a timestamp stays, whoever asks for a new one: each takes
// a version, and a write, of whoever may invoke.
const renewRest = 10 * time.Second

// renew signs a new timestamp, and a new snapshot only if that is due: whoever
// else is about to commit begins again. The error is a *repo.SoonError if there
// was one just now.
func (s *Signer) renew(ctx context.Context, collection string) (receipt *repo.Receipt, err error) {
	defer caught(&err)
	done, err := s.busy.enter(ctx, collection)
	if err != nil {
		return nil, err
	}
	defer done()
	known, err := s.known(ctx, collection)
	if err != nil {
		return nil, err
	}
	if known == nil {
		return nil, refused("publish it first: publisher publish "+collection, "%s is not published", collection)
	}
	if receipt, err = s.committer(collection, known, s.public).Renew(ctx, renewRest); err != nil {
		return nil, err
	}
	s.caches.keep(known)
	s.Log.Info("renewed", "collection", collection, "versions", receipt.Versions)
	return receipt, nil
}

// missing tells a collection that is not published yet, if perhaps begun, from
// one whose timestamp.json is gone.
func (s *Signer) missing(ctx context.Context, collection string) error {
	last, _, err := s.readSeen(ctx, collection)
	if err == nil && last.Timestamp == 0 {
		s.caches.forget(collection) // it may have been deleted
	}
	if err != nil || last.Timestamp == 0 {
		return err
	}
	return lost("timestamp.json", 0, last.Timestamp)
}

// primed is a store of which the first Get of one object is answered already.
// It has no optional interfaces: a refresh needs none.
type primed struct {
	storage.Store
	name    string
	data    []byte
	version storage.Version
	once    sync.Once
}

func (p *primed) Get(ctx context.Context, key string) (storage.Object, error) {
	first := false
	if key == p.name {
		p.once.Do(func() { first = true })
	}
	if !first {
		return p.Store.Get(ctx, key)
	}
	return storage.Object{Body: io.NopCloser(bytes.NewReader(p.data)), Size: int64(len(p.data)), Version: p.version}, nil
}
