package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is the recovery from a fast-forward attack: somebody who stole an
// online key has announced a version so high that honest ones look old for ever.
// Clients forget what a key has signed when a root replaces it; TUF
// specification, section 5.3.11. So that root says from which versions on it
// goes on, and they may be lower than the published ones.

// sane is the first version that nobody reaches by signing honestly: a version a
// second takes 136 years to it.
const sane = 1 << 32

// lastVersion is the highest version that every client reads.
const lastVersion = 1<<53 - 1

// checkNext refuses a version that clients could not read.
func checkNext(role string, version int64) error {
	if version <= lastVersion {
		return nil
	}
	return unverified(role, fmt.Errorf("%w version %d", ErrLastVersion, version-1))
}

// unknown is how many timestamps may have been signed honestly since those that
// are known. Clients that have not seen the new root yet, and a signer that
// remembers what it has published, refuse fewer.
const unknown = 100_000

// maxCandidates is how many snapshots are looked at to find a sane one.
const maxCandidates = 1000

// recover is verify for those who recover: a snapshot that nobody can go on from
// is passed over for the last one that lies in the store and is whole.
func (v *View) recover(ctx context.Context, raw []byte) error {
	if err := v.checkPin(ctx); err != nil {
		return err
	}
	if raw == nil {
		return nil
	}
	if err := v.loadTimestamp(ctx, raw); err != nil {
		return err
	}
	err := v.loadSnapshot(ctx)
	if err == nil {
		err = v.checkSane(ctx)
	}
	var bad *VerifyError
	if !errors.As(err, &bad) {
		return err
	}
	return v.lastSane(ctx, err)
}

// forget has what was seen before count for nothing but a number.
func (v *View) forget() { v.seen, v.old = v.old.timestamp, cached{} }

// hasBegun reports whether the newest root begins a recovery in which it comes
// first, and whoever wrote it came no further: raw, the timestamp.json, is not one
// of its keys'. Who writes then goes on with the recovery.
func (v *View) hasBegun(raw []byte) bool {
	root := v.Root()
	if !v.loader.TimestampFirst || !root.Signed.Publisher.RootFirst || len(root.Signed.Publisher.Restart) == 0 {
		return false
	}
	ts, err := tuf.Parse[tuf.Timestamp](raw, MaxTimestamp)
	return err == nil && verifyTop(root, tuf.RoleTimestamp, ts) != nil
}

// checkSane proves that it can be gone on from a snapshot.
func (v *View) checkSane(ctx context.Context) error {
	if n := v.Snapshot.Signed.Version; n >= sane {
		return unverified("snapshot", fmt.Errorf("version %d", n))
	}
	for name, meta := range v.Snapshot.Signed.Meta {
		if meta.Version >= sane {
			return unverified("snapshot", fmt.Errorf("%s is listed with version %d", name, meta.Version))
		}
	}
	for _, err := range v.walk(ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}

// lister is a store that can say which snapshots there are.
type lister interface {
	List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error]
}

// lastSane finds the snapshot with the highest sane number that is whole.
func (v *View) lastSane(ctx context.Context, wrong error) error {
	store, ok := v.loader.Source.(lister)
	if !ok {
		return wrong
	}
	numbers, err := v.snapshots(ctx, store)
	if err != nil {
		return err
	}
	for i, n := range numbers {
		if i == maxCandidates {
			break
		}
		err := v.tryOn(ctx, n)
		var bad *VerifyError
		if err == nil || !errors.As(err, &bad) {
			return err
		}
	}
	return fmt.Errorf("no snapshot in the store is whole: %w", wrong)
}

// snapshots is the sane numbers of the snapshots in the store, the highest first.
func (v *View) snapshots(ctx context.Context, store lister) ([]int64, error) {
	dir := MetadataDir(v.loader.Collection) + "/"
	var numbers []int64
	for e, err := range store.List(ctx, dir) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		role, n, ok := ParseSlot(e.Key[len(dir):])
		if ok && role == tuf.RoleSnapshot && n < sane {
			numbers = append(numbers, n)
		}
	}
	slices.SortFunc(numbers, func(a, b int64) int { return cmp.Compare(b, a) })
	return numbers, nil
}

