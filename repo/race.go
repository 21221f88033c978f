package repo

import (
	"context"
	"math/rand/v2"
	"time"
)

// giveWay lets others finish before the next attempt, after some were lost: for
// a random while that grows to a tenth of a second.
func giveWay(ctx context.Context, lost int) error {
	if lost < 2 {
		return ctx.Err()
	}
	pause := time.NewTimer(rand.N(min(time.Millisecond<<min(lost, 10), 100*time.Millisecond)))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
		return nil
	}
}
