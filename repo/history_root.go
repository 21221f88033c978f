package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"publisher/repo/tuf"
)

// rootWalk goes back through the roots beside the snapshots. What was signed
// around a new root was signed by the keys of both, so it remembers the root
// after the one in force.
type rootWalk struct {
	history *History
	after   *past[tuf.Root] // nil if at is the newest
	at      *past[tuf.Root] // the one in force
	before  *past[tuf.Root] // nil if at is the first
}

func (w *rootWalk) start(ctx context.Context) error {
	newest := w.history.view.Root()
	var err error
	if w.at, err = w.load(ctx, newest.Signed.Version, nil); err != nil {
		return err
	}
	w.before, err = w.older(ctx)
	return err
}

// load reads a root of the past. It is the one that next was made from, or one
// that the view has verified.
func (w *rootWalk) load(ctx context.Context, n int64, next *tuf.File[tuf.Root]) (*past[tuf.Root], error) {
	name := SlotName(tuf.RoleRoot, n)
	data, stored, err := w.history.read(ctx, tuf.RoleRoot, n, MaxRoot)
	if err != nil {
		return nil, unverified(name, err)
	}
	f, err := tuf.Parse[tuf.Root](data, MaxRoot)
	if err != nil {
		return nil, unverified(name, err)
	}
	return &past[tuf.Root]{f, stored}, w.trust(n, f, next)
}

// trust checks a root of the past. Signatures alone do not say that it is the
// one that was there: whoever has an old key could make another. Its successor
// names its hash.
func (w *rootWalk) trust(n int64, f, next *tuf.File[tuf.Root]) error {
	name := SlotName(tuf.RoleRoot, n)
	for _, known := range w.history.view.Roots {
		if known.Signed.Version == n && known.SHA256() != f.SHA256() {
			return unverified(name, errors.New("it is not the root that was verified"))
		}
	}
	if next == nil {
		return nil
	}
	if parent := next.Head().Publisher.Parent; parent != "" && parent != f.SHA256() {
		return unverified(name, fmt.Errorf("the chain is broken: it is not the root that version %d was made from", n+1))
	}
	if err := verifySuccessor(f, next); err != nil {
		return unverified(SlotName(tuf.RoleRoot, n+1), err)
	}
	return nil
}

// older is the root before the one in force, nil for the first.
func (w *rootWalk) older(ctx context.Context) (*past[tuf.Root], error) {
	n := w.at.file.Signed.Version - 1
	if n < 1 {
		return nil, nil
	}
	return w.load(ctx, n, w.at.file)
}

// step yields the root in force and goes back to the one before it.
func (w *rootWalk) step(ctx context.Context, yield func(*Revision) bool) (done bool, err error) {
	if !yield(w.revision()) {
		return true, nil
	}
	w.after, w.at = w.at, w.before
	if w.at != nil {
		w.before, err = w.older(ctx)
	}
	return false, err
}

// downTo yields the roots that came after s.
func (w *rootWalk) downTo(ctx context.Context, s *past[tuf.Snapshot], yield func(*Revision) bool) (done bool, err error) {
	for w.cameAfter(s) {
		if done, err := w.step(ctx, yield); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// rest yields the roots that are left.
func (w *rootWalk) rest(ctx context.Context, yield func(*Revision) bool) error {
	for w.at != nil {
		if done, err := w.step(ctx, yield); done || err != nil {
			return err
		}
	}
	return nil
}

// cameAfter reports whether the root in force came after s. Signatures decide;
// where they fit both roots, the times of signing, which follow from expiry and
// from the policy of one root or the other. When the store took the files is not
// relied on but for what was signed within a minute: of a copy of a store it
// tells nothing.
func (w *rootWalk) cameAfter(s *past[tuf.Snapshot]) bool {
	if w.before == nil || verifyTop(w.before.file, tuf.RoleSnapshot, s.file) != nil {
		return false
	}
	if verifyTop(w.at.file, tuf.RoleSnapshot, s.file) != nil {
		return true
	}
	made := w.at.signed(w.at.file, tuf.RoleRoot)
	since := !s.signed(w.at.file, tuf.RoleSnapshot).Before(made.Add(-time.Minute))
	until := !s.signed(w.before.file, tuf.RoleSnapshot).After(made.Add(time.Minute))
	if since != until {
		return until
	}
	// Perhaps in one commit, which writes the root last.
	return w.at.stored.IsZero() || s.stored.IsZero() || !w.at.stored.Before(s.stored)
}

func (w *rootWalk) revision() *Revision {
	n := w.at.file.Signed.Version
	r := &Revision{Root: n, root: w.at, older: w.before, Changes: []RoleChange{{Role: tuf.RoleRoot, From: n - 1, To: n}}}
	r.Time, r.Stored = w.at.date(w.at.file, tuf.RoleRoot)
	return r
}

// signers is the IDs of the keys that signed a top-level role's file, by the
// root in force and the one that came next.
func (w *rootWalk) signers(role string, by func([]string, map[string]tuf.Key, bool) []string) []string {
	all := by(w.at.file.Signed.Roles[role].KeyIDs, w.at.file.Signed.Keys, false)
	if w.after != nil {
		next := &w.after.file.Signed
		all = append(all, without(by(next.Roles[role].KeyIDs, next.Keys, false), all)...)
	}
	return all
}

// verify checks a top-level role's file that came in around the root in force.
func (w *rootWalk) verify(role string, f *tuf.File[tuf.Targets]) error {
	err := verifyTop(w.at.file, role, f)
	for _, near := range []*past[tuf.Root]{w.after, w.before} {
		if err != nil && near != nil && verifyTop(near.file, role, f) == nil {
			return nil
		}
	}
	return err
}
