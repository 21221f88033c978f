package lambda

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"publisher/repo"
	"publisher/storage"
)

// walked is the progress of looking for collections by their keys: it is there
// when all that was made before there was an index is in it.
const walked = "walked"

// maxNote is how many bytes a note of the signer's own has at most.
const maxNote = 4 << 10

// collections is the names of those that have online keys, sorted. They are
// listed by an index that nobody but the signer writes, so that neither what
// lies in inboxes nor what was ever answered can stand in the way.
func (s *Signer) collections(ctx context.Context, t *tally) ([]string, error) {
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
	_, _, err := storage.Read(ctx, s.private, repo.ProgressKey(walked), maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		names, err = s.walk(ctx, t, names)
	}
	if err != nil {
		// Those that are known are not to wait for it.
		t.failed("look through the inbox for collections", err)
	}
	return names, nil
}

// walk lists the whole private store, once in its life, for the keys of
// collections that the index lacks. What it has found stays found if there is
// no time for all.
func (s *Signer) walk(ctx context.Context, t *tally, known []string) (names []string, err error) {
	names = slices.Clone(known)
	defer func() { slices.Sort(names) }()
	var group errgroup.Group
	group.SetLimit(s.Concurrency)
	defer func() { err = errors.Join(err, group.Wait()) }()
	last := ""
	for e, err := range s.private.List(ctx, "") {
		if err != nil {
			return names, err
		}
		if !s.hasTime(ctx) {
			t.unfinished()
			return names, nil
		}
		p, ok := repo.ParsePrivate(e.Key)
		if !ok || p.Kind != "keys" || p.Collection == last {
			continue
		}
		last = p.Collection
		if _, there := slices.BinarySearch(known, last); there {
			continue
		}
		names = append(names, last)
		group.Go(func() error { return s.know(ctx, p.Collection) })
	}
	if err := group.Wait(); err != nil {
		return names, err
	}
	return names, s.note(ctx, repo.ProgressKey(walked), "{}", storage.Absent)
}

// know puts a collection into the index.
func (s *Signer) know(ctx context.Context, collection string) error {
	return s.note(ctx, repo.KnownKey(collection), "{}", storage.Absent)
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
