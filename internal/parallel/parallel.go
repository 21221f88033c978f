// Package parallel does many small jobs on few goroutines.
package parallel

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Each calls f with the index of each of n items, at most limit at once, and
// begins no more of them after the first error, which it returns when all that
// began have ended. A goroutine for each item would spend more on its stack
// than many an f has to do.
func Each(ctx context.Context, limit, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var taken atomic.Int64
	for range min(limit, n) {
		group.Go(func() error {
			for i := taken.Add(1); i <= int64(n); i = taken.Add(1) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := f(ctx, int(i-1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
