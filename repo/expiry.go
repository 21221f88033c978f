package repo

import (
	"context"
	"time"

	"publisher/repo/tuf"
)

// Expiry is until when a role's signatures last.
type Expiry struct {
	Role    string    `json:"role"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

// Expiries tells of every published role, the top-level ones first.
func (v *View) Expiries(ctx context.Context) ([]Expiry, error) {
	all := []Expiry{expiryOf(tuf.RoleRoot, v.Root().Head())}
	if !v.Published() {
		return all, nil
	}
	var below []Expiry
	for role, err := range v.walk(ctx) {
		if err != nil {
			return nil, err
		}
		below = append(below, expiryOf(role, v.Targets[role].Head()))
	}
	all = append(all, below[0],
		expiryOf(tuf.RoleSnapshot, v.Snapshot.Head()), expiryOf(tuf.RoleTimestamp, v.Timestamp.Head()))
	return append(all, below[1:]...), nil
}

func expiryOf(role string, head *tuf.Common) Expiry {
	return Expiry{Role: role, Version: head.Version, Expires: head.Expires}
}
