package lambda

import (
	"context"
	"errors"

	"publisher/repo"
)

// CosignAnswer is the other party's half of a rotation: the snapshot of the
// request with the signatures of the keys held here, and a timestamp for it.
type CosignAnswer struct {
	Snapshot  []byte `json:"snapshot"`
	Timestamp []byte `json:"timestamp"`
}

// cosign signs for somebody who moves the keys of snapshot and timestamp here,
// or away from here. That the new root is signed by the root keys in force is
// what allows it. Nothing is written.
func (s *Signer) cosign(ctx context.Context, r *Request) (any, error) {
	known, err := s.known(ctx, r.Collection)
	if err != nil {
		return nil, err
	}
	if known == nil {
		return nil, refused("publish it first: publisher publish "+r.Collection, "%s is not published: there is nothing to cosign", r.Collection)
	}
	snapshot, timestamp, err := s.committer(r.Collection, known, s.public).CosignFor(ctx, r.Root, r.Snapshot)
	var rejection *repo.Rejection
	var stale *repo.StaleError
	switch {
	case errors.As(err, &rejection), errors.As(err, &stale), errors.Is(err, repo.ErrNoKey):
		return nil, refused("run publisher key rotate "+r.Collection+" again: it starts from what is published now", "not cosigned: %v", err)
	case err != nil:
		return nil, err
	}
	s.caches.keep(known)
	s.Log.Info("cosigned a rotation", "collection", r.Collection)
	return &CosignAnswer{Snapshot: snapshot, Timestamp: timestamp}, nil
}
