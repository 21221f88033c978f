package repo

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// each calls f for every item, at most limit at once, and begins no more of
// them after the first error, which it returns. A goroutine for each item would
// spend more on its stack than many an f has to do.
func each[T any](ctx context.Context, limit int, items []T, f func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var taken atomic.Int64
	for range min(limit, len(items)) {
		group.Go(func() error {
			for i := taken.Add(1); i <= int64(len(items)); i = taken.Add(1) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := f(ctx, items[i-1]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
