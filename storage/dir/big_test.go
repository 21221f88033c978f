package dir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// BenchmarkBig writes 4 files of 500 MB whose hashes are known, two at a time.
func BenchmarkBig(b *testing.B) {
	const size = 500_000_000
	source := filepath.Join(b.TempDir(), "source")
	f, err := os.Create(source)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadFrom(storagetest.NewBody(size)); err != nil {
		b.Fatal(err)
	}
	sum := storagetest.Sum(size)
	b.SetBytes(4 * size)
	for b.Loop() {
		batch, flush, discard := open(b, b.TempDir()).Batch()
		var g errgroup.Group
		g.SetLimit(2)
		for i := range 4 {
			g.Go(func() error {
				f, err := os.Open(source)
				if err != nil {
					return err
				}
				defer f.Close()
				_, err = batch.Put(b.Context(), fmt.Sprint(i), storage.WithSHA256(f, sum, size), storage.Absent)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		if err := flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		discard()
	}
}
