package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// This file is how a rotation that was begun is given up: with the draft that it
// has made, or alone where it has made none.

// unbegin forgets the rotation that has made a draft, which is given up, and
// returns whose keys it was to change. One whose draft is published, or half of
// it, goes on.
func (s *ceremony) unbegin() (role string, err error) {
	begun, err := s.c.Rotation()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(s.d.dead, repo.ErrDraftPublished) || s.d.half() != nil {
		return "", nil
	}
	if err != nil {
		return "", hinted(err, "move the file away")
	}
	if !makes(s.d, begun) {
		return "", nil
	}
	role = repo.RoleToNotary(begun.Role)
	s.app.infof("gave up the rotation of %s that was begun with it", role)
	return role, s.c.ClearRotation()
}

// makes reports whether a draft is that of a rotation.
func makes(d *draft, begun trust.Rotation) bool {
	if slices.Contains(tuf.TopLevel, begun.Role) {
		root := d.nextRoot()
		return root != nil && planOf(begun).Says(&root.Signed)
	}
	for _, data := range d.Files {
		f, err := tuf.Parse[tuf.Targets](data, repo.MaxDraft)
		if err != nil || f.Signed.Delegations == nil {
			continue
		}
		for _, role := range f.Signed.Delegations.Roles {
			if role.Name == begun.Role && trusts(role.KeyIDs, role.Threshold, begun.Roles[begun.Role]) {
				return true
			}
		}
	}
	return false
}

// trusts reports whether a delegation is to just those keys.
func trusts(ids []string, threshold int64, want trust.NewTrust) bool {
	return threshold == want.Threshold &&
		slices.Equal(slices.Sorted(slices.Values(ids)), slices.Sorted(slices.Values(idsOf(want.Keys))))
}

// withoutDraft gives up a rotation that was begun and has made no draft. It
// reports whether there was one.
func (s *ceremony) withoutDraft(ctx context.Context) (bool, error) {
	begun, err := s.c.Rotation()
	if errors.Is(err, fs.ErrNotExist) || s.away {
		return false, nil
	}
	if err != nil {
		return true, hinted(err, "move the file away")
	}
	v, err := s.base(ctx, &repo.Draft{})
	if err != nil {
		return true, err
	}
	role := repo.RoleToNotary(begun.Role)
	done, err := inForce(ctx, v, begun)
	if err != nil {
		return true, err
	}
	if done {
		return true, &cliError{
			err:  fmt.Errorf("the rotation of %s is published already", role),
			hint: fmt.Sprintf("publisher key rotate %s %s completes it", s.c.Name(), role), code: exitConflict,
		}
	}
	if err := s.app.insist(fmt.Sprintf("give up the rotation of %s of %s that was begun?", role, s.c.Name())); err != nil {
		return true, err
	}
	if err := s.c.ClearRotation(); err != nil {
		return true, err
	}
	return true, s.app.result(draftResult{Collection: s.c.Name(), Rotation: role, State: "discarded"}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "gave up the rotation of %s of %s that was begun\n", role, s.c.Name())
		return err
	})
}
