package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"publisher/repo/tuf"
	"publisher/storage"
)

// maxGap is how many numbers in a row may be missing before a snapshot's
// predecessor counts as removed. Numbers are skipped one by one, by publishes
// that were not finished.
const maxGap = 64

// A History is what a collection has published. Every snapshot names the hash
// of the one it was made from: a slot that none names is the rest of an
// unfinished publish, and no part of history. So is what somebody puts there
// later. Of the timestamps, which replace one another, nothing is left.
type History struct {
	// End says why history ends before the first publication, once All has
	// ended; it is empty if it does not.
	End string

	view  *View
	roots rootWalk
	files roleFiles
}

// History is the past of v, as far as its source still has it. It is read once.
func (v *View) History() *History {
	h := &History{view: v, files: roleFiles{held: map[string]*tuf.File[tuf.Targets]{}}}
	h.roots = rootWalk{history: h}
	return h
}

// A Revision is one snapshot, or one root.
type Revision struct {
	Snapshot int64 // 0 for a root
	Root     int64 // the root itself, or the one in force

	// Time is when the store took the file or, if it does not tell, when it was
	// signed, as far as its expiry tells: TUF has no time of signing.
	Time   time.Time
	Stored bool // Time is the store's

	Signers []string // IDs of the keys with good signatures on it
	Changes []RoleChange

	// Cut says that the one before is gone, so that nobody can tell what changed.
	Cut bool

	// Problem is what is wrong with the file itself, if anything.
	Problem string

	snapshot, before *past[tuf.Snapshot]
	root, older      *past[tuf.Root]
}

// Refresh reports a snapshot that was only signed again.
func (r *Revision) Refresh() bool {
	return r.Snapshot != 0 && !r.Cut && len(r.Changes) == 0
}

// A RoleChange is a version of a role that came with a Revision. History.Read
// fills in what the snapshots do not tell.
type RoleChange struct {
	Role     string
	From, To int64 // From is 0 for a first version, To for a role that is not listed any more

	Signers []string
	Expires time.Time
	Difference
	Gone     bool   // the file, or the one before, is no longer there: there is no Difference
	Unjudged bool   // who delegated to the role is no longer there: nobody can tell whether its Signers could sign
	Problem  string // what is wrong with the file, if anything
}

// past is a file of the past.
type past[T tuf.Content] struct {
	file   *tuf.File[T]
	stored time.Time // zero if the store does not tell
}

// signed is when the file was signed, by its expiry and the policy of a root.
func (p *past[T]) signed(root *tuf.File[tuf.Root], role string) time.Time {
	return p.file.Head().Expires.Add(-lifetime(&root.Signed, role))
}

// date is what is known of when a file came in.
func (p *past[T]) date(root *tuf.File[tuf.Root], role string) (at time.Time, stored bool) {
	if p.stored.IsZero() {
		return p.signed(root, role), false
	}
	return p.stored.UTC(), true
}

