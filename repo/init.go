package repo

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"time"

	"publisher/repo/tuf"
)

// A Genesis is what the first root of a collection is made from.
type Genesis struct {
	Collection string
	Keys       map[string][]tuf.Key // by top-level role
	Thresholds map[string]int64     // 1 for those not there
	Lifetimes  Lifetimes            // DefaultLifetimes for those not there; delegations may have their own

	// Certs is chains of certificates for root keys: see ParseChain.
	Certs [][]*x509.Certificate
}

// NewRoot makes and signs version 1 of a collection's root. It fails if that
// could not be published: see Rejection.
func NewRoot(ctx context.Context, g Genesis, ring Keyring, now time.Time) (*tuf.File[tuf.Root], error) {
	f, err := g.root(now)
	if err != nil {
		return nil, err
	}
	root := &f.Signed
	if err := sign(ctx, ring, tuf.RoleRoot, root.Roles[tuf.RoleRoot], root.Keys, f); err != nil {
		return nil, err
	}
	if n := len(f.Bytes()); n > MaxRoot {
		return nil, reject(tuf.RoleRoot, "%d bytes, at most %d are read by clients", n, MaxRoot)
	}
	return f, nil
}

// FirstDraft is NewRoot for a root that keys of others must sign too: it comes
// with the empty targets role that a collection starts with, both signed as far
// as the keyring goes.
func FirstDraft(ctx context.Context, g Genesis, ring Keyring, now time.Time) (*Draft, error) {
	f, err := g.root(now)
	if err != nil {
		return nil, err
	}
	root := &f.Signed
	first := *firstTargets(g.Collection)
	first.Version, first.Expires = 1, now.Add(lifetime(root, tuf.RoleTargets))
	targets, err := tuf.New(first)
	if err != nil {
		return nil, err
	}
	s := &signing{ring: ring}
	if err := signInto(ctx, s, tuf.RoleRoot, root.Roles[tuf.RoleRoot], root.Keys, f); err != nil {
		return nil, err
	}
	if err := signInto(ctx, s, tuf.RoleTargets, root.Roles[tuf.RoleTargets], root.Keys, targets); err != nil {
		return nil, err
	}
	return newDraft(&Submission{Collection: g.Collection, Files: map[string][]byte{
		tuf.RoleRoot: f.Bytes(), tuf.RoleTargets: targets.Bytes(),
	}})
}

// root is the first root, not signed yet.
func (g Genesis) root(now time.Time) (*tuf.File[tuf.Root], error) {
	root := tuf.Root{ConsistentSnapshot: true, Keys: map[string]tuf.Key{}, Roles: map[string]tuf.Role{}}
	root.Version = 1
	root.Publisher = tuf.Publisher{Collection: g.Collection, Lifetimes: map[string]int64{}}
	lives := DefaultLifetimes()
	maps.Copy(lives, g.Lifetimes)
	for role, life := range lives {
		root.Publisher.Lifetimes[role] = int64(life / time.Second)
	}
	for _, role := range tuf.TopLevel {
		root.Roles[role] = g.role(role, root.Keys)
	}
	if err := certify(&root, g.Certs); err != nil {
		return nil, &Rejection{Role: tuf.RoleRoot, Reason: err}
	}
	root.Expires = now.Add(lifetime(&root, tuf.RoleRoot))
	f, err := tuf.New(root)
	if err != nil {
		return nil, err
	}
	if err := checkRoot(f); err != nil {
		return nil, &Rejection{Role: tuf.RoleRoot, Reason: err}
	}
	return f, nil
}

// role lists the keys of a role and adds them to keys.
func (g Genesis) role(role string, keys map[string]tuf.Key) tuf.Role {
	r := tuf.Role{Threshold: max(1, g.Thresholds[role])}
	if t, ok := g.Thresholds[role]; ok {
		r.Threshold = t
	}
	for _, key := range g.Keys[role] {
		keys[key.ID()] = key
		r.KeyIDs = append(r.KeyIDs, key.ID())
	}
	slices.Sort(r.KeyIDs)
	return r
}

// firstTargets is the empty targets role that a collection starts with.
func firstTargets(collection string) *tuf.Targets {
	t := &tuf.Targets{Targets: map[string]tuf.TargetFile{}}
	t.Publisher.Collection = collection
	return t
}

// checkGenesis reports why root cannot start a collection.
func checkGenesis(root *tuf.File[tuf.Root]) error {
	if v := root.Signed.Version; v != 1 {
		return fmt.Errorf("the first root has version %d", v)
	}
	return verifyTop(root, tuf.RoleRoot, root)
}
