// Package sealed keeps online keys encrypted beside the collection they sign
// for. Each is bound to that collection: sealed for one, it does not open for
// another, whoever moved it.
package sealed

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo/keys"
	"publisher/repo/tuf"
)

// A Sealer encrypts for one collection. What it returns opens for that
// collection alone; anything else fails with an error wrapping ErrSeal. Other
// errors are failures of whoever holds the outer key, and may pass.
type Sealer interface {
	Seal(ctx context.Context, collection string, plaintext []byte) ([]byte, error)
	Open(ctx context.Context, collection string, sealed []byte) ([]byte, error)
}

// ErrSeal reports bytes that were not sealed for this collection under this
// key, or that were changed since.
var ErrSeal = errors.New("the seal does not open")

// MaxSize is how many bytes a sealed key has at most.
const MaxSize = 8 << 10

// Make makes an Ed25519 key for a collection. The private half leaves this
// function sealed.
func Make(ctx context.Context, s Sealer, collection string) (tuf.Key, []byte, error) {
	private, err := keys.Generate(keys.Ed25519)
	if err != nil {
		return tuf.Key{}, nil, fmt.Errorf("make key: %w", err)
	}
	public, err := tuf.NewKey(private.Public())
	if err != nil {
		return tuf.Key{}, nil, fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return tuf.Key{}, nil, fmt.Errorf("make key: %w", err)
	}
	data, err := s.Seal(ctx, collection, der)
	if err != nil {
		return tuf.Key{}, nil, fmt.Errorf("seal key: %w", err)
	}
	return public, data, nil
}

// Open returns the signer that was sealed. It fails with an error wrapping
// ErrSeal unless what is inside is the private half of key.
func Open(ctx context.Context, s Sealer, collection string, key tuf.Key, data []byte) (signature.Signer, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d expected", ErrSeal, len(data), MaxSize)
	}
	der, err := s.Open(ctx, collection, data)
	if err != nil {
		return nil, fmt.Errorf("open sealed key: %w", err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("open sealed key: %w: %w", ErrSeal, err)
	}
	inside, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("open sealed key: %w: a %T cannot sign", ErrSeal, private)
	}
	signer, public, err := keys.NewSigner(inside)
	if err != nil {
		return nil, fmt.Errorf("open sealed key: %w: %w", ErrSeal, err)
	}
	if public.ID() != key.ID() {
		return nil, fmt.Errorf("open sealed key: %w: another key is inside", ErrSeal)
	}
	return signer, nil
}
