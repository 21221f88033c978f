package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

const (
	// maxRaces is how often a commit starts again after others came first.
	maxRaces = 100

	// maxTries is how often a write is tried that meets a conflict with nothing.
	maxTries = 3

	// freshFor is how long a view is committed upon without another look.
	// During a rotation, signatures count on nobody writing from an older one.
	freshFor = time.Minute

	// burnAfter is the age at which an unreferenced slot may be garbage that
	// somebody is about to remove, and is not built upon any more.
	burnAfter = 24 * time.Hour
)

// errRace reports that timestamp.json moved while a commit was under way.
// Nothing that it wrote is referenced.
var errRace = errors.New("another commit came first")

// A Committer holds the snapshot and timestamp keys. It is the only one who
// writes metadata.
type Committer struct {
	Store      storage.Store
	Collection string
	Cache      Cache
	Keys       Keyring
	Now        func() time.Time
	Pin        *Pin // what is demanded of the roots; may be nil

	// MaxNew is how many targets of one submission are looked for in the store; 0
	// is as many as it has. More of them are a *Rejection.
	MaxNew int

	// Cosign, if set, is asked for the other party's signatures when a new root
	// hands snapshot and timestamp over to another's keys, or takes them back.
	Cosign CosignFunc
}

// Commit publishes a submission, all of it or nothing. Base may be a view
// loaded for writing that the caller already has, or nil.
//
// The error is a *Rejection if the submission cannot be published ever, a
// *StaleError or *BurnedError if it must be made anew, ErrPublished if its name
// is another collection's. After another error the submission may have been
// published; to commit it again does no harm, also after others have published
// since: the receipt then has the versions of its own files, and the snapshot
// and timestamp of now.
func (c *Committer) Commit(ctx context.Context, base *View, sub *Submission) (*Receipt, error) {
	var taken int64 // the last snapshot number known to be taken
	for lost := range maxRaces {
		if err := giveWay(ctx, lost); err != nil {
			return nil, err
		}
		var err error
		if base == nil {
			if base, err = c.load(ctx, sub); err != nil {
				return nil, err
			}
		}
		receipt, err := c.commitOnto(ctx, base, sub, &taken)
		if !errors.Is(err, errRace) {
			return receipt, err
		}
		base = nil
	}
	return nil, fmt.Errorf("commit: %w, %d times in a row", storage.ErrConflict, maxRaces)
}

// load reads the collection for the commit of a submission.
func (c *Committer) load(ctx context.Context, sub *Submission) (*View, error) {
	restart, err := c.Restart(ctx, sub)
	if err != nil {
		return nil, err
	}
	l := c.loader()
	l.Recover = restart != nil
	return l.Load(ctx)
}

// loader reads the collection for a commit.
func (c *Committer) loader() *Loader {
	return writersLoader(c.Store, c.Collection, c.Cache, c.Pin, c.Now())
}

// commitOnto commits a submission on top of base, or fails with errRace.
func (c *Committer) commitOnto(ctx context.Context, base *View, sub *Submission, taken *int64) (*Receipt, error) {
	if done, err := base.has(ctx, sub); done || err != nil {
		return c.receipt(sub, base.Snapshot, base.Timestamp), err
	}
	p, err := verifySubmission(ctx, base, sub, c.Store, c.Now(), c.MaxNew)
	if err != nil {
		return c.resume(ctx, base, sub, taken, err)
	}
	if err := c.stillCurrent(ctx, base); err != nil {
		return nil, err
	}
	next, err := c.sign(ctx, p, *taken)
	if err != nil {
		return nil, err
	}
	if err := checkStock(p, next); err != nil {
		return nil, err
	}
	// Up to here nothing is written. From here on, what is written is not
	// referenced by anything until the timestamp moves.
	if err := c.writeSlots(ctx, p); err != nil {
		return nil, err
	}
	if next, err = c.writeSnapshot(ctx, p, next, taken); err != nil {
		return nil, err
	}
	if err := c.swap(ctx, base, next.timestamp); err != nil {
		return nil, err
	}
	// The collection is at its new version, whatever happens to us now. What is
	// published verifies under the root before too, so that the new one may come
	// now or in another run.
	if err := c.writeLastRoot(ctx, p); err != nil {
		return nil, err
	}
	if err := c.remember(p, next); err != nil {
		return nil, err
	}
	return c.receipt(sub, next.snapshot, next.timestamp), nil
}

