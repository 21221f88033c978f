package lambda

import (
	"context"
	"errors"
	"slices"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is which keys a signer offers to those who make a root. To ask
// again gives the same key until a root names it: whoever was interrupted, or
// only wanted to look, leaves nothing behind that grows.

// onlineRoles is the roles whose keys a signer holds.
var onlineRoles = []string{tuf.RoleSnapshot, tuf.RoleTimestamp}

// maxKeys is how many keys one role may have had.
const maxKeys = 100

// onlineKeys is the keys that a root is to name: those that the published one
// names, if it names any of ours, else those that nothing names yet.
// The collection is noted before they are told: none is named by a root that the
// schedule would not find.
func (s *Signer) onlineKeys(ctx context.Context, collection string) (any, error) {
	v, err := s.newest(ctx, collection)
	if err != nil {
		return nil, err
	}
	answer := &KeysAnswer{Keys: map[string]tuf.Key{}}
	for _, role := range onlineRoles {
		k, err := s.onlineKey(ctx, v, collection, role)
		if err != nil {
			return nil, err
		}
		answer.Keys[role] = k.Key
	}
	note := s.know
	if v == nil {
		note = s.ask
	}
	if err := note(ctx, collection); err != nil {
		return nil, err
	}
	return answer, nil
}

// onlineKey is that of one role; v is nil for a collection that is not there.
func (s *Signer) onlineKey(ctx context.Context, v *repo.View, collection, role string) (*Key, error) {
	if v == nil {
		return s.firstKey(ctx, collection, role)
	}
	for _, id := range v.Root().Signed.Roles[role].KeyIDs {
		if k, err := s.ownKey(ctx, collection, role, id); k != nil || err != nil {
			return k, err
		}
	}
	return s.nextKey(ctx, v, collection, role)
}

// firstKey is the key for a first root: the oldest that there is, so that all
// who ask at once agree on it, or a new one.
func (s *Signer) firstKey(ctx context.Context, collection, role string) (*Key, error) {
	ids, err := s.keyIDs(ctx, collection, role)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if k, err := s.ownKey(ctx, collection, role, id); k != nil || err != nil {
			return k, err
		}
	}
	if err := s.mayCreate(collection); err != nil {
		return nil, err
	}
	return s.anotherKey(ctx, collection, role, ids, nil)
}

// nextKey is a key that no root has ever named: the newest that there is, or a
// new one. What was replaced once may have been for a reason, and never comes
// back.
func (s *Signer) nextKey(ctx context.Context, v *repo.View, collection, role string) (*Key, error) {
	named, err := v.NamedKeys(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := s.keyIDs(ctx, collection, role)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Backward(ids) {
		if named[id] {
			continue
		}
		if k, err := s.ownKey(ctx, collection, role, id); k != nil || err != nil {
			return k, err
		}
	}
	k, err := s.anotherKey(ctx, collection, role, ids, v.Root().Signed.Roles[role].KeyIDs)
	if err == nil && named[k.Key.ID()] { // a service has those that it was given
		return nil, refused("ask whoever runs the signer to configure another one (PUBLISHER_KEYS)", "the %s key that is configured for %s was in use before", role, collection)
	}
	return k, err
}

// anotherKey makes a key beside those that there are, of which some are in use.
func (s *Signer) anotherKey(ctx context.Context, collection, role string, ids, used []string) (*Key, error) {
	if len(ids) >= maxKeys {
		dir, but := repo.OnlineKeysDir(collection, role), ""
		if len(used) > 0 {
			but = " but " + strings.Join(used, ".json and ") + ".json"
		}
		return nil, refused("have whoever runs the signer delete all"+but+" below "+dir+" in the inbox: no other is in use", "%s of %s has %d keys, and gets no more", role, collection, len(ids))
	}
	return s.makeKey(ctx, collection, role)
}

// keyIDs is the names of a role's keys, the oldest first. What lies there may
// be anything.
func (s *Signer) keyIDs(ctx context.Context, collection, role string) ([]string, error) {
	dir := repo.OnlineKeysDir(collection, role)
	var all []storage.Entry
	for e, err := range s.private.List(ctx, dir) {
		if err != nil {
			return nil, err
		}
		if all = append(all, e); len(all) > maxKeys {
			return nil, refused("have whoever runs the signer delete from there what they have not made", "%s in the inbox has more than %d objects", dir, maxKeys)
		}
	}
	slices.SortStableFunc(all, func(a, b storage.Entry) int { return a.Modified.Compare(b.Modified) })
	ids := make([]string, len(all))
	for i, e := range all {
		ids[i] = strings.TrimSuffix(strings.TrimPrefix(e.Key, dir), ".json")
	}
	return ids, nil
}

func (s *Signer) rotateKey(ctx context.Context, collection, role string) (any, error) {
	v, err := s.newest(ctx, collection)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, refused("publish it first: publisher publish "+collection, "%s is not published: its keys cannot be rotated", collection)
	}
	k, err := s.nextKey(ctx, v, collection, role)
	if err == nil {
		err = s.know(ctx, collection)
	}
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
