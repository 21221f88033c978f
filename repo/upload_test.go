package repo_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"publisher/repo"
	"publisher/storage"
)

// ghost is a store that meets some writes of targets with a conflict, with
// nothing.
type ghost struct {
	storage.Store
	left int
}

func (g *ghost) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if !strings.Contains(key, "/targets/") || g.left == 0 {
		return g.Store.Put(ctx, key, body, prev)
	}
	g.left--
	if _, err := io.Copy(io.Discard, body); err != nil {
		return storage.Absent, err
	}
	return storage.Absent, storage.ErrConflict
}

// ghostBatch meets its writes with a conflict in the end.
type ghostBatch struct{ *ghost }

func (g *ghostBatch) Batch() (storage.Store, func(context.Context) error, func()) {
	return discarding{g.Store}, func(context.Context) error { return storage.ErrConflict }, func() {}
}

type discarding struct{ storage.Store }

func (discarding) Put(_ context.Context, _ string, body io.ReadSeeker, _ storage.Version) (storage.Version, error) {
	_, err := io.Copy(io.Discard, body)
	return storage.Absent, err
}

// TestUploadGhost: a conflict with nothing is no reason to give up at once.
func TestUploadGhost(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		wrap func(g *ghost) storage.Store
		fits bool
	}{
		{"once", 1, func(g *ghost) storage.Store { return g }, true},
		{"twice", 2, func(g *ghost) storage.Store { return g }, true},
		{"for ever", -1, func(g *ghost) storage.Store { return g }, false},
		{"in a batch", 0, func(g *ghost) storage.Store { return &ghostBatch{g} }, true},
		{"in a batch and twice", 2, func(g *ghost) storage.Store { return &ghostBatch{g} }, true},
		{"in a batch and for ever", -1, func(g *ghost) storage.Store { return &ghostBatch{g} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := family(t)
			w.store = tt.wrap(&ghost{w.store, tt.n})
			p := w.publisher()
			var sent int64
			p.Uploading = func(n int64) { sent += n }
			_, err := p.Publish(t.Context(), []repo.Change{add("x", "xyz")})
			if !tt.fits {
				if !errors.Is(err, storage.ErrConflict) {
					t.Errorf("got %v, want ErrConflict", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if sent != 3 {
				t.Errorf("told of %d bytes, want 3", sent)
			}
			w.mustBeClean()
		})
	}
}

// sizeless is a store that does not say how large an object is.
type sizeless struct{ storage.Store }

func (s sizeless) Get(ctx context.Context, key string) (storage.Object, error) {
	o, err := s.Store.Get(ctx, key)
	o.Size = -1
	return o, err
}

// TestSizeUnknown: what the store does not say is found out by reading.
func TestSizeUnknown(t *testing.T) {
	w := tampering(t, family(t))
	w.store = sizeless{w.raw}
	key := repo.TargetKey(collection, "x", sum("xyz"))
	for content, want := range map[string]string{
		"xy":   `target "x" has 2 bytes in the store, not 3`,
		"xyzz": `target "x" has more than 3 bytes in the store`,
		"abc":  "the content does not have the signed hash: sha256 is " + sum("abc") + ", not " + sum("xyz"),
	} {
		w.put(key, "xyz")
		w.mustPublish(add("x", "xyz"))
		w.put(key, content)
		c := &repo.Checker{Source: w.store, Collection: collection, Trusted: w.root, Now: w.now}
		found, err := c.Check(t.Context())
		if err != nil || len(found.Problems) != 1 || found.Problems[0].What != want {
			t.Errorf("%q: check: %+v, %v; want %q", content, found, err, want)
		}
		w.mustPublish(remove("x"))
		if _, err := w.publish(add("x", "xyz")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: publish: %v, want %q", content, err, want)
		}
	}
	w.put(key, "xyz")
	w.mustPublish(add("x", "xyz"))
	w.mustBeClean()
}
