//go:build unix

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/storage/dir"
	"publisher/storage/storagetest"
	"publisher/trust"
)

// countOne counts the requests of publishing one more target.
func (b *bench) countOne(o *ours) (string, error) {
	file, err := b.newFile()
	if err != nil {
		return "", err
	}
	return b.countPublish(o, filepath.Dir(file))
}

// countMany counts the requests of publishing what is below source into a new
// collection.
func (b *bench) countMany(source string) (string, error) {
	o, err := b.newOurs("")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(o.dir)
	return b.countPublish(o, source)
}

// countPublish stages what is below source and publishes it in this process, as
// the publisher command would, through a store that counts.
func (b *bench) countPublish(o *ours, source string) (string, error) {
	if _, err := o.measure(b.ctx, []string{"add", collection, "-R", source, "--quiet"}); err != nil {
		return "", err
	}
	store, err := dir.Open(o.store)
	if err != nil {
		return "", err
	}
	counter := storagetest.NewCounter(store)
	local := trust.Open(o.trust)
	known := local.Collection(collection)
	changes, err := known.Changelist().List()
	if err != nil {
		return "", err
	}
	committer := &repo.Committer{
		Store: repo.Acknowledged(counter.Store()), Collection: collection,
		Cache: known.Cache(), Keys: plainKeys{local.Keys()}, Now: time.Now,
	}
	p := &repo.Publisher{
		Store: committer.Store, Collection: collection, Cache: committer.Cache, Keys: committer.Keys, Now: time.Now,
		Commit: committer.Commit, Open: func(c repo.Change) (repo.Body, error) { return os.Open(c.Source) },
	}
	if _, err := p.Publish(b.ctx, changes); err != nil {
		return "", err
	}
	n := counter.Counts()
	return fmt.Sprintf("%d reads, %d writes, %d lists", n.Reads, n.Writes, n.Lists), nil
}

// plainKeys signs with the unencrypted keys of a trust directory.
type plainKeys struct{ keys *trust.Keys }

func (k plainKeys) Signer(_ context.Context, _, keyID string) (signature.Signer, error) {
	data, err := k.keys.Get(keyID)
	if err != nil {
		return nil, err
	}
	private, err := keys.Decode(data, func(keys.Header) ([]byte, error) { return nil, fs.ErrPermission })
	if err != nil {
		return nil, err
	}
	signer, _, err := keys.NewSigner(private[0].Signer)
	return signer, err
}
