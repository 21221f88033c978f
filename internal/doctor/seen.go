package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"publisher/repo"
	"publisher/storage"
)

// newIsSeen puts objects of no meaning into the store, whose names end as those do
// that clients ask for again and again, and looks for them at the URL: a cache may
// keep that one is missing, or what it was, and say nothing of it.
func newIsSeen(ctx context.Context, p *Patient, f *findings) error {
	d, ok := p.store.(storage.Deleter)
	switch {
	case !ok:
		return moot("the store cannot remove what would be put there")
	case !p.swaps:
		return moot("these credentials may write no metadata, or the store heeds no conditions: see compare-and-swap")
	}
	// What cannot be removed stays until gc finds it: one object of that kind is enough.
	if _, err := storage.Stat(ctx, p.store, repo.ProbeKey(p.Collection, p.Unique)); !errors.Is(err, fs.ErrNotExist) {
		return orMoot(err, "these credentials may not remove what would be put there")
	}
	t := &trial{p: p, deleter: d, dir: repo.ProbeKey(p.Collection, p.Unique)}
	defer t.cleanUp(ctx)
	err := t.missing(ctx, f)
	if err == nil {
		err = t.replaced(ctx, f)
	}
	return err
}

// A trial is the objects of a check, which are removed after it.
type trial struct {
	p       *Patient
	deleter storage.Deleter
	dir     string // what the names of all begin with
	wrote   []string
}

// missing asks for an object that is not there, and again when it is. One that
// nobody has asked for shows that the URL serves this very store.
func (t *trial) missing(ctx context.Context, f *findings) error {
	const asked, control = "-seen/metadata/1.root.json", "-other/metadata/1.root.json"
	for range 3 { // some caches keep what is asked for more than once
		if _, found, err := t.get(ctx, asked); err != nil || found {
			return err
		}
	}
	for _, name := range []string{asked, control} {
		if _, err := t.put(ctx, name, "new", storage.Absent); err != nil {
			return err
		}
	}
	if text, _, err := t.get(ctx, control); err != nil || text != "new" {
		return orMoot(err, "the URL serves a copy of the store")
	}
	if _, found, err := t.get(ctx, asked); err != nil || found {
		return err
	}
	f.add(Error, "what was missing is still missing once it is there: the answer is cached",
		"after a rotation clients go on with the old root, and refuse what the new keys sign", dontKeep404)
	return nil
}

// replaced asks for an object, and again when it is another.
func (t *trial) replaced(ctx context.Context, f *findings) error {
	const name = "-seen/metadata/timestamp.json"
	version, err := t.put(ctx, name, "first", storage.Absent)
	if err != nil {
		return err
	}
	for range 3 {
		if text, _, err := t.get(ctx, name); err != nil || text != "first" {
			return orMoot(err, "the URL serves a copy of the store")
		}
	}
	if _, err := t.put(ctx, name, "second", version); err != nil {
		return err
	}
	text, _, err := t.get(ctx, name)
	if err != nil || text != "first" {
		return err
	}
	f.add(Error, "what is called timestamp.json is served as it was before it was replaced: it is cached",
		"what was published is seen late, and an expired timestamp is served although there is a new one", dontKeepTimestamp)
	return nil
}

func orMoot(err error, why string) error {
	if err != nil {
		return err
	}
	return moot(why)
}

func (t *trial) get(ctx context.Context, name string) (text string, found bool, err error) {
	a, err := t.p.get(ctx, escaped(t.dir+name))
	if err != nil {
		return "", false, err
	}
	return string(a.body), a.status == http.StatusOK, nil
}

func (t *trial) put(ctx context.Context, name, text string, prev storage.Version) (storage.Version, error) {
	t.wrote = append(t.wrote, t.dir+name)
	version, err := t.p.store.Put(ctx, t.dir+name, strings.NewReader(text), prev)
	if err != nil {
		return version, fmt.Errorf("try how new objects are served: %w", err)
	}
	return version, nil
}

// cleanUp removes what was written, also after Ctrl-C.
func (t *trial) cleanUp(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for _, key := range t.wrote {
		info, err := storage.Stat(ctx, t.p.store, key)
		if err == nil {
			err = t.deleter.Delete(ctx, key, info.Version)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return // gc removes it
		}
	}
}
