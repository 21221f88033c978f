package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"publisher/repo/strict"
	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is drafts in the inbox: what is to be signed once, and beside it an
// object for each signature. Nothing is replaced, so that whoever may create
// objects there may take part, and no more is needed.

const (
	maxSharedDrafts    = 1000
	maxSignatureObject = 16 << 10 // bytes
)

// Share puts a draft into the inbox, or what signatures it has there already
// lacks. To share it again does no harm.
func (b Inbox) Share(ctx context.Context, d *Draft) error {
	plain, signatures, err := d.apart()
	if err != nil {
		return err
	}
	data, err := plain.Encode()
	if err != nil {
		return err
	}
	if err := b.write(ctx, DraftKey(b.Collection, d.ID()), data); err != nil {
		return fmt.Errorf("share draft: %w", err)
	}
	for _, s := range signatures {
		text, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode signature: %w", err)
		}
		if err := b.write(ctx, DraftSignatureKey(b.Collection, d.ID(), hexSum(text)), text); err != nil {
			return fmt.Errorf("share signature: %w", err)
		}
	}
	return nil
}

// apart is a draft's files without signatures, and their signatures.
func (d *Draft) apart() (*Draft, []Signature, error) {
	plain := &Draft{Collection: d.Collection, Files: map[string][]byte{}, id: d.id}
	signatures := slices.Clone(d.Signatures)
	for role, data := range d.Files {
		bare, signed, err := bare(role, data)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", RoleToNotary(role), err)
		}
		plain.Files[role] = bare
		for _, s := range signed {
			signatures = append(signatures, Signature{role, s.KeyID, s.Sig})
		}
	}
	return plain, signatures, nil
}

// bare is a role's file without signatures, and its signatures.
func bare(role string, data []byte) ([]byte, []tuf.Signature, error) {
	if role == tuf.RoleRoot {
		return stripped[tuf.Root](data)
	}
	return stripped[tuf.Targets](data)
}

func stripped[T tuf.Content](data []byte) ([]byte, []tuf.Signature, error) {
	f, err := tuf.Parse[T](data, maxMetadata)
	if err != nil {
		return nil, nil, err
	}
	signatures := f.Signatures
	_, err = f.KeepSignatures(nil)
	return f.Bytes(), signatures, err
}

// Merge adds the signatures of another copy of the same draft, to be judged by
// the next Review.
func (d *Draft) Merge(other *Draft) error {
	if other.ID() != d.ID() {
		return errors.New("merge drafts: they do not say the same")
	}
	_, signatures, err := other.apart()
	d.Signatures = append(d.Signatures, signatures...)
	return err
}

// SharedDraft reads a draft of the inbox with all signatures that lie there. It
// wraps fs.ErrNotExist if the draft is not there, or was discarded.
func (b Inbox) SharedDraft(ctx context.Context, id string) (*Draft, error) {
	if !isSHA256(id) {
		return nil, fmt.Errorf("draft %.80q: %w", id, fs.ErrNotExist)
	}
	_, err := storage.Stat(ctx, b.Store, DraftDiscardedKey(b.Collection, id))
	switch {
	case err == nil:
		return nil, fmt.Errorf("draft %s: %w: it was discarded", tuf.ShortID(id), fs.ErrNotExist)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	data, _, err := storage.Read(ctx, b.Store, DraftKey(b.Collection, id), MaxDraft)
	if err != nil {
		return nil, fmt.Errorf("draft %s: %w", tuf.ShortID(id), err)
	}
	d, err := ParseDraft(data)
	if err != nil {
		return nil, fmt.Errorf("draft %s: %w", tuf.ShortID(id), err)
	}
	if d.ID() != id || d.Collection != b.Collection {
		return nil, fmt.Errorf("draft %s: it says something else than its name", tuf.ShortID(id))
	}
	d.Base = nil
	signatures, err := b.signatures(ctx, id)
	d.Signatures = append(d.Signatures, signatures...)
	return d, err
}

// signatures reads the signatures of a shared draft. Objects that are none are
// passed over: anybody who may sign may have put them there.
func (b Inbox) signatures(ctx context.Context, id string) ([]Signature, error) {
	var all []Signature
	n := 0
	for e, err := range b.Store.List(ctx, DraftSignaturesDir(b.Collection, id)) {
		if err != nil {
			return nil, err
		}
		if n++; n > maxSignatures {
			return nil, fmt.Errorf("draft %s has more than %d signatures", tuf.ShortID(id), maxSignatures)
		}
		if e.Size > maxSignatureObject {
			continue
		}
		data, _, err := storage.Read(ctx, b.Store, e.Key, maxSignatureObject)
		if errors.Is(err, fs.ErrNotExist) || isWrecked(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var s Signature
		if strict.Check(data, maxSignatureObject, signatureShape) == nil && json.Unmarshal(data, &s, json.RejectUnknownMembers(true)) == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

// SharedDrafts returns the IDs of the drafts in the inbox, dead ones too.
func (b Inbox) SharedDrafts(ctx context.Context) ([]string, error) {
	var ids []string
	for e, err := range b.Store.List(ctx, DraftsDir(b.Collection)) {
		if err != nil {
			return nil, err
		}
		id, ok := strings.CutSuffix(strings.TrimPrefix(e.Key, DraftsDir(b.Collection)), "/draft.json")
		if !ok || !isSHA256(id) {
			continue
		}
		if len(ids) == maxSharedDrafts {
			return nil, fmt.Errorf("the inbox has more than %d drafts", maxSharedDrafts)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Withdraw takes a draft out of the inbox or, where nothing may be deleted, says
// there that it is discarded.
func (b Inbox) Withdraw(ctx context.Context, id string) error {
	err := b.deleteDraft(ctx, id)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		err = b.write(ctx, DraftDiscardedKey(b.Collection, id), []byte("{}\n"))
	}
	if err != nil {
		return fmt.Errorf("discard draft %s: %w", tuf.ShortID(id), err)
	}
	return nil
}

// Tidy takes a draft that was published out of the inbox, where that is allowed.
func (b Inbox) Tidy(ctx context.Context, id string) error {
	err := b.deleteDraft(ctx, id)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// deleteDraft deletes a draft's objects, what makes them a draft first.
func (b Inbox) deleteDraft(ctx context.Context, id string) error {
	d, ok := b.Store.(storage.Deleter)
	if !ok {
		return errors.ErrUnsupported
	}
	keys := []string{DraftKey(b.Collection, id)}
	for e, err := range b.Store.List(ctx, DraftsDir(b.Collection)+id+"/") {
		if err != nil {
			return err
		}
		if e.Key != keys[0] {
			keys = append(keys, e.Key)
		}
	}
	for _, key := range keys {
		if err := b.drop(ctx, d, key); err != nil {
			return err
		}
	}
	return nil
}
