package storage

import (
	"context"
	"iter"
)

type afterKey struct{}

// ListAfter is List without the objects up to the key after, and that one. It
// costs no more than what follows where the driver can begin there.
func ListAfter(ctx context.Context, s Store, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range s.List(context.WithValue(ctx, afterKey{}, after), prefix) {
			if (err != nil || e.Key > after) && !yield(e, err) {
				return
			}
		}
	}
}

// After is called by drivers as they list: what does not come after this key
// need not be yielded. It is empty if all is asked for.
func After(ctx context.Context) string {
	after, _ := ctx.Value(afterKey{}).(string)
	return after
}
