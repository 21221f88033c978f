package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo"
	"publisher/repo/keys/sealed"
	"publisher/repo/strict"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A Key is an online key as it lies in the private store, written once. Both
// kinds have such an object, so that listing the store finds every collection.
type Key struct {
	Role       string    `json:"role"`
	Collection string    `json:"collection"`
	Key        tuf.Key   `json:"key"`
	Sealed     []byte    `json:"sealed,omitempty"` // the private half, see package sealed
	KMS        string    `json:"kms,omitempty"`    // or where it is: an ARN, see package awskms
	Created    time.Time `json:"created"`
}

// maxKey is how many bytes the object of a key has at most.
const maxKey = 32 << 10

var keyShape = strict.Object(strict.Fields{
	"role": strict.String, "collection": strict.String, "created": strict.String,
	"key": strict.Object(strict.Fields{
		"keytype": strict.String, "scheme": strict.String,
		"keyval": strict.Object(strict.Fields{"public": strict.String}, "public"),
	}, "keytype", "scheme", "keyval"),
	"sealed": strict.String, "kms": strict.String,
}, "role", "collection", "created", "key")

// parseKey reads the object of a key, which is hostile until it opens: whoever
// may write the private store can put anything there.
func parseKey(data []byte, collection, role, keyID string) (*Key, error) {
	if err := strict.Check(data, maxKey, keyShape); err != nil {
		return nil, err
	}
	k := &Key{}
	if err := json.Unmarshal(data, k, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	switch {
	case k.Collection != collection:
		return nil, fmt.Errorf("it is of the collection %.255q", k.Collection)
	case k.Role != role:
		return nil, fmt.Errorf("it is for the role %.80q", k.Role)
	case k.Key.ID() != keyID:
		return nil, fmt.Errorf("its key has the ID %s", k.Key.ID())
	case (len(k.Sealed) == 0) == (k.KMS == ""):
		return nil, errors.New("it has not one private half")
	}
	_, err := k.Key.Public()
	return k, err
}

// readKey reads the object of a key. The error wraps fs.ErrNotExist if the
// signer does not hold it.
func (s *Signer) readKey(ctx context.Context, collection, role, keyID string) (*Key, error) {
	name := repo.OnlineKeyKey(collection, role, keyID)
	if !storage.ValidKey(name) {
		return nil, fmt.Errorf("key %.80q: %w", keyID, fs.ErrNotExist)
	}
	data, _, err := storage.Read(ctx, s.private, name, maxKey)
	if errors.Is(err, storage.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	if err != nil {
		return nil, err
	}
	k, err := parseKey(data, collection, role, keyID)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", name, errForeign, err)
	}
	return k, nil
}

// errForeign reports an object that no signer has made for its role.
var errForeign = errors.New("not a key of this signer")

// ownKey reads the key of an object if this signer can sign with it, and else is
// nil: whoever may write the private store can leave objects that look like
// keys, and a root that names one of those could never be followed by anything.
func (s *Signer) ownKey(ctx context.Context, collection, role, keyID string) (*Key, error) {
	k, err := s.readKey(ctx, collection, role, keyID)
	if err == nil {
		_, err = s.openKey(ctx, k)
	}
	switch {
	case err == nil:
		return k, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, errForeign), errors.Is(err, sealed.ErrSeal):
		s.Log.Warn("not a key of this signer", "collection", collection, "role", role, "key", keyID, "error", err.Error())
		return nil, nil
	}
	return nil, err
}

// openKey opens the key of an object, unless these very bytes are open: to open
// a seal takes a request to a service, or 64 MiB.
func (s *Signer) openKey(ctx context.Context, k *Key) (signature.Signer, error) {
	name := repo.OnlineKeyKey(k.Collection, k.Role, k.Key.ID())
	if signer, of := s.opened.find(name); signer != nil && bytes.Equal(of.Sealed, k.Sealed) && of.KMS == k.KMS {
		return signer, nil
	}
	signer, err := s.keys.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	s.opened.put(name, signer, k)
	return signer, nil
}

// makeKey makes a key and writes its object.
func (s *Signer) makeKey(ctx context.Context, collection, role string) (*Key, error) {
	k, err := s.keys.Make(ctx, collection, role)
	if err != nil {
		return nil, fmt.Errorf("make %s key: %w", role, err)
	}
	k.Role, k.Collection, k.Created = role, collection, s.Now().UTC().Truncate(time.Second)
	data, err := json.Marshal(k, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode %s key: %w", role, err)
	}
	name := repo.OnlineKeyKey(collection, role, k.Key.ID())
	if _, err := s.private.Put(ctx, name, bytes.NewReader(data), storage.Absent); err != nil {
		// There already: a key of a service is the same each time it is asked for.
		if there, readErr := s.readKey(ctx, collection, role, k.Key.ID()); readErr == nil && there.KMS == k.KMS && bytes.Equal(there.Sealed, k.Sealed) {
			return there, nil
		}
		return nil, err
	}
	// Said only once it is proven that it can be read and opened again.
	if k, err = s.readKey(ctx, collection, role, k.Key.ID()); err != nil {
		return nil, err
	}
	if _, err := s.openKey(ctx, k); err != nil {
		return nil, fmt.Errorf("open the new %s key: %w", role, err)
	}
	s.Log.Info("key made", "collection", collection, "role", role, "key", k.Key.ID())
	return k, nil
}
