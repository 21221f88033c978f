package sealed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Passphrase is a Sealer for places without a key management service: scrypt
// derives the key. It takes 64 MiB and about a sixth of a second each time, one
// at a time.
type Passphrase struct {
	passphrase []byte
	mu         sync.Mutex
}

// NewPassphrase returns the Sealer of a passphrase, which must not be empty.
func NewPassphrase(passphrase []byte) (*Passphrase, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	return &Passphrase{passphrase: passphrase}, nil
}

// Seal implements Sealer.
func (p *Passphrase) Seal(ctx context.Context, collection string, plaintext []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return encrypted.Encrypt(append(label(collection), plaintext...), p.passphrase)
}

// Open implements Sealer.
func (p *Passphrase) Open(ctx context.Context, collection string, sealed []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer runtime.GC() // or the 64 MiB of several would be there at once, all but one as garbage
	text, err := encrypted.Decrypt(sealed, p.passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSeal, err)
	}
	want := label(collection)
	if len(text) < len(want) || string(text[:len(want)]) != string(want) {
		return nil, fmt.Errorf("%w: it is another collection's", ErrSeal)
	}
	return text[len(want):], nil
}

// label stands before the text, inside the encryption, which has no room for
// additional data.
func label(collection string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(collection))), collection...)
}
