package lambda

import (
	"context"
	"sync"
)

// busy lets one commit at a time work on a collection, in this process. Several
// processes meet in the store; this spares the rounds that they would lose.
type busy struct {
	mu   sync.Mutex
	here map[string]chan struct{} // closed when its commit is done
}

// enter waits for its turn. The caller calls done once.
func (b *busy) enter(ctx context.Context, collection string) (done func(), err error) {
	for {
		b.mu.Lock()
		before, taken := b.here[collection]
		if !taken {
			mine := make(chan struct{})
			if b.here == nil {
				b.here = map[string]chan struct{}{}
			}
			b.here[collection] = mine
			b.mu.Unlock()
			return func() { b.leave(collection, mine) }, nil
		}
		b.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *busy) leave(collection string, mine chan struct{}) {
	b.mu.Lock()
	delete(b.here, collection)
	b.mu.Unlock()
	close(mine)
}