// stillCurrent looks once more at what a commit is built on, if that was loaded
// long ago: targets may have been uploaded for hours since.
func (c *Committer) stillCurrent(ctx context.Context, base *View) error {
	if c.Now().Sub(base.loader.Now) < freshFor || !base.Published() {
		return nil
	}
	_, version, err := base.read(ctx, "timestamp.json", MaxTimestamp)
	if err != nil || version != base.version {
		return errors.Join(err, errRace)
	}
	_, _, err = base.read(ctx, SlotName(tuf.RoleRoot, base.Root().Signed.Version+1), MaxRoot)
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, errRace)
	}
	return nil
}

// has reports whether the submission is what is published, all of it: an earlier
// run of this commit was interrupted before it could say so.
func (v *View) has(ctx context.Context, sub *Submission) (bool, error) {
	if behind, err := v.behind(ctx); behind || err != nil {
		return false, err
	}
	if !v.Published() || len(sub.Files) == 0 {
		return false, nil
	}
	for role, data := range sub.Files {
		if role == tuf.RoleRoot {
			if !bytes.Equal(v.Root().Bytes(), data) {
				return false, nil
			}
			continue
		}
		f, err := v.current(ctx, role)
		if err != nil || f == nil || !bytes.Equal(f.Bytes(), data) {
			return false, err
		}
	}
	return true, nil
}

// ready is the two files that commit itself makes.
type ready struct {
	snapshot  *tuf.File[tuf.Snapshot]
	timestamp *tuf.File[tuf.Timestamp]
	fresh     bool // the snapshot is a new one
}

// sign makes snapshot and timestamp for the finished set. The snapshot's
// version is above after, the last number known to be taken.
func (c *Committer) sign(ctx context.Context, p *proposal, after int64) (ready, error) {
	next := ready{snapshot: p.base.Snapshot}
	if p.changesSnapshot() {
		var err error
		next.fresh = true
		if next.snapshot, err = p.newSnapshot(after); err != nil {
			return next, err
		}
		if c.Cosign != nil && p.root != nil {
			return c.cosigned(ctx, p, next)
		}
		if err := signOnline(ctx, c.Keys, p, tuf.RoleSnapshot, next.snapshot); err != nil {
			return next, err
		}
	}
	var err error
	if next.timestamp, err = p.newTimestamp(next.snapshot); err != nil {
		return next, err
	}
	return next, signOnline(ctx, c.Keys, p, tuf.RoleTimestamp, next.timestamp)
}

// changesSnapshot: for a changed role, a changed root, because it is due, or to be renewed.
func (p *proposal) changesSnapshot() bool {
	return p.renew || p.base.Snapshot == nil || p.base.lagging[tuf.RoleSnapshot] || p.root != nil || len(p.targets) > 0 ||
		!p.now.Before(halfLife(&p.newest().Signed, tuf.RoleSnapshot, p.base.Snapshot.Head().Expires))
}

// halfLife is when half of a signature's life is over.
func halfLife(root *tuf.Root, role string, expires time.Time) time.Time {
	return expires.Add(-lifetime(root, role) / 2)
}

// newSnapshot is the next snapshot, not signed yet.
func (p *proposal) newSnapshot(after int64) (*tuf.File[tuf.Snapshot], error) {
	root := &p.newest().Signed
	s := tuf.Snapshot{Meta: map[string]tuf.MetaFile{}}
	if before := p.base.Snapshot; before != nil {
		s.Unknown = before.Signed.Unknown
		s.Meta = maps.Clone(before.Signed.Meta)
		s.Publisher.Parent = before.SHA256()
		after = max(after, before.Signed.Version, p.restart(tuf.RoleSnapshot)-1)
	}
	s.Publisher.Collection = p.base.loader.Collection
	s.Publisher.GraceUntil = p.graceUntil()
	for role, f := range p.targets {
		s.Meta[role+".json"] = f.Meta()
	}
	s.Version = after + 1
	if err := checkNext(tuf.RoleSnapshot, s.Version); err != nil {
		return nil, err
	}
	s.Expires = p.now.Add(lifetime(root, tuf.RoleSnapshot))
	return tuf.New(s)
}

