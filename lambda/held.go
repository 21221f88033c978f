package lambda

import (
	"context"
	"fmt"
	"slices"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo/keys/awskms"
	"publisher/repo/keys/sealed"
)

// SealedKeys keeps keys sealed in the private store.
type SealedKeys struct{ Sealer sealed.Sealer }

// Make implements Keys.
func (k SealedKeys) Make(ctx context.Context, collection, _ string) (*Key, error) {
	public, data, err := sealed.Make(ctx, k.Sealer, collection)
	return &Key{Key: public, Sealed: data}, err
}

// Open implements Keys.
func (k SealedKeys) Open(ctx context.Context, key *Key) (signature.Signer, error) {
	return sealed.Open(ctx, k.Sealer, key.Collection, key.Key, key.Sealed)
}

// KMSKeys keeps keys in a key management service, where they were made by
// whoever runs the signer. No key may serve two collections, so each collection
// has its own.
type KMSKeys struct {
	Service awskms.Service
	ARNs    ARNs
}

// ARNs is the keys of each collection's roles: the first is what a new root is
// to name, the others are those that roots have named before.
type ARNs map[string]map[string][]string

// Make implements Keys. The key is there already.
func (k KMSKeys) Make(ctx context.Context, collection, role string) (*Key, error) {
	arns := k.ARNs[collection][role]
	if len(arns) == 0 {
		return nil, refused("ask whoever runs the signer to configure one (PUBLISHER_KEYS)", "there is no %s key for %s", role, collection)
	}
	public, err := awskms.Public(ctx, k.Service, arns[0])
	return &Key{Key: public, KMS: arns[0]}, err
}

// Open implements Keys. The object of a key proves nothing: only keys that are
// configured for its collection and role are used, or one collection's owner
// could have another's key sign.
func (k KMSKeys) Open(_ context.Context, key *Key) (signature.Signer, error) {
	if !slices.Contains(k.ARNs[key.Collection][key.Role], key.KMS) {
		return nil, fmt.Errorf("%w: %.200q is not configured for %s of %s", errForeign, key.KMS, key.Role, key.Collection)
	}
	return awskms.NewSigner(k.Service, key.KMS, key.Key)
}
