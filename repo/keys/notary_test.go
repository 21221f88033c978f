package keys_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"publisher/internal/interop"
	"publisher/repo/keys"
	"publisher/repo/tuf"
)

// TestNotary opens key files that Notary's own code has written, and signs with
// each.
func TestNotary(t *testing.T) {
	dir := t.TempDir()
	interop.InstallNotary(t).WriteKeys(t, dir)
	for _, algorithm := range algorithms {
		ids := map[string]bool{}
		for _, form := range []string{"plain", "encrypted", "plain-old", "encrypted-old"} {
			t.Run(algorithm+"-"+form, func(t *testing.T) {
				data := readFile(t, filepath.Join(dir, algorithm+"-"+form+".pem"))
				if bytes.Contains(data, []byte("ENCRYPTED")) {
					wantWrongPassphrase(t, data)
				}
				key, signed := decodeNotary(t, data)
				ids[key.ID()] = true
				if key.Type != algorithm || signed.Role != "targets" {
					t.Errorf("it is a %s key for %q, want a %s key for targets", key.Type, signed.Role, algorithm)
				}
			})
		}
		if len(ids) != 1 {
			t.Errorf("%s: four forms of one key are %d keys", algorithm, len(ids))
		}
	}
}

// decodeNotary opens a file and tries whether the key signs for its public half.
func decodeNotary(t *testing.T, data []byte) (tuf.Key, keys.Private) {
	t.Helper()
	all, err := keys.Decode(data, with(interop.NotaryPassphrase))
	if err != nil {
		t.Fatal(err)
	}
	signer, key, err := keys.NewSigner(all[0].Signer)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("message")
	sig, err := signer.SignMessage(bytes.NewReader(message))
	if err == nil {
		err = key.Verify(message, sig, true)
	}
	if err != nil {
		t.Error(err)
	}
	return key, all[0]
}

// TestNotaryEd25519Damaged: three parts that do not belong together are no key.
func TestNotaryEd25519Damaged(t *testing.T) {
	dir := t.TempDir()
	interop.InstallNotary(t).WriteKeys(t, dir)
	good, _ := pem.Decode(readFile(t, filepath.Join(dir, "ed25519-plain-old.pem")))
	for name, raw := range map[string][]byte{
		"no bytes":      {},
		"cut off":       good.Bytes[:95],
		"other public":  append([]byte{good.Bytes[0] ^ 1}, good.Bytes[1:]...),
		"other private": append(bytes.Clone(good.Bytes[:95]), good.Bytes[95]^1),
		"other seed":    append(append(bytes.Clone(good.Bytes[:32]), good.Bytes[32]^1), good.Bytes[33:]...),
	} {
		_, err := keys.Decode(pem.EncodeToMemory(&pem.Block{Type: good.Type, Bytes: raw}), nil)
		if err == nil || errors.Is(err, keys.ErrPassphrase) {
			t.Errorf("%s: %v, want an error that is not about the passphrase", name, err)
		}
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
