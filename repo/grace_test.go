package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// upTo is a store as a client sees it who looked for newer roots before they
// were there.
type upTo struct {
	storage.Getter
	root int64
}

func (s upTo) Get(ctx context.Context, key string) (storage.Object, error) {
	role, version, ok := repo.ParseSlot(path.Base(key))
	if ok && role == tuf.RoleRoot && version > s.root {
		return storage.Object{}, fs.ErrNotExist
	}
	return s.Getter.Get(ctx, key)
}

// mustServe wants clients that hold one of the roots, from the given one to the
// newest, to read what is published.
func (w *world) mustServe(from int64) {
	w.t.Helper()
	for root := from; root <= w.view().Root().Signed.Version; root++ {
		client := &stockClient{root: w.root}
		if _, err := client.pull(w.t.Context(), upTo{w.store, root}, w.now, everyName); err != nil {
			w.t.Errorf("a client at root %d: %v", root, err)
		}
		l := &repo.Loader{Source: upTo{w.store, root}, Collection: collection, Cache: w.newCache(), Now: w.now}
		if _, err := l.Load(w.t.Context()); err != nil {
			w.t.Errorf("our client at root %d: %v", root, err)
		}
	}
}

// online is the keys of snapshot and timestamp, made for somebody.
func online(t *testing.T, ring forge.Ring) map[string]tuf.Key {
	return map[string]tuf.Key{tuf.RoleSnapshot: ring.Generate(t), tuf.RoleTimestamp: ring.Generate(t)}
}

// pass lets time go by for all who share a clock.
func pass(d time.Duration, all ...*world) {
	for _, w := range all {
		w.now = w.now.Add(d)
	}
}

// TestTwoRotationsInOneGrace: clients may be at the root before the last still.
func TestTwoRotationsInOneGrace(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	for n := range 3 {
		if _, err := w.publisher().Rotate(t.Context(), to(online(t, w.ring), repo.DefaultGrace)); err != nil {
			t.Fatal(err)
		}
		w.mustServe(1)
		pass(time.Minute, w)
		w.mustPublish(add("a", fmt.Sprint(n)))
		w.mustServe(1)
	}
	w.mustBeClean()
	pass(repo.DefaultGrace, w)
	w.mustPublish(add("b", "1"))
	if n := len(w.view().Timestamp.Signatures); n != 1 {
		t.Errorf("%d keys sign after the grace", n)
	}
}

// The later of two graces counts, also where the second one is short.
func TestShortGraceAfterALongOne(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	for _, grace := range []time.Duration{time.Hour, time.Second} {
		if _, err := w.publisher().Rotate(t.Context(), to(online(t, w.ring), grace)); err != nil {
			t.Fatal(err)
		}
	}
	pass(time.Minute, w)
	w.mustPublish(add("a", "2"))
	w.mustServe(1)
}

// TestThereAndBackInOneGrace: keys go to a signer and back while clients are
// still at the first root.
func TestThereAndBackInOneGrace(t *testing.T) {
	local := newWorld(t)
	local.mustPublish(add("a", "1"))
	signer := local.party(forge.Ring{})
	if _, err := handOver(t, local, signer); err != nil {
		t.Fatal(err)
	}
	local.mustServe(1)
	pass(time.Minute, local, signer)
	if err := local.handOverTo(t, online(t, local.ring), signer); err != nil {
		t.Fatal(err)
	}
	local.mustServe(1)
	pass(time.Minute, local, signer)
	// Neither has all keys that must sign until the first grace is over, and so
	// long nobody but both of them writes.
	var grace *repo.GraceError
	if _, err := local.publish(add("b", "2")); !errors.As(err, &grace) {
		t.Errorf("one party publishes during the grace: %v", err)
	}
	third := local.party(forge.Ring{})
	_, err := local.publisher().Rotate(t.Context(), to(online(t, third.ring), repo.DefaultGrace))
	if err == nil {
		t.Error("keys are handed over in the grace of somebody who was not asked")
	}
	local.mustServe(1)
	pass(repo.DefaultGrace, local, signer)
	local.mustPublish(add("b", "2"))
	local.mustBeClean()
}

// A grace that no rotation may ask for is none: it would be the work of somebody
// who stole an online key.
func TestGraceWithoutEnd(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	ts := w.view().Timestamp
	forged := ts.Signed
	forged.Version++
	forged.Publisher.GraceUntil = w.now.AddDate(50, 0, 0)
	stolen := w.view().Root().Signed.Roles[tuf.RoleTimestamp].KeyIDs[0]
	other := w.ring.Generate(t).ID()
	file := forge.Signed(t, w.ring, forged, stolen, other)
	delete(w.ring, other)
	w.overwrite("timestamp.json", file.Bytes())
	w.mustPublish(add("b", "2"))
	if ids := signers(w.view().Timestamp.Signatures); !slices.Equal(ids, []string{stolen}) {
		t.Errorf("signed by %v", ids)
	}
}

// overwrite puts a file in the place of another, as an attacker would who may
// write the store.
func (w *world) overwrite(name string, data []byte) {
	w.t.Helper()
	key := repo.MetadataDir(collection) + "/" + name
	_, version, err := storage.Read(w.t.Context(), w.store, key, 1<<30)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	if _, err := w.store.Put(w.t.Context(), key, bytes.NewReader(data), version); err != nil {
		w.t.Fatal(err)
	}
}

func signers(all []tuf.Signature) []string {
	var ids []string
	for _, s := range all {
		ids = append(ids, s.KeyID)
	}
	return ids
}

