package storage

import (
	"context"
	"time"
)

type dateKey struct{}

// OnDate returns a context for requests of which tell is to hear the server's
// clock with every answer, also that something is missing. Drivers that know it
// tell; tell is called by several goroutines at once.
func OnDate(ctx context.Context, tell func(time.Time)) context.Context {
	return context.WithValue(ctx, dateKey{}, tell)
}

// TellDate is called by drivers with the server's clock as it answered.
func TellDate(ctx context.Context, at time.Time) {
	if tell, ok := ctx.Value(dateKey{}).(func(time.Time)); ok && !at.IsZero() {
		tell(at)
	}
}
