package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"publisher/repo/tuf"
	"publisher/storage"
)

// maxAncestors is how many slots are read to find what was published before.
const maxAncestors = 64

// resume deals with a submission that is refused because something newer is
// published. That may be the submission itself, and what others have made from
// it since: then it was committed, by a run that could not say so any more. Or
// it is all of it but the root, which comes after the timestamp has moved: then
// this run does the rest. Else it returns refused.
func (c *Committer) resume(ctx context.Context, base *View, sub *Submission, taken *int64, refused error) (*Receipt, error) {
	stale := new(StaleError)
	if !base.Published() || !errors.As(refused, &stale) && !errors.Is(refused, ErrPublished) {
		return nil, refused
	}
	there, err := base.published(ctx, sub)
	if err != nil {
		return nil, err
	}
	rest := &Submission{Collection: sub.Collection, Files: maps.Clone(sub.Files), id: sub.ID()}
	maps.DeleteFunc(rest.Files, func(role string, _ []byte) bool { _, ok := there[role]; return ok })
	receipt := c.receipt(rest, base.Snapshot, base.Timestamp)
	if _, root := there[tuf.RoleRoot]; len(rest.Files) > 0 {
		// Root is the one file that the timestamp does not bring with the others.
		if root && len(there) > 1 || !root && (len(there) == 0 || len(rest.Files) > 1 || rest.Files[tuf.RoleRoot] == nil) {
			return nil, refused
		}
		if receipt, err = c.commitOnto(ctx, base, rest, taken); err != nil {
			return nil, err
		}
	}
	delete(there, tuf.RoleRoot)
	maps.Copy(receipt.Versions, there)
	return receipt, nil
}

// published returns the versions of those files of a submission that are, or
// were, the published ones.
func (v *View) published(ctx context.Context, sub *Submission) (map[string]int64, error) {
	there := map[string]int64{}
	for role, data := range sub.Files {
		find := v.wasPublished
		if role == tuf.RoleRoot {
			find = v.wasRoot
		}
		version, err := find(ctx, role, data)
		if err != nil {
			return nil, fmt.Errorf("look for an earlier publication of %s: %w", RoleToNotary(role), err)
		}
		if version > 0 {
			there[role] = version
		}
	}
	return there, nil
}

// wasRoot returns the version of a root that the collection has or had, else 0.
func (v *View) wasRoot(ctx context.Context, _ string, data []byte) (int64, error) {
	want, err := tuf.Parse[tuf.Root](data, MaxRoot)
	if err != nil {
		return 0, nil
	}
	root := v.Root()
	for n := 0; root.Signed.Version > want.Signed.Version; n++ {
		if n == maxAncestors {
			return 0, nil
		}
		if root, err = v.rootBefore(ctx, root); err != nil {
			return 0, err
		}
	}
	if !bytes.Equal(root.Bytes(), data) {
		return 0, nil
	}
	return root.Signed.Version, nil
}

// wasPublished returns the version of a targets role's file that is or was the
// published one, else 0.
func (v *View) wasPublished(ctx context.Context, role string, data []byte) (int64, error) {
	want, err := tuf.Parse[tuf.Targets](data, maxMetadata)
	if err != nil {
		return 0, nil
	}
	f, err := v.ancestor(ctx, role, want.Signed.Version)
	if err != nil || f == nil || !bytes.Equal(f.Bytes(), data) {
		return 0, err
	}
	return want.Signed.Version, nil
}

// ancestor is the version of a targets role's file that the published one was
// made from, step by step, or is; nil if it was made from none of that version,
// or from one that is too far back. Each names the one before it by its hash,
// under a signature; what lies in a slot may be an unfinished publish. Of a
// version that is not behind the published one, nothing is read that Role would
// not read.
func (v *View) ancestor(ctx context.Context, role string, version int64) (*tuf.File[tuf.Targets], error) {
	meta := v.Snapshot.Signed.Meta[role+".json"]
	if meta.Version < version {
		return nil, nil
	}
	// Listed, but perhaps of a role that nothing delegates to any more.
	f, err := loadListed(ctx, v, role, meta, maxTargets, func(*tuf.File[tuf.Targets]) error { return nil })
	reads := 0
	for err == nil && f != nil && f.Signed.Version > version {
		f, err = v.parentOf(ctx, role, f, version, &reads)
	}
	return f, err
}

// parentOf is the file that f was made from, nil if that is not among the
// versions from least on, or would take more than maxAncestors reads. Numbers
// may be missing, or have something else in their slot.
func (v *View) parentOf(ctx context.Context, role string, f *tuf.File[tuf.Targets], least int64, reads *int) (*tuf.File[tuf.Targets], error) {
	for version := f.Signed.Version - 1; version >= least; version-- {
		if *reads++; *reads > maxAncestors {
			return nil, nil
		}
		key := SlotKey(v.loader.Collection, role, version)
		data, _, err := storage.Read(ctx, v.loader.Source, key, maxMetadata)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !isWrecked(err) {
			return nil, err
		}
		if err == nil && hexSum(data) == f.Signed.Publisher.Parent {
			return tuf.Parse[tuf.Targets](data, maxMetadata)
		}
	}
	return nil, nil
}