// newTimestamp is the next timestamp, not signed yet.
func (p *proposal) newTimestamp(snapshot *tuf.File[tuf.Snapshot]) (*tuf.File[tuf.Timestamp], error) {
	root := &p.newest().Signed
	t := tuf.Timestamp{Meta: map[string]tuf.MetaFile{"snapshot.json": snapshot.Meta()}}
	if before := p.base.Timestamp; before != nil {
		t.Unknown = before.Signed.Unknown
		t.Version = before.Signed.Version
		if n := p.restart(tuf.RoleTimestamp); n > 0 && (t.Version < n || t.Version >= sane) {
			t.Version = n - 1 // else an interrupted run of this recovery has begun
		}
		t.Publisher.Parent = before.SHA256()
	}
	t.Version++
	if err := checkNext(tuf.RoleTimestamp, t.Version); err != nil {
		return nil, err
	}
	t.Publisher.Collection = p.base.loader.Collection
	t.Publisher.GraceUntil = p.inGrace(tuf.RoleTimestamp)
	if p.root != nil {
		t.Publisher.GraceUntil = later(snapshot.Head().Publisher.GraceUntil, t.Publisher.GraceUntil)
	}
	t.Expires = p.now.Add(lifetime(root, tuf.RoleTimestamp)).UTC().Truncate(time.Second)
	t.Publisher.RefreshAfter = earliest(
		halfLife(root, tuf.RoleTimestamp, t.Expires),
		halfLife(root, tuf.RoleSnapshot, snapshot.Head().Expires),
	).UTC().Truncate(time.Second)
	return tuf.New(t)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// writeSlots writes the submitted files, leaves before their delegators:
// whatever a file refers to is there before it. Only a first root comes before
// them, and so before anything that clients look for, and one whose keys must
// sign alone.
func (c *Committer) writeSlots(ctx context.Context, p *proposal) error {
	if p.root != nil && !p.rootLast() {
		if err := c.writeRoot(ctx, p); err != nil {
			return err
		}
	}
	for _, n := range slices.Backward(p.tree) {
		if p.targets[n.role] == nil {
			continue
		}
		if err := c.writeSlot(ctx, n.role, n.file.Head().Version, n.file.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// writeLastRoot writes a root that what is published verifies without.
func (c *Committer) writeLastRoot(ctx context.Context, p *proposal) error {
	if !p.rootLast() {
		return nil
	}
	return c.writeRoot(ctx, p)
}

// writeRoot writes the next root. Its number cannot be skipped: who finds it
// taken has lost to another root.
func (c *Committer) writeRoot(ctx context.Context, p *proposal) error {
	err := c.writeSlot(ctx, tuf.RoleRoot, p.root.Signed.Version, p.root.Bytes())
	var burned *BurnedError
	switch {
	case !errors.As(err, &burned):
		return err
	case p.base.Published():
		return &StaleError{Role: tuf.RoleRoot}
	}
	return ErrPublished
}

// writeSnapshot writes the snapshot's slot, under the next number if another
// commit, finished or not, has left something in this one.
func (c *Committer) writeSnapshot(ctx context.Context, p *proposal, next ready, taken *int64) (ready, error) {
	for range maxJump {
		if !next.fresh {
			return next, nil
		}
		version := next.snapshot.Signed.Version
		err := c.writeSlot(ctx, tuf.RoleSnapshot, version, next.snapshot.Bytes())
		var burned *BurnedError
		if !errors.As(err, &burned) {
			return next, err
		}
		*taken = version
		if next, err = c.sign(ctx, p, version); err != nil {
			return next, err
		}
	}
	return next, fmt.Errorf("write snapshot: the next %d numbers are taken", maxJump)
}

// writeSlot writes an object that is written once. A slot that has these very
// bytes is written; one that has others is burned. A conflict with nothing there
// says nothing, and is tried again.
func (c *Committer) writeSlot(ctx context.Context, role string, version int64, data []byte) error {
	key := SlotKey(c.Collection, role, version)
	for tries := 1; ; tries++ {
		_, err := c.Store.Put(ctx, key, bytes.NewReader(data), storage.Absent)
		if err == nil {
			return nil
		}
		// Perhaps it was written and the answer was lost.
		old, _, readErr := storage.Read(ctx, c.Store, key, maxMetadata)
		conflict, gone := errors.Is(err, storage.ErrConflict), errors.Is(readErr, fs.ErrNotExist)
		switch {
		case readErr == nil && bytes.Equal(old, data):
			return c.checkAge(ctx, role, version)
		case readErr == nil, errors.Is(readErr, storage.ErrDamaged):
			return &BurnedError{Role: role, Version: version}
		case conflict && gone && tries < maxTries:
			continue
		case conflict && !gone:
			err = readErr
		}
		return fmt.Errorf("write %s: %w", key, err)
	}
}

// checkAge refuses to build on a slot that garbage collection may be about to
// take: only a published one is safe from it.
func (c *Committer) checkAge(ctx context.Context, role string, version int64) error {
	info, err := storage.Stat(ctx, c.Store, SlotKey(c.Collection, role, version))
	if err != nil {
		return fmt.Errorf("look at %s: %w", SlotName(role, version), err)
	}
	if role != tuf.RoleRoot && !info.Modified.IsZero() && c.Now().Sub(info.Modified) > burnAfter {
		return &BurnedError{Role: role, Version: version}
	}
	return nil
}

// swap is the moment at which the new version becomes the published one: the
// single point where concurrent commits meet.
func (c *Committer) swap(ctx context.Context, base *View, next *tuf.File[tuf.Timestamp]) error {
	key := TimestampKey(c.Collection)
	_, putErr := c.Store.Put(ctx, key, bytes.NewReader(next.Bytes()), base.version)
	data, _, err := storage.Read(ctx, c.Store, key, MaxTimestamp)
	switch {
	case err == nil && bytes.Equal(data, next.Bytes()):
		return nil // also where the answer to the write was lost
	case errors.Is(putErr, storage.ErrConflict):
		return errRace
	case putErr != nil:
		return fmt.Errorf("write %s: %w", key, putErr)
	case err != nil:
		return fmt.Errorf("read back %s: %w", key, err)
	}
	return checkOvertaken(data, next)
}

// checkOvertaken: the write was acknowledged, so whatever is there instead must
// have been built on it.
func checkOvertaken(data []byte, ours *tuf.File[tuf.Timestamp]) error {
	there, err := tuf.Parse[tuf.Timestamp](data, MaxTimestamp)
	if err != nil {
		return unverified("timestamp.json", err)
	}
	if there.Signed.Version <= ours.Signed.Version {
		return unverified("timestamp.json", fmt.Errorf("the store acknowledged version %d and shows version %d: it has no working compare-and-swap", ours.Signed.Version, there.Signed.Version))
	}
	return nil
}

// remember caches what was written, as if it had been loaded.
func (c *Committer) remember(p *proposal, next ready) error {
	v := p.base
	if p.root != nil {
		if err := v.keepRoot(p.root); err != nil {
			return err
		}
	}
	for role, f := range p.targets {
		if err := v.keep(role+".json", f.Bytes()); err != nil {
			return err
		}
	}
	if err := v.keepSnapshot(next.snapshot); err != nil {
		return err
	}
	return v.keepTimestamp(next.timestamp)
}

func (c *Committer) receipt(sub *Submission, snapshot *tuf.File[tuf.Snapshot], timestamp *tuf.File[tuf.Timestamp]) *Receipt {
	if timestamp == nil {
		return nil
	}
	r := &Receipt{
		Collection: c.Collection,
		Submission: sub.ID(),
		Committed:  c.Now().UTC().Truncate(time.Second),
		Versions: map[string]int64{
			tuf.RoleSnapshot:  snapshot.Signed.Version,
			tuf.RoleTimestamp: timestamp.Signed.Version,
		},
	}
	for role := range sub.Files {
		if role != tuf.RoleRoot {
			r.Versions[role] = snapshot.Signed.Meta[role+".json"].Version
		}
	}
	return r
}
