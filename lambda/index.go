package lambda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// walked is the progress of looking for collections by their keys: it is there
// when all that was made before there was an index is in it. Until then, walking
// is where the run before has stopped.
const (
	walked  = "walked"
	walking = "walking"
)

// maxNote is how many bytes a note of the signer's own has at most.
const maxNote = 4 << 10

const (
	// maxAsked is how many collections are noted that nobody has published yet:
	// whoever may invoke can have as many as they like made up.
	maxAsked = 1000

	// maxAskedAtOnce is how many of those one run looks after, when all that is
	// published has had its turn.
	maxAskedAtOnce = 100

	// askedFor is how long they are.
	askedFor = 7 * 24 * time.Hour

	// manySkipped is after how many objects of a kind that are no keys the rest of
	// them is passed over: a listing anew costs as much as so many.
	manySkipped = 1000
)

// collections is the names of those that are published here, sorted. They are
// listed by an index that nobody but the signer writes, so that neither what
// lies in inboxes nor what was ever answered or asked for can stand in the way.
func (s *Signer) collections(ctx context.Context) ([]string, error) {
	var names []string
	for e, err := range s.private.List(ctx, repo.KnownDir) {
		if err != nil {
			return nil, err
		}
		if name, ok := repo.ParseKnown(e.Key); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// discover returns collections that the index lacks, and adds them. It looks
// once in the life of a store, after what is known has had its turn and for half
// of the time that is left.
func (s *Signer) discover(ctx context.Context, t *tally, known []string) []string {
	_, _, err := storage.Read(ctx, s.private, repo.ProgressKey(walked), maxNote)
	if err == nil {
		return nil
	}
	var found []string
	if errors.Is(err, fs.ErrNotExist) {
		found, err = s.walk(ctx, t, known)
	}
	if err != nil {
		t.failed("look through the inbox for collections", err)
	}
	return found
}

// walk lists the private store for the keys of collections, from where the run
// before stopped.
func (s *Signer) walk(ctx context.Context, t *tally, known []string) (found []string, err error) {
	limited, cancel := s.share(ctx)
	defer cancel()
	after, version := s.stopped(ctx, walking)
	w := walker{after: after}
	if dir := passedOver(after); dir != "" {
		w.after = behind(dir) // the run before has stopped among many
	}
	var group errgroup.Group
	group.SetLimit(s.Concurrency)
	for w.more() {
		for e, err := range storage.ListAfter(ctx, s.private, "", w.after) {
			if err != nil {
				return found, errors.Join(err, group.Wait())
			}
			if !s.hasTime(limited) {
				t.unfinished()
				err := group.Wait()
				if err == nil {
					s.stop(ctx, walking, w.after, version)
				}
				return found, err
			}
			name, skip := w.next(e.Key)
			if skip {
				break
			}
			if _, there := slices.BinarySearch(known, name); name != "" && !there {
				found = append(found, name)
				group.Go(func() error { return s.index(ctx, name) })
			}
		}
	}
	if err := group.Wait(); err != nil {
		return found, err
	}
	return found, s.note(ctx, repo.ProgressKey(walked), "{}", storage.Absent)
}

// share is the time that a run may spend on what is not due.
func (s *Signer) share(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-max(0, time.Until(deadline)-s.Margin)/2))
}

// A walker goes through the keys of a private store.
type walker struct {
	after   string // the last one seen, or what comes before the next
	last    string // collection
	kind    string // of what is being passed over
	skipped int
	again   bool
	begun   bool
}

// more reports whether there is to be a listing: the first, or one anew.
func (w *walker) more() bool {
	more := w.again || !w.begun
	w.again, w.begun = false, true
	return more
}

// next takes a key, and returns the collection of which it is the first that is
// an online key's. Skip asks for a listing anew, from behind what is passed over.
func (w *walker) next(key string) (collection string, skip bool) {
	w.after = key
	if p, ok := repo.ParsePrivate(key); ok && p.Kind == "keys" {
		if p.Collection == w.last {
			return "", false
		}
		w.last = p.Collection
		return p.Collection, false
	}
	dir := passedOver(key)
	if dir != w.kind {
		w.kind, w.skipped = dir, 0
	}
	if w.skipped++; dir == "" || w.skipped < manySkipped {
		return "", false
	}
	w.after, w.again = behind(dir), true
	return "", true
}

