package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"path"
	"slices"

	"publisher/repo"
	"publisher/repo/tuf"
)

// This file is about caches that have still what a collection had which was deleted
// and made again: what is told to be immutable was replaced.

const whyFormer = "a cache has it from a collection of that name which was deleted before, or somebody else has put it there; clients refuse it"

// purge is what to do about it.
func (p *Patient) purge() string {
	dir := "/" + escaped(p.Collection) + "/*"
	return "purge " + dir + " from all caches (aws cloudfront create-invalidation --distribution-id ID --paths '" + dir + "'); publisher check " +
		p.Collection + " --deep tells whether the store has the right one"
}

// former reports whether what is served in place of a role's file, to those who
// accept an encoding, is that role's file of another collection: of the same
// version, and not signed by keys of this one.
func (p *Patient) former(ctx context.Context, o object, accepted string) bool {
	role, version, ok := repo.ParseSlot(path.Base(o.key))
	if !ok || path.Dir(o.key) != repo.MetadataDir(p.Collection) {
		return false
	}
	a, err := p.get(ctx, escaped(o.key), "Accept-Encoding", accepted)
	if err != nil {
		return false
	}
	data := a.body
	if a.header.Get("Content-Encoding") == "gzip" {
		if data, err = unzipped(data); err != nil {
			return false
		}
	}
	switch role {
	case tuf.RoleRoot:
		f, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
		return err == nil && f.Signed.Version == version && f.Verify(role, f.Signed.Roles[role], f.Signed.Keys) == nil
	case tuf.RoleSnapshot:
		f, err := tuf.Parse[tuf.Snapshot](data, maxAnswer)
		return err == nil && f.Signed.Version == version && p.strange(f.Signatures)
	}
	f, err := tuf.Parse[tuf.Targets](data, maxAnswer)
	return err == nil && f.Signed.Version == version && p.strange(f.Signatures)
}

// strange reports whether no key of the root has signed.
func (p *Patient) strange(signatures []tuf.Signature) bool {
	keys := p.view.Root().Signed.Keys
	return !slices.ContainsFunc(signatures, func(s tuf.Signature) bool {
		_, ours := keys[s.KeyID]
		return ours
	})
}

func unzipped(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, maxAnswer))
}
