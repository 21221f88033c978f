package lambda

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"publisher/repo"
	"publisher/repo/strict"
	"publisher/repo/tuf"
)

// A Request is an event by which somebody asks the signer for something:
//
//	commit      Collection, Submission   a repo.Receipt, of a refusal too
//	keys        Collection               a KeysAnswer, made on first use
//	rotate-key  Collection, Role         a KeyAnswer: a key that no root has ever named, not in use until one does
//	cosign      Collection, Root,        a CosignAnswer, for a root that moves the keys of
//	            Snapshot                 snapshot and timestamp here or away
//	renew       Collection               a repo.Receipt, of a new timestamp whether one is due or not; one in 10 seconds
//	refresh     Collection, or all       Counts
type Request struct {
	Action     string `json:"action"`
	Collection string `json:"collection,omitempty"`
	Submission string `json:"submission,omitempty"` // its name in the inbox, a ULID
	Role       string `json:"role,omitempty"`
	Root       []byte `json:"root,omitempty"`
	Snapshot   []byte `json:"snapshot,omitempty"`
}

// The actions of a Request.
const (
	ActionCommit    = "commit"
	ActionKeys      = "keys"
	ActionRotateKey = "rotate-key"
	ActionCosign    = "cosign"
	ActionRenew     = "renew"
	ActionRefresh   = "refresh"
)

// KeysAnswer is the public keys of the online roles.
type KeysAnswer struct {
	Keys map[string]tuf.Key `json:"keys"` // by role
}

// KeyAnswer is one public key.
type KeyAnswer struct {
	Key tuf.Key `json:"key"`
}

var requestShape = strict.Object(strict.Fields{
	"action": strict.String, "collection": strict.String, "submission": strict.String, "role": strict.String,
	"root": strict.String, "snapshot": strict.String,
}, "action")

const actionHint = "send an action: commit, keys, rotate-key, cosign, renew or refresh"

func (s *Signer) request(ctx context.Context, event []byte) (any, error) {
	var r Request
	if err := strict.Check(event, maxEvent, requestShape); err != nil {
		return nil, refused(actionHint, "the request is malformed: %v", err)
	}
	if err := json.Unmarshal(event, &r, json.RejectUnknownMembers(true)); err != nil {
		return nil, refused(actionHint, "the request is malformed: %v", err)
	}
	if err := s.check(&r); err != nil {
		return nil, err
	}
	s.Log.Info("request", "action", r.Action, "collection", r.Collection, "submission", r.Submission, "role", r.Role)
	switch r.Action {
	case ActionCommit:
		return s.requestCommit(ctx, &r)
	case ActionKeys:
		return s.onlineKeys(ctx, r.Collection)
	case ActionRotateKey:
		return s.rotateKey(ctx, r.Collection, r.Role)
	case ActionCosign:
		return s.cosign(ctx, &r)
	case ActionRenew:
		return s.renew(ctx, r.Collection)
	}
	return s.requestRefresh(ctx, r.Collection)
}

// check refuses what makes no sense, or is not done by this instance.
func (s *Signer) check(r *Request) error {
	switch r.Action {
	case ActionCommit, ActionKeys, ActionRotateKey, ActionCosign, ActionRenew:
		if s.Only == Refreshing {
			return refused("invoke the function that publishes", "this function only refreshes")
		}
	case ActionRefresh:
		if s.Only == Publishing {
			return refused("invoke the function that refreshes", "this function does not refresh")
		}
	default:
		return refused(actionHint, "unknown action %.80q", r.Action)
	}
	if r.Collection != "" || r.Action != ActionRefresh {
		if err := repo.CheckCollection(r.Collection); err != nil {
			return refused("use a name such as example.com/scripts", "%v", err)
		}
	}
	if _, err := ulid.ParseStrict(r.Submission); err != nil && (r.Submission != "" || r.Action == ActionCommit) {
		return refused("give the name of a submission in the inbox, a ULID", "%.80q is not the name of a submission", r.Submission)
	}
	if r.Role != tuf.RoleSnapshot && r.Role != tuf.RoleTimestamp && (r.Role != "" || r.Action == ActionRotateKey) {
		return refused("give the role snapshot or timestamp", "%.80q is not an online role", r.Role)
	}
	return nil
}

func (s *Signer) requestCommit(ctx context.Context, r *Request) (any, error) {
	receipt, err := s.commit(ctx, r.Collection, r.Submission)
	if errors.Is(err, errNoSubmission) {
		return nil, &RefusedError{
			Reason: fmt.Sprintf("submission %s is not in the inbox of %s", r.Submission, r.Collection),
			Hint:   "look for its receipt, or publish again", cause: err,
		}
	}
	return receipt, err
}

func (s *Signer) requestRefresh(ctx context.Context, collection string) (any, error) {
	if collection == "" {
		return s.refreshAll(ctx)
	}
	t := &tally{}
	if err := s.refresh(ctx, collection, false, t); err != nil {
		return nil, fmt.Errorf("refresh %s: %w", collection, err)
	}
	return &t.counts, nil
}