// passedOver is the directory of an object where there are no keys, or empty.
func passedOver(key string) string {
	p, ok := repo.ParsePrivate(key)
	switch {
	case strings.HasPrefix(key, repo.SignerDir):
		return repo.SignerDir
	case ok && p.Kind != "keys":
		return p.Collection + "/" + p.Kind + "/"
	}
	return ""
}

// behind comes after all that a directory has: the character that follows the
// slash.
func behind(dir string) string { return strings.TrimSuffix(dir, "/") + "0" }

// index puts a collection that has keys where it belongs.
func (s *Signer) index(ctx context.Context, collection string) error {
	_, err := storage.Stat(ctx, s.public, repo.SlotKey(collection, tuf.RoleRoot, 1))
	if errors.Is(err, fs.ErrNotExist) {
		return s.ask(ctx, collection)
	}
	if err != nil {
		return err
	}
	return s.know(ctx, collection)
}

// know puts a collection into the index.
func (s *Signer) know(ctx context.Context, collection string) error {
	return s.note(ctx, repo.KnownKey(collection), "{}", storage.Absent)
}

// ask notes a collection that keys were made for and that nobody has published.
// Beyond so many it is not noted: then a first submission has to be committed by
// who made it, in whose command it is. Nothing that is published suffers.
func (s *Signer) ask(ctx context.Context, collection string) error {
	n := 0
	for _, err := range s.private.List(ctx, repo.AskedDir) {
		if err != nil {
			return err
		}
		if n++; n == maxAsked {
			s.Log.Warn("many collections were asked for and never published", "collection", collection, "count", n)
			return nil
		}
	}
	return s.note(ctx, repo.AskedKey(collection), "{}", storage.Absent)
}

// sweepAsked commits first submissions that nobody waits for, last of all, and
// forgets collections that nobody has published within a week.
func (s *Signer) sweepAsked(ctx context.Context, t *tally, known []string) {
	asked := map[string]storage.Entry{}
	var names []string
	for e, err := range s.private.List(ctx, repo.AskedDir) {
		if err != nil {
			t.failed("list what was asked for", err)
			return
		}
		if name, ok := repo.ParseAsked(e.Key); ok {
			names, asked[name] = append(names, name), e
		}
		if len(names) == maxAsked {
			break
		}
	}
	slices.Sort(names)
	s.inTurn(ctx, t, turn{what: "asked", names: names, most: maxAskedAtOnce, atOnce: sweepers}, func(name string) {
		_, published := slices.BinarySearch(known, name)
		if e := asked[name]; published || !e.Modified.IsZero() && s.Now().Sub(e.Modified) > askedFor {
			s.forgetAsked(ctx, name)
			return
		}
		s.sweepCollection(ctx, t, name)
	})
}

func (s *Signer) forgetAsked(ctx context.Context, collection string) {
	key := repo.AskedKey(collection)
	info, err := storage.Stat(ctx, s.private, key)
	if d, ok := s.private.(storage.Deleter); ok && err == nil {
		err = d.Delete(ctx, key, info.Version)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Log.Warn("not forgotten", "key", key, "error", err.Error())
	}
}

// founding is the public store for the first publication of a collection: when
// all checks have passed and the first root is about to be written, it is noted.
// So nothing is published that the schedule would not find.
type founding struct {
	storage.Store
	signer     *Signer
	collection string
}

func (f *founding) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if key == repo.SlotKey(f.collection, tuf.RoleRoot, 1) {
		if err := f.signer.know(ctx, f.collection); err != nil {
			return "", err
		}
	}
	return f.Store.Put(ctx, key, body, prev)
}

func (f *founding) Stat(ctx context.Context, key string) (storage.Info, error) {
	return storage.Stat(ctx, f.Store, key)
}

// note writes one of the signer's own notes. That it is there already, or that
// somebody was faster, is success: notes are hints. So is a policy from before
// there were any.
func (s *Signer) note(ctx context.Context, key, text string, prev storage.Version) error {
	_, err := s.private.Put(ctx, key, strings.NewReader(text), prev)
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.Log.Warn("note not written", "key", key, "error", err.Error())
		return nil
	case errors.Is(err, storage.ErrConflict):
		return nil
	case err != nil:
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}
