package awskms_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature/options"

	"publisher/repo/keys"
	"publisher/repo/keys/awskms"
)

// service holds one key by each name.
type service map[string]crypto.Signer

var errGone = errors.New("no such key")

func (s service) SignDigest(ctx context.Context, arn string, digest []byte) ([]byte, error) {
	if s[arn] == nil || ctx.Err() != nil {
		return nil, errors.Join(errGone, ctx.Err())
	}
	return s[arn].Sign(rand.Reader, digest, crypto.SHA256)
}

func (s service) PublicKey(_ context.Context, arn string) ([]byte, error) {
	if s[arn] == nil {
		return nil, errGone
	}
	return x509.MarshalPKIXPublicKey(s[arn].Public())
}

func generate(t *testing.T, algorithm string) crypto.Signer {
	t.Helper()
	k, err := keys.Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSign(t *testing.T) {
	s := service{"a": generate(t, keys.ECDSA), "b": generate(t, keys.ECDSA)}
	key, err := awskms.Public(t.Context(), s, "a")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := awskms.NewSigner(s, "a", key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.SignMessage(strings.NewReader("payload"))
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Verify([]byte("payload"), sig, true); err != nil {
		t.Error(err)
	}
	pub, err := signer.PublicKey()
	if err != nil || !s["a"].Public().(*ecdsa.PublicKey).Equal(pub) {
		t.Errorf("PublicKey = %v, %v", pub, err)
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := signer.SignMessage(strings.NewReader("x"), options.WithContext(over)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}

	// Behind the name is another key than the one that metadata names.
	wrong, err := awskms.NewSigner(s, "b", key)
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := wrong.SignMessage(strings.NewReader("x")); err == nil || sig != nil {
		t.Errorf("another key's signature is taken: %v", err)
	}
}

func TestPublic(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := service{"ed25519": generate(t, keys.Ed25519), "p384": p384}
	for _, arn := range []string{"ed25519", "p384", "missing"} {
		if key, err := awskms.Public(t.Context(), s, arn); err == nil || !strings.Contains(err.Error(), arn) {
			t.Errorf("%s: %v, %v, want an error that names it", arn, key, err)
		}
	}
	private := keys.Private{Signer: s["ed25519"]}
	key, err := private.Public()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awskms.NewSigner(s, "ed25519", key); err == nil {
		t.Error("a signer for an Ed25519 key: the service caps their messages")
	}
}
