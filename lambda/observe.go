package lambda

import (
	"context"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// observe reports how long the signatures of the top-level roles last, after a
// commit or a refresh. The files are at hand, save targets at times: that costs
// a read.
func (s *Signer) observe(ctx context.Context, collection string, c *cache) {
	report := func(role string, head *tuf.Common) {
		s.metrics.expiry(collection, role, head.Expires.Sub(s.Now()))
	}
	if root := cached[tuf.Root](c, tuf.RoleRoot); root != nil {
		report(tuf.RoleRoot, root.Head())
	}
	if ts := cached[tuf.Timestamp](c, tuf.RoleTimestamp); ts != nil {
		report(tuf.RoleTimestamp, ts.Head())
	}
	snapshot := cached[tuf.Snapshot](c, tuf.RoleSnapshot)
	if snapshot == nil {
		return
	}
	report(tuf.RoleSnapshot, snapshot.Head())
	if targets := s.targets(ctx, collection, c, snapshot.Signed.Meta["targets.json"]); targets != nil {
		report(tuf.RoleTargets, targets.Head())
	}
}

// cached is a file that was verified before, nil if it is not at hand.
func cached[T tuf.Content](c *cache, role string) *tuf.File[T] {
	data, err := c.Get(role + ".json")
	if err != nil {
		return nil
	}
	f, err := tuf.Parse[T](data, int64(len(data)))
	if err != nil {
		return nil
	}
	return f
}

// targets is the file that a verified snapshot describes.
func (s *Signer) targets(ctx context.Context, collection string, c *cache, meta tuf.MetaFile) *tuf.File[tuf.Targets] {
	if f := cached[tuf.Targets](c, tuf.RoleTargets); f != nil && f.SHA256() == meta.Hashes["sha256"] {
		return f
	}
	name := repo.SlotKey(collection, tuf.RoleTargets, meta.Version)
	data, _, err := storage.Read(ctx, s.public, name, meta.Length)
	if err == nil && hashOf(data) == meta.Hashes["sha256"] {
		c.Put("targets.json", data)
		return cached[tuf.Targets](c, tuf.RoleTargets)
	}
	s.Log.Warn("targets not read", "collection", collection, "version", meta.Version)
	return nil
}
