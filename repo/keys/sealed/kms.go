package sealed

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// A DataKeys is a key management service, in as much of it as KMS needs: one
// key that never leaves it, under which it makes and opens others. The context
// is authenticated: what was made under one opens under no other. DecryptDataKey
// fails with an error wrapping ErrSeal for what it never made.
type DataKeys interface {
	GenerateDataKey(ctx context.Context, context map[string]string) (plain, encrypted []byte, err error)
	DecryptDataKey(ctx context.Context, encrypted []byte, context map[string]string) (plain []byte, err error)
}

// ContextKey is the name under which the collection stands in the encryption
// context, where policies of the service can see it.
const ContextKey = "publisher:collection"

// KMS is a Sealer with a fresh AES-256-GCM key each time, which the service
// encrypts. The collection is both its encryption context and additional data.
type KMS struct{ Keys DataKeys }

// A sealed text is: the format (one byte), the length of the encrypted data key
// (two bytes), that key, the nonce, the text.
const (
	formatKMS  = 1
	dataKeyLen = 32
	headerLen  = 3
)

// Seal implements Sealer.
func (k KMS) Seal(ctx context.Context, collection string, plaintext []byte) ([]byte, error) {
	key, encrypted, err := k.Keys.GenerateDataKey(ctx, encryptionContext(collection))
	if err != nil {
		return nil, fmt.Errorf("generate data key: %w", err)
	}
	defer clear(key)
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	if len(encrypted) > MaxSize {
		return nil, fmt.Errorf("generate data key: encrypted it has %d bytes", len(encrypted))
	}
	out := binary.BigEndian.AppendUint16([]byte{formatKMS}, uint16(len(encrypted)))
	out = append(out, encrypted...)
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails
	return aead.Seal(append(out, nonce...), nonce, plaintext, []byte(collection)), nil
}

// Open implements Sealer.
func (k KMS) Open(ctx context.Context, collection string, sealed []byte) ([]byte, error) {
	encrypted, rest, err := split(sealed)
	if err != nil {
		return nil, err
	}
	key, err := k.Keys.DecryptDataKey(ctx, encrypted, encryptionContext(collection))
	if err != nil {
		return nil, fmt.Errorf("decrypt data key: %w", err)
	}
	defer clear(key)
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	if len(rest) < aead.NonceSize() {
		return nil, errShort
	}
	nonce, text := rest[:aead.NonceSize()], rest[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, text, []byte(collection))
	if err != nil {
		return nil, ErrSeal
	}
	return plain, nil
}

var errShort = fmt.Errorf("%w: it is cut short", ErrSeal)

// split takes a sealed text apart: the encrypted data key, and the rest.
func split(sealed []byte) (encrypted, rest []byte, err error) {
	if len(sealed) < headerLen {
		return nil, nil, errShort
	}
	if sealed[0] != formatKMS {
		return nil, nil, fmt.Errorf("%w: it has the format %d", ErrSeal, sealed[0])
	}
	n := int(binary.BigEndian.Uint16(sealed[1:headerLen]))
	if rest = sealed[headerLen:]; len(rest) < n {
		return nil, nil, errShort
	}
	return rest[:n], rest[n:], nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	if len(key) != dataKeyLen {
		return nil, errors.New("the data key does not have 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func encryptionContext(collection string) map[string]string {
	return map[string]string{ContextKey: collection}
}
