package sealed_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"publisher/repo/keys/sealed"
)

const (
	here  = "example.com/scripts"
	there = "example.com/others"
)

// dataKeys makes data keys that open under their context alone, unchanged.
type dataKeys struct {
	made map[string][]byte // by context and encrypted form
	err  error
}

func newDataKeys() dataKeys { return dataKeys{made: map[string][]byte{}} }

func (d dataKeys) GenerateDataKey(_ context.Context, under map[string]string) (plain, encrypted []byte, err error) {
	plain, encrypted = make([]byte, 32), make([]byte, 100)
	rand.Read(plain)
	rand.Read(encrypted)
	d.made[fmt.Sprint(under, encrypted)] = bytes.Clone(plain)
	return plain, encrypted, d.err
}

func (d dataKeys) DecryptDataKey(_ context.Context, encrypted []byte, under map[string]string) ([]byte, error) {
	key, ok := d.made[fmt.Sprint(under, encrypted)]
	if !ok && d.err == nil {
		return nil, sealed.ErrSeal
	}
	return bytes.Clone(key), d.err
}

func passphrase(t *testing.T, text string) sealed.Sealer {
	t.Helper()
	p, err := sealed.NewPassphrase([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sealers(t *testing.T) map[string]sealed.Sealer {
	return map[string]sealed.Sealer{"kms": sealed.KMS{Keys: newDataKeys()}, "passphrase": passphrase(t, "correct")}
}

func wantErrSeal(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, sealed.ErrSeal) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v, want one line with ErrSeal", what, err)
	}
}

// TestKey wants a key to sign after it was sealed and opened, and for its own
// collection only.
func TestKey(t *testing.T) {
	for name, s := range sealers(t) {
		t.Run(name, func(t *testing.T) {
			key, data, err := sealed.Make(t.Context(), s, here)
			if err != nil {
				t.Fatal(err)
			}
			signer, err := sealed.Open(t.Context(), s, here, key, data)
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
			_, err = sealed.Open(t.Context(), s, there, key, data)
			wantErrSeal(t, "under another collection", err)
			other, _, err := sealed.Make(t.Context(), s, here)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sealed.Open(t.Context(), s, here, other, data)
			wantErrSeal(t, "as another key", err)
		})
	}
}

// TestNotAKey seals something else.
func TestNotAKey(t *testing.T) {
	s := sealed.KMS{Keys: newDataKeys()}
	key, _, err := sealed.Make(t.Context(), s, here)
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Seal(t.Context(), here, []byte("not a key"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = sealed.Open(t.Context(), s, here, key, data)
	wantErrSeal(t, "not a key", err)
	_, err = sealed.Open(t.Context(), s, here, key, make([]byte, sealed.MaxSize+1))
	wantErrSeal(t, "too large", err)
}

// TestDamage changes and cuts what was sealed, at every place where that is
// cheap.
func TestDamage(t *testing.T) {
	for name, s := range sealers(t) {
		t.Run(name, func(t *testing.T) {
			data, err := s.Seal(t.Context(), here, []byte("hunter2"))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("hunter2")) {
				t.Error("the text is not encrypted")
			}
			step := 1
			if name == "passphrase" { // each costs a sixth of a second
				step = len(data) / 4
			}
			for i := 0; i < len(data); i += step {
				changed := bytes.Clone(data)
				changed[i] ^= 0x11
				for _, bad := range [][]byte{changed, data[:i]} {
					if text, err := s.Open(t.Context(), here, bad); err == nil && !bytes.Equal(text, []byte("hunter2")) || err != nil && !errors.Is(err, sealed.ErrSeal) {
						t.Errorf("at %d: %q, %v, want ErrSeal", i, text, err)
					}
				}
			}
		})
	}
}

// TestFailure tells a service that is out of order from a seal that is.
func TestFailure(t *testing.T) {
	throttled := errors.New("throttled")
	data, err := sealed.KMS{Keys: newDataKeys()}.Seal(t.Context(), here, []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	s := sealed.KMS{Keys: dataKeys{map[string][]byte{}, throttled}}
	if _, err := s.Seal(t.Context(), here, nil); !errors.Is(err, throttled) {
		t.Errorf("seal: %v, want %v", err, throttled)
	}
	if _, err := s.Open(t.Context(), here, data); !errors.Is(err, throttled) || errors.Is(err, sealed.ErrSeal) {
		t.Errorf("open: %v, want %v alone", err, throttled)
	}
}

func TestPassphrase(t *testing.T) {
	if _, err := sealed.NewPassphrase(nil); err == nil {
		t.Error("an empty passphrase is taken")
	}
	data, err := passphrase(t, "correct").Seal(t.Context(), here, []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = passphrase(t, "wrong").Open(t.Context(), here, data)
	wantErrSeal(t, "wrong passphrase", err)

	// Where one name begins another, the rest of it must not be taken for text.
	data, err = passphrase(t, "correct").Seal(t.Context(), "a", []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = passphrase(t, "correct").Open(t.Context(), "ab", data)
	wantErrSeal(t, "a longer name", err)
}
