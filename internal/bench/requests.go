//go:build unix

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
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

// countPublish stages what is below source and counts the publish, in a process
// of its own: on Linux the peak memory of a process begins with that of the one
// that started it, so this one has to stay small.
func (b *bench) countPublish(o *ours, source string) (string, error) {
	if _, err := o.measure(b.ctx, []string{"add", collection, "-R", source, "--quiet"}); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(b.ctx, self, countVerb, o.trust, o.store).Output()
	if err != nil {
		return "", fmt.Errorf("count requests: %w", err)
	}
	return string(out), nil
}

// countVerb has this program publish what is staged, and count.
const countVerb = "count-requests"

// countStaged publishes what is staged, as the publisher command would, through
// a store that counts, and prints how many requests that took.
func countStaged(ctx context.Context, trustDir, storeDir string) error {
	store, err := dir.Open(storeDir)
	if err != nil {
		return err
	}
	counter := storagetest.NewCounter(store)
	local := trust.Open(trustDir)
	known := local.Collection(collection)
	changes, err := known.Changelist().List()
	if err != nil {
		return err
	}
	committer := &repo.Committer{
		Store: repo.Acknowledged(counter.Store()), Collection: collection,
		Cache: known.Cache(), Keys: plainKeys{local.Keys()}, Now: time.Now,
	}
	p := &repo.Publisher{
		Store: committer.Store, Collection: collection, Cache: committer.Cache, Keys: committer.Keys, Now: time.Now,
		Commit: committer.Commit, Open: func(c repo.Change) (repo.Body, error) { return os.Open(c.Source) },
	}
	if _, err := p.Publish(ctx, changes); err != nil {
		return err
	}
	n := counter.Counts()
	_, err = fmt.Printf("%d reads, %d writes, %d lists", n.Reads, n.Writes, n.Lists)
	return err
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
