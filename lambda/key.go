package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"publisher/repo"
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
	if err != nil {
		return nil, err
	}
	k, err := parseKey(data, collection, role, keyID)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return k, nil
}

// makeKey makes a key and writes its object.
func (s *Signer) makeKey(ctx context.Context, collection, role string) (*Key, error) {
	k, err := s.Keys.Make(ctx, collection, role)
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
	if _, err := s.Keys.Open(ctx, k); err != nil {
		return nil, fmt.Errorf("open the new %s key: %w", role, err)
	}
	s.Log.Info("key made", "collection", collection, "role", role, "key", k.Key.ID())
	return k, nil
}

// onlineRoles is the roles whose keys a signer holds.
var onlineRoles = []string{tuf.RoleSnapshot, tuf.RoleTimestamp}

// onlineKeys is the keys that a root is to name: those that the published one
// names, if it names any of ours, else the first one there is, else a new one.
func (s *Signer) onlineKeys(ctx context.Context, collection string) (*KeysAnswer, error) {
	root, err := s.newestRoot(ctx, collection)
	if err != nil {
		return nil, err
	}
	answer := &KeysAnswer{Keys: map[string]tuf.Key{}}
	for _, role := range onlineRoles {
		k, err := s.onlineKey(ctx, root, collection, role)
		if err != nil {
			return nil, err
		}
		answer.Keys[role] = k.Key
	}
	return answer, nil
}

// onlineKey is that of one role; root is nil for a collection that is not there.
func (s *Signer) onlineKey(ctx context.Context, root *tuf.Root, collection, role string) (*Key, error) {
	if root != nil {
		for _, id := range root.Roles[role].KeyIDs {
			k, err := s.readKey(ctx, collection, role, id)
			if !errors.Is(err, fs.ErrNotExist) {
				return k, err
			}
		}
	}
	id, err := s.firstKey(ctx, collection, role)
	if err != nil || id != "" {
		if err != nil {
			return nil, err
		}
		return s.readKey(ctx, collection, role, id)
	}
	if root == nil {
		if err := s.mayCreate(collection); err != nil {
			return nil, err
		}
	}
	return s.makeKey(ctx, collection, role)
}

// maxKeys is how many keys one role may have had.
const maxKeys = 1000

// firstKey is the ID of the oldest key that a role has, empty if it has none.
func (s *Signer) firstKey(ctx context.Context, collection, role string) (string, error) {
	dir := repo.OnlineKeysDir(collection, role)
	var all []storage.Entry
	for e, err := range s.private.List(ctx, dir) {
		if err != nil {
			return "", err
		}
		if all = append(all, e); len(all) > maxKeys {
			return "", fmt.Errorf("%s has more than %d objects", dir, maxKeys)
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	oldest := slices.MinFunc(all, func(a, b storage.Entry) int { return a.Modified.Compare(b.Modified) })
	return strings.TrimSuffix(strings.TrimPrefix(oldest.Key, dir), ".json"), nil
}

func (s *Signer) rotateKey(ctx context.Context, collection, role string) (*KeyAnswer, error) {
	root, err := s.newestRoot(ctx, collection)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, refused("publish it first: publisher publish "+collection, "%s is not published: its keys cannot be rotated", collection)
	}
	k, err := s.makeKey(ctx, collection, role)
	if err != nil {
		return nil, err
	}
	return &KeyAnswer{Key: k.Key}, nil
}

// mayCreate asks the configuration about a new collection.
func (s *Signer) mayCreate(collection string) error {
	err := errors.New("no collections are created here")
	if s.Create != nil {
		err = s.Create(collection)
	}
	if err == nil {
		return nil
	}
	return refused("ask whoever runs the signer to allow the name (PUBLISHER_CREATE)", "%s may not be created: %v", collection, err)
}
