package lambda

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo"
)

// keyring signs with the online keys of one collection.
type keyring struct {
	signer     *Signer
	collection string
}

// Signer implements repo.Keyring. What is opened stays open in memory.
func (k *keyring) Signer(ctx context.Context, role, keyID string) (signature.Signer, error) {
	name := repo.OnlineKeyKey(k.collection, role, keyID)
	opened := k.signer.opened.get(name)
	if opened == nil {
		key, err := k.signer.readKey(ctx, k.collection, role, keyID)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s key %s: %w", role, keyID, repo.ErrNoKey)
		}
		if err != nil {
			return nil, err
		}
		if opened, err = k.signer.openKey(ctx, key); err != nil {
			return nil, err
		}
	}
	return &bound{opened, ctx}, nil
}

// opened keeps the signers that were used last, by the name of their object.
type opened struct {
	mu    sync.Mutex
	by    map[string]*list.Element // of named
	order *list.List               // the one used last in front
}

type named struct {
	name   string
	signer signature.Signer
	of     *Key
}

// maxOpened is how many keys are open at a time. One takes about 1 KiB.
const maxOpened = 4096

func newOpened() *opened {
	return &opened{by: map[string]*list.Element{}, order: list.New()}
}

// get returns the signer of an object of this name, nil if none is open.
func (o *opened) get(name string) signature.Signer {
	signer, _ := o.find(name)
	return signer
}

// find also returns what it was opened from.
func (o *opened) find(name string) (signature.Signer, *Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, ok := o.by[name]
	if !ok {
		return nil, nil
	}
	o.order.MoveToFront(e)
	n := e.Value.(named)
	return n.signer, n.of
}

func (o *opened) put(name string, s signature.Signer, of *Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.by[name]; ok {
		return
	}
	o.by[name] = o.order.PushFront(named{name, s, of})
	if o.order.Len() > maxOpened {
		last := o.order.Remove(o.order.Back()).(named)
		delete(o.by, last.name)
	}
}
