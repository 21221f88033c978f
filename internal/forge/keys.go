package forge

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"sync"

	"publisher/repo/tuf"
)

// Hand gives a top-level role to another key of the new root. Its file is signed
// by both, for clients that do not see the new root yet; root by the new one.
func (f *Forge) Hand(role string, id string) {
	f.At("root", "roles", role)["keyids"] = []any{id}
	if _, submitted := f.Files[role]; submitted {
		if role == tuf.RoleRoot {
			f.Signers[role] = nil
		}
		f.Signers[role] = append(f.Signers[role], id)
	}
}

// Foreign lists a key in the root as it is told, to be signed with by sign.
func (f *Forge) Foreign(keytype, scheme string, pub any, sign func([]byte) []byte) string {
	f.T.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		f.T.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	id := f.list(f.At("root", "keys"), tuf.Key{Type: keytype, Scheme: scheme, Value: tuf.KeyValue{Public: string(text)}})
	f.Keys[id] = sign
	return id
}

// RSA is a private key: it is slow to make, and any will do.
var RSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// SaltEqualsHash signs as every client takes it.
func SaltEqualsHash(payload []byte) []byte { return pss(payload, rsa.PSSSaltLengthEqualsHash) }

// SaltMaximal signs as some clients do not take it.
func SaltMaximal(payload []byte) []byte { return pss(payload, rsa.PSSSaltLengthAuto) }

func pss(payload []byte, salt int) []byte {
	digest := sha256.Sum256(payload)
	return must(rsa.SignPSS(rand.Reader, RSA(), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt}))
}

func pkcs1v15(payload []byte) []byte {
	digest := sha256.Sum256(payload)
	return must(rsa.SignPKCS1v15(rand.Reader, RSA(), crypto.SHA256, digest[:]))
}

// smallRSA is a key that no library makes any more.
func smallRSA() *rsa.PublicKey {
	n := must(rand.Prime(rand.Reader, 1024))
	return &rsa.PublicKey{N: n, E: 65537}
}