// tryOn makes one snapshot the view's, if it is whole.
func (v *View) tryOn(ctx context.Context, n int64) error {
	name := SlotName(tuf.RoleSnapshot, n)
	data, _, err := v.read(ctx, name, maxMetadata)
	if err != nil {
		return err
	}
	f, err := tuf.Parse[tuf.Snapshot](data, maxMetadata)
	if err == nil {
		err = verifyPublished(ctx, v, tuf.RoleSnapshot, f)
	}
	if err == nil && f.Signed.Version != n {
		err = fmt.Errorf("it says version %d", f.Signed.Version)
	}
	if err != nil {
		return unverified(name, err)
	}
	v.Snapshot, v.Targets, v.vouched = f, map[string]*tuf.File[tuf.Targets]{}, map[voucher]bool{}
	return v.checkSane(ctx)
}

// Restart is the versions from which a recovery goes on, on a view that was
// loaded to recover.
func (v *View) Restart() map[string]int64 {
	timestamp, snapshot := v.Timestamp.Signed.Version, v.Snapshot.Signed.Version
	if timestamp >= sane {
		timestamp = snapshot // each snapshot had one
		if seen := v.seen; seen != nil && seen.Signed.Version < sane {
			timestamp = max(timestamp, seen.Signed.Version)
		}
		timestamp += unknown
	}
	return map[string]int64{tuf.RoleTimestamp: timestamp + 1, tuf.RoleSnapshot: snapshot + 1}
}

// checkRestart checks what a new root says of versions to go on from. They may
// only fall where clients forget the ones that they have seen.
func (p *proposal) checkRestart() error {
	if p.root == nil || len(p.root.Signed.Publisher.Restart) == 0 {
		return nil
	}
	if !p.base.Published() {
		return reject(tuf.RoleRoot, "a first root has nothing to recover from")
	}
	old, next := &p.base.Root().Signed, &p.root.Signed
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		for _, id := range next.Roles[role].KeyIDs {
			if slices.Contains(old.Roles[role].KeyIDs, id) {
				return reject(tuf.RoleRoot, "versions may fall only where all keys of snapshot and timestamp are new, and key %s is not", tuf.ShortID(id))
			}
		}
	}
	for role, version := range next.Publisher.Restart {
		switch {
		case role != tuf.RoleSnapshot && role != tuf.RoleTimestamp:
			return reject(tuf.RoleRoot, "the versions of %s do not fall", RoleToNotary(role))
		case version < 1 || version >= sane:
			return reject(tuf.RoleRoot, "%s cannot go on from version %d", role, version)
		}
	}
	return nil
}

// restart is the version that a role is to go on from, 0 if from the published
// one. A root that is published says it as long as nothing has followed.
func (p *proposal) restart(role string) int64 {
	if p.root == nil && !p.base.begun {
		return 0
	}
	return p.newest().Signed.Publisher.Restart[role]
}

// Restart returns the versions from which a submission has the collection go on,
// nil if it is no recovery: its root must follow from the one in force. One that
// is in force already, or only says so, is compared with what was seen before as
// any other.
func (c *Committer) Restart(ctx context.Context, sub *Submission) (map[string]int64, error) {
	root, err := tuf.Parse[tuf.Root](sub.Files[tuf.RoleRoot], MaxRoot)
	if err != nil || len(root.Signed.Publisher.Restart) == 0 {
		return nil, nil
	}
	v, err := c.loader().begin()
	if err != nil {
		return nil, err
	}
	if err := v.walkRoots(ctx); err != nil {
		return nil, err
	}
	if verifySuccessor(v.Root(), root) != nil {
		return nil, nil
	}
	return root.Signed.Publisher.Restart, nil
}