// TestTargetsInGrace: after the keys of targets have changed, who publishes next
// signs with the old ones too, or waits. So does who only leaves submissions.
func TestTargetsInGrace(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.mustRotate(repo.Rotation{Roles: map[string]repo.Signers{tuf.RoleTargets: w.signers(1, 1)}, Grace: repo.DefaultGrace})
	pass(time.Minute, w)
	w.mustPublish(add("a", "2"))
	w.mustServe(1)

	old := w.ring
	w.ring = forge.Ring{}
	for _, role := range w.view().Root().Signed.Roles {
		for _, id := range role.KeyIDs {
			w.ring[id] = old[id]
		}
	}
	// Snapshot and timestamp keep their keys, and so can be signed all along.
	if _, err := w.refresh(true); err != nil {
		t.Error(err)
	}
	var grace *repo.GraceError
	p := w.publisher()
	p.Commit = func(context.Context, *repo.View, *repo.Submission) (*repo.Receipt, error) {
		t.Error("it is submitted, which could only be refused")
		return nil, errStop
	}
	if _, err := p.Publish(t.Context(), []repo.Change{add("a", "3")}); !errors.As(err, &grace) {
		t.Errorf("without the old key: %v", err)
	}
	alone := forge.Signed(t, w.ring, forge.Successor(w.targetsFile(), w.now), w.view().Root().Signed.Roles[tuf.RoleTargets].KeyIDs...)
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{tuf.RoleTargets: alone.Bytes()}}
	if _, err := w.committer().Commit(t.Context(), nil, sub); !errors.As(err, &grace) {
		t.Errorf("a submission by the new key alone: %v", err)
	}
	pass(repo.DefaultGrace, w)
	w.mustPublish(add("a", "3"))
	if n := len(w.targetsFile().Signatures); n != 1 {
		t.Errorf("%d keys sign after the grace", n)
	}
	w.mustBeClean()
}

// TestGraceOfJunk: a signature that could be added to the published targets, as
// long as nobody looked, holds up nobody in a grace: it is not good, or not of a
// key of the role. The old key's counts as before.
func TestGraceOfJunk(t *testing.T) {
	base := newWorld(t)
	base.mustPublish(add("a", "1"))
	old := base.view().Root().Signed.Roles[tuf.RoleTargets].KeyIDs[0]
	base.mustRotate(repo.Rotation{Roles: map[string]repo.Signers{tuf.RoleTargets: base.signers(2, 1)}, Grace: repo.DefaultGrace})
	ids := base.view().Root().Signed.Roles[tuf.RoleTargets].KeyIDs
	unused := ids[slices.IndexFunc(ids, func(id string) bool { return !slices.Contains(signers(base.targetsFile().Signatures), id) })]
	stranger := base.ring.Generate(t)
	for name, junk := range map[string]string{"a key of the role": unused, "a stranger's key": stranger.ID()} {
		t.Run(name, func(t *testing.T) {
			w := tampering(t, base)
			w.ring = maps.Clone(base.ring)
			delete(w.ring, junk)
			file := w.name(tuf.RoleTargets)
			w.write(file, strings.Replace(w.read(file), `"signatures":[`, `"signatures":[{"keyid":"`+junk+`","sig":"00"},`, 1))
			w.resign(tuf.RoleSnapshot, func(o object) {
				listed := metaOf(o, "targets.json")
				listed["length"], listed["hashes"] = len(w.read(file)), object{"sha256": sum(w.read(file))}
			})
			w.mustPublish(add("a", "2"))
			if by := signers(w.targetsFile().Signatures); slices.Contains(by, junk) || !slices.Contains(by, old) {
				t.Errorf("signed by %v, with junk of %s and the old key %s", by, junk, old)
			}
			w.mustServe(1)
			delete(w.ring, old)
			if _, err := w.publish(add("a", "3")); !errors.As(err, new(*repo.GraceError)) {
				t.Errorf("without the old key: %v", err)
			}
		})
	}
}

func (w *world) targetsFile() *tuf.File[tuf.Targets] {
	w.t.Helper()
	f, err := w.view().Role(w.t.Context(), tuf.RoleTargets)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// TestLateSignature: a root that waited for its signatures has all of its grace
// left when it is published.
func TestLateSignature(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	p := w.publisher()
	commit := p.Commit
	p.Commit = func(ctx context.Context, base *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		pass(time.Hour, w)
		return commit(ctx, nil, sub)
	}
	if _, err := p.Rotate(t.Context(), to(online(t, w.ring), repo.DefaultGrace)); err != nil {
		t.Fatal(err)
	}
	pass(repo.DefaultGrace-time.Second, w)
	w.mustPublish(add("a", "2"))
	w.mustServe(1)
}

// broken is a ring of which one key cannot be used.
type broken struct {
	forge.Ring
	keyID string
}

var errBroken = errors.New("the key cannot be used")

func (b broken) Signer(ctx context.Context, role, keyID string) (signature.Signer, error) {
	if keyID == b.keyID {
		return nil, errBroken
	}
	return b.Ring.Signer(ctx, role, keyID)
}

// A key that is there and cannot be used is not one that is elsewhere.
func TestGraceWithABrokenKey(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	old := w.view().Root().Signed.Roles[tuf.RoleTimestamp].KeyIDs[0]
	w.mustRotate(to(online(t, w.ring), repo.DefaultGrace))
	c := w.committer()
	c.Keys = broken{w.ring, old}
	if _, err := c.Refresh(t.Context(), true); !errors.Is(err, errBroken) {
		t.Errorf("refresh: %v", err)
	}
}
