// Package awskms signs with keys that never leave a key management service:
// ECDSA on P-256, over the SHA-256 of the message. The service is reached
// through a small interface, so that no SDK is linked here.
package awskms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo/tuf"
)

// A Service holds the keys; each is known by its ARN.
type Service interface {
	// SignDigest signs a SHA-256 as ECDSA_SHA_256 with MessageType DIGEST, and
	// returns the signature as DER.
	SignDigest(ctx context.Context, arn string, digest []byte) ([]byte, error)

	// PublicKey returns the public half as PKIX DER.
	PublicKey(ctx context.Context, arn string) ([]byte, error)
}

// Public asks the service for a key. It fails for every kind of key but P-256.
func Public(ctx context.Context, s Service, arn string) (tuf.Key, error) {
	pub, err := public(ctx, s, arn)
	if err != nil {
		return tuf.Key{}, err
	}
	return tuf.NewKey(pub)
}

func public(ctx context.Context, s Service, arn string) (*ecdsa.PublicKey, error) {
	der, err := s.PublicKey(ctx, arn)
	if err != nil {
		return nil, fmt.Errorf("get public key of %s: %w", arn, err)
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("get public key of %s: %w", arn, err)
	}
	key, ok := pub.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("key %s is not ECDSA on P-256 (key spec ECC_NIST_P256)", arn)
	}
	return key, nil
}

// A Signer signs with one key of a service.
type Signer struct {
	service Service
	arn     string
	key     *ecdsa.PublicKey
}

var _ signature.Signer = (*Signer)(nil)

// NewSigner returns the signer of an ARN, whose public half is key. It makes no
// request.
func NewSigner(s Service, arn string, key tuf.Key) (*Signer, error) {
	pub, err := key.Public()
	if err != nil {
		return nil, err
	}
	p256, ok := pub.(*ecdsa.PublicKey)
	if !ok || p256.Curve != elliptic.P256() {
		return nil, fmt.Errorf("a %s key cannot be in the service: want ECDSA on P-256", key.Type)
	}
	return &Signer{service: s, arn: arn, key: p256}, nil
}

// PublicKey implements signature.Signer.
func (s *Signer) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return s.key, nil
}

// SignMessage implements signature.Signer. The context is that of
// options.WithContext. A signature that does not verify is an error: the key
// behind the ARN is not the one that metadata names.
func (s *Signer) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	ctx := context.Background()
	for _, opt := range opts {
		opt.ApplyContext(&ctx)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, message); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	digest := hash.Sum(nil)
	sig, err := s.service.SignDigest(ctx, s.arn, digest)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", s.arn, err)
	}
	if !ecdsa.VerifyASN1(s.key, digest, sig) {
		return nil, fmt.Errorf("sign with %s: the signature does not verify with the key that is on record", s.arn)
	}
	return sig, nil
}
