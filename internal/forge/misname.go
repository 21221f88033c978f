package forge

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A Hand publishes what no commit would, with all the keys.
type Hand struct {
	Store      storage.Store
	Collection string
	Ring       repo.Keyring
}

// Misname publishes that to delegates to role in place of targets, with the first
// of its keys, as could be done before the names of roles counted.
func (h *Hand) Misname(ctx context.Context, role, to string) error {
	ts, there, err := storage.Read(ctx, h.Store, repo.TimestampKey(h.Collection), repo.MaxTimestamp)
	if err != nil {
		return err
	}
	timestamp, err := tuf.Parse[tuf.Timestamp](ts, repo.MaxTimestamp)
	if err != nil {
		return err
	}
	snapshot, err := slot[tuf.Snapshot](ctx, h, tuf.RoleSnapshot, timestamp.Signed.Meta["snapshot.json"].Version)
	if err != nil {
		return err
	}
	next := snapshot.Signed
	next.Version++
	next.Meta = maps.Clone(next.Meta)
	if err := h.move(ctx, next.Meta, role, to); err != nil {
		return err
	}
	shot, err := write(ctx, h, tuf.RoleSnapshot, next, snapshot.Signatures)
	if err != nil {
		return err
	}
	last := timestamp.Signed
	last.Version++
	last.Meta = map[string]tuf.MetaFile{"snapshot.json": shot}
	f, err := again(ctx, h.Ring, tuf.RoleTimestamp, last, timestamp.Signatures)
	if err != nil {
		return err
	}
	_, err = h.Store.Put(ctx, repo.TimestampKey(h.Collection), bytes.NewReader(f.Bytes()), there)
	return err
}

// move writes targets without the delegation, and to with it.
func (h *Hand) move(ctx context.Context, meta map[string]tuf.MetaFile, role, to string) error {
	from, err := slot[tuf.Targets](ctx, h, tuf.RoleTargets, meta["targets.json"].Version)
	if err != nil {
		return err
	}
	other, err := slot[tuf.Targets](ctx, h, to, meta[to+".json"].Version)
	if err != nil {
		return err
	}
	top, below := following(from), following(other)
	i := slices.IndexFunc(top.Delegations.Roles, func(d tuf.DelegatedRole) bool { return d.Name == role })
	if i < 0 {
		return fmt.Errorf("targets does not delegate to %s", role)
	}
	d := top.Delegations.Roles[i]
	below.Delegations = withRole(below.Delegations, top.Delegations.Keys[d.KeyIDs[0]], d)
	rest := *top.Delegations
	rest.Roles = slices.Delete(slices.Clone(rest.Roles), i, i+1)
	top.Delegations = &rest
	if meta["targets.json"], err = write(ctx, h, tuf.RoleTargets, top, from.Signatures); err != nil {
		return err
	}
	meta[to+".json"], err = write(ctx, h, to, below, other.Signatures)
	return err
}

// following is the content of the next version, which expires as this one does.
func following(f *tuf.File[tuf.Targets]) tuf.Targets {
	return Successor(f, f.Signed.Expires.AddDate(0, 0, -100))
}

func slot[T tuf.Content](ctx context.Context, h *Hand, role string, version int64) (*tuf.File[T], error) {
	data, _, err := storage.Read(ctx, h.Store, repo.SlotKey(h.Collection, role, version), 1<<20)
	if err != nil {
		return nil, err
	}
	return tuf.Parse[T](data, 1<<20)
}

// write puts a version into its slot, and tells how it is to be listed.
func write[T tuf.Content](ctx context.Context, h *Hand, role string, content T, by []tuf.Signature) (tuf.MetaFile, error) {
	f, err := again(ctx, h.Ring, role, content, by)
	if err != nil {
		return tuf.MetaFile{}, err
	}
	listed := tuf.MetaFile{Version: f.Head().Version, Length: int64(len(f.Bytes())), Hashes: map[string]string{"sha256": f.SHA256()}}
	_, err = h.Store.Put(ctx, repo.SlotKey(h.Collection, role, listed.Version), bytes.NewReader(f.Bytes()), storage.Absent)
	return listed, err
}