// All yields every revision, the newest first. Each is good until the next. One
// after another is read, so that it costs about one request for each; what is
// wrong with single files stands in the revisions. The error is a *VerifyError
// where the chain is broken, after which nothing follows.
func (h *History) All(ctx context.Context) iter.Seq2[*Revision, error] {
	return func(yield func(*Revision, error) bool) {
		err := h.walk(ctx, func(r *Revision) bool { return yield(r, nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

func (h *History) walk(ctx context.Context, yield func(*Revision) bool) error {
	s, err := h.newest(ctx)
	for err == nil && s != nil {
		if done, err := h.roots.downTo(ctx, s, yield); done || err != nil {
			return err
		}
		before, broken := h.before(ctx, s)
		if !yield(h.revision(s, before)) {
			return nil
		}
		s, err = before, broken
	}
	if err != nil {
		return err
	}
	return h.roots.rest(ctx, yield)
}

// newest is where history starts: what is published now.
func (h *History) newest(ctx context.Context) (*past[tuf.Snapshot], error) {
	v := h.view
	switch {
	case !v.Published():
		return nil, ErrNotPublished
	case !v.Root().Signed.ConsistentSnapshot:
		return nil, errors.New("the collection keeps no history: its files have no versions in their names")
	}
	n := v.Snapshot.Signed.Version
	info, err := storage.Stat(ctx, v.loader.Source, SlotKey(v.loader.Collection, tuf.RoleSnapshot, n))
	if errors.Is(err, fs.ErrNotExist) {
		// It was seen before, and kept here.
		err = unverified(SlotName(tuf.RoleSnapshot, n), fmt.Errorf("it is gone: %w", err))
	}
	if err != nil {
		return nil, err
	}
	return &past[tuf.Snapshot]{v.Snapshot, info.Modified}, h.roots.start(ctx)
}

// revision tells a snapshot, after the roots that came later.
func (h *History) revision(s, before *past[tuf.Snapshot]) *Revision {
	root := h.roots.at.file
	r := &Revision{
		Snapshot: s.file.Signed.Version, Root: root.Signed.Version,
		Signers:  h.roots.signers(tuf.RoleSnapshot, s.file.SignedBy),
		Cut:      before == nil && s.file.Head().Publisher.Parent != "",
		snapshot: s, before: before,
	}
	r.Time, r.Stored = s.date(root, tuf.RoleSnapshot)
	if err := verifyTop(root, tuf.RoleSnapshot, s.file); err != nil {
		r.Problem = err.Error()
	}
	if r.Cut {
		return r
	}
	var old map[string]tuf.MetaFile
	if before != nil {
		old = before.file.Signed.Meta
	}
	r.Changes = listChanges(old, s.file.Signed.Meta)
	return r
}

// listChanges is the roles of which two snapshots list different versions, in
// the order in which trust flows.
func listChanges(before, after map[string]tuf.MetaFile) []RoleChange {
	all := maps.Clone(after)
	for name, meta := range before {
		if _, ok := after[name]; !ok {
			all[name] = meta
		}
	}
	var changes []RoleChange
	for name := range all {
		role, ok := strings.CutSuffix(name, ".json")
		if !ok || isTopLevel(role) && role != tuf.RoleTargets {
			continue // other programs list the root too
		}
		was, is := before[name], after[name]
		if was.Version == is.Version && maps.Equal(was.Hashes, is.Hashes) {
			continue
		}
		changes = append(changes, RoleChange{Role: role, From: was.Version, To: is.Version})
	}
	slices.SortFunc(changes, func(a, b RoleChange) int { return strings.Compare(RoleToNotary(a.Role), RoleToNotary(b.Role)) })
	return changes
}

// before finds the snapshot that s was made from: nil for the first, and where
// it is gone.
func (h *History) before(ctx context.Context, s *past[tuf.Snapshot]) (*past[tuf.Snapshot], error) {
	version, parent, missing := s.file.Signed.Version, s.file.Head().Publisher.Parent, 0
	if parent == "" {
		h.endAt(s.file)
		return nil, nil
	}
	for n := version - 1; n >= 1 && n >= version-maxJump && missing < maxGap; n-- {
		data, stored, err := h.read(ctx, tuf.RoleSnapshot, n, maxMetadata)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing++
		case err != nil:
			return nil, err
		case hexSum(data) == parent:
			f, err := tuf.Parse[tuf.Snapshot](data, maxMetadata)
			if err != nil {
				return nil, unverified(SlotName(tuf.RoleSnapshot, n), err)
			}
			if f.Signed.Version == n { // else it is a copy in another slot
				return &past[tuf.Snapshot]{f, stored}, checkOrder(s.file, f)
			}
		}
	}
	if missing == 0 {
		return nil, unverified(SlotName(tuf.RoleSnapshot, version), errors.New("the chain is broken: no snapshot has the hash of the one it was made from"))
	}
	h.End = fmt.Sprintf("the snapshot before %d was removed", version)
	return nil, nil
}

// endAt tells of a first snapshot that may not be the first.
func (h *History) endAt(s *tuf.File[tuf.Snapshot]) {
	if s.Head().Publisher.Collection == "" && s.Signed.Version > 1 {
		h.End = fmt.Sprintf("snapshot %d does not name the one it was made from: another program made it", s.Signed.Version)
	}
}

// checkOrder checks that s may follow before.
func checkOrder(s, before *tuf.File[tuf.Snapshot]) error {
	for name, was := range before.Signed.Meta {
		if is, ok := s.Signed.Meta[name]; ok && is.Version < was.Version {
			return unverified(SlotName(tuf.RoleSnapshot, s.Signed.Version),
				fmt.Errorf("%s fell from version %d to %d", name, was.Version, is.Version))
		}
	}
	return nil
}

// read reads a slot, and when the store took it.
func (h *History) read(ctx context.Context, role string, version, max int64) ([]byte, time.Time, error) {
	source := &dated{Getter: h.view.loader.Source}
	data, _, err := storage.Read(ctx, source, SlotKey(h.view.loader.Collection, role, version), max)
	if isWrecked(err) {
		err = unverified(SlotName(role, version), err)
	}
	return data, source.modified, err
}

// dated keeps when the object that was read last was stored.
type dated struct {
	storage.Getter
	modified time.Time
}

func (d *dated) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := d.Getter.Get(ctx, key)
	d.modified = obj.Modified
	return obj, err
}
