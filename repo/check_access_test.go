package repo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// refusing gives out nothing whose key ends with one of these.
type refusing struct {
	storage.Getter
	ends  []string
	asked atomic.Int64
}

func (s *refusing) Get(ctx context.Context, key string) (storage.Object, error) {
	s.asked.Add(1)
	if slices.ContainsFunc(s.ends, func(end string) bool { return strings.HasSuffix(key, end) }) {
		return storage.Object{}, fmt.Errorf("get %s: %w", key, fs.ErrPermission)
	}
	return s.Getter.Get(ctx, key)
}

// pages answers 200 to everything, as some web servers do.
type pages struct{ refusing }

func (s *pages) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.refusing.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return s.refusing.Get(ctx, repo.TimestampKey(collection))
	}
	return obj, err
}

func (w *world) checker(s storage.Getter) *repo.Checker {
	return &repo.Checker{Source: s, Collection: collection, Trusted: w.root, Now: w.now, Deep: true}
}

// TestCheckGoesOn: a file that cannot be read is told, and so is what is wrong
// with others.
func TestCheckGoesOn(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "one"), add("b", "two"), add("c", "three"))
	lacking := copyStore(t, w.store, nil)
	key := repo.TargetKey(collection, "c", sum("three"))
	info, err := storage.Stat(t.Context(), lacking, key)
	if err == nil {
		err = lacking.(storage.Deleter).Delete(t.Context(), key, info.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		ends           []string
		access, broken int
	}{
		"nothing refused": {nil, 0, 1},
		"a target":        {[]string{".a"}, 1, 1},
		"two targets":     {[]string{".a", ".b"}, 2, 1},
		"the snapshot":    {[]string{".snapshot.json"}, 1, 0},
		"the first root":  {[]string{"/1.root.json"}, 1, 1},
		"the next root":   {[]string{"/2.root.json"}, 1, 1},
	} {
		found, err := w.checker(&refusing{Getter: lacking, ends: row.ends}).Check(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		access := slices.DeleteFunc(slices.Clone(found.Problems), func(p repo.Problem) bool { return !p.Access })
		if len(access) != row.access || len(found.Problems)-len(access) != row.broken {
			t.Errorf("%s: %+v", name, found.Problems)
		}
	}
}

// TestCheckGivesUp: what answers nothing, or refuses nearly everything, is not
// asked for ever.
func TestCheckGivesUp(t *testing.T) {
	w := newWorld(t)
	var changes []repo.Change
	for n := range 200 {
		changes = append(changes, add(fmt.Sprint("t", n), "x"))
	}
	w.mustPublish(changes...)
	mute := &refusing{Getter: w.store, ends: []string{""}}
	if _, err := w.checker(mute).Check(t.Context()); !errors.Is(err, fs.ErrPermission) || mute.asked.Load() > 10 {
		t.Errorf("after %d requests: %v", mute.asked.Load(), err)
	}
	var ends []string
	for n := range 200 {
		ends = append(ends, fmt.Sprint(".t", n))
	}
	guarded := &refusing{Getter: w.store, ends: ends}
	found, err := w.checker(guarded).Check(t.Context())
	if err != nil || len(found.Problems) != 21 || guarded.asked.Load() > 70 {
		t.Errorf("after %d requests: %v, %+v", guarded.asked.Load(), err, found)
	}
	endless := &pages{refusing{Getter: w.store}}
	found, err = w.checker(endless).Check(t.Context())
	if err != nil || len(found.Problems) != 1 || endless.asked.Load() > 500 {
		t.Errorf("after %d requests: %v, %+v", endless.asked.Load(), err, found)
	}
}

// TestSample: it is bounded in number and in bytes, and another seed takes others.
func TestSample(t *testing.T) {
	listed := map[string]tuf.TargetFile{}
	for n := range 100 {
		listed[fmt.Sprint("k", n)] = tuf.TargetFile{Length: int64(n)}
	}
	s := repo.Sample{Targets: 10, Bytes: 150, Seed: "a"}
	look, read := s.Pick(listed)
	var bytes int64
	for key := range read {
		bytes += listed[key].Length
		if !slices.Contains(look, key) {
			t.Errorf("%s is read and not looked at", key)
		}
	}
	if len(look) != 10 || len(read) == 0 || bytes > 150 || !slices.IsSorted(look) {
		t.Errorf("%q, of which %v, with %d bytes", look, read, bytes)
	}
	again, _ := s.Pick(listed)
	s.Seed = "b"
	other, _ := s.Pick(listed)
	if !slices.Equal(look, again) || slices.Equal(look, other) {
		t.Errorf("%q, %q, %q", look, again, other)
	}

	w := newWorld(t)
	w.mustPublish(add("a", "one"), add("b", "two"), add("c", "three"))
	c := w.checker(w.store)
	c.Sample = &repo.Sample{Targets: 2, Bytes: 100}
	if found, err := c.Check(t.Context()); err != nil || found.Targets != 2 || len(found.Problems) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}
