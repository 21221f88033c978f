package keys_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"publisher/repo/keys"
)

var algorithms = []string{keys.Ed25519, keys.ECDSA, keys.RSA}

func with(passphrase string) func(keys.Header) ([]byte, error) {
	return func(keys.Header) ([]byte, error) { return []byte(passphrase), nil }
}

func mustDecode(t *testing.T, data []byte) keys.Private {
	t.Helper()
	got, err := keys.Decode(data, with(pass))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d keys, want 1", len(got))
	}
	return got[0]
}

func mustGenerate(t *testing.T, algorithm string) crypto.Signer {
	t.Helper()
	s, err := keys.Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publicID(t *testing.T, p keys.Private) string {
	t.Helper()
	k, err := p.Public()
	if err != nil {
		t.Fatal(err)
	}
	return k.ID()
}

// wantError wants an error of one line with text in it.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want one line with %q", fmt.Sprint(err), text)
	}
}

func wantWrongPassphrase(t *testing.T, data []byte) {
	t.Helper()
	for _, wrong := range []string{"", "wrong"} {
		if _, err := keys.Decode(data, with(wrong)); !errors.Is(err, keys.ErrPassphrase) {
			t.Errorf("passphrase %q: %v, want ErrPassphrase", wrong, err)
		}
	}
	if _, err := keys.Decode(data, nil); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("no passphrase: %v, want ErrPassphrase", err)
	}
}

func TestEncode(t *testing.T) {
	for _, algorithm := range algorithms {
		for _, passphrase := range []string{"", pass} {
			t.Run(algorithm+" "+passphrase, func(t *testing.T) {
				p := keys.Private{Signer: mustGenerate(t, algorithm), Role: "targets", Collection: "example.com/a"}
				data, err := keys.Encode(p, []byte(passphrase))
				if err != nil {
					t.Fatal(err)
				}
				headers, err := keys.Inspect(data)
				if err != nil {
					t.Fatal(err)
				}
				want := []keys.Header{{Role: "targets", Collection: "example.com/a", Encrypted: passphrase != ""}}
				if diff := cmp.Diff(want, headers); diff != "" {
					t.Errorf("Inspect (-want +got):\n%s", diff)
				}
				got := mustDecode(t, data)
				if publicID(t, got) != publicID(t, p) || got.Role != p.Role || got.Collection != p.Collection {
					t.Errorf("Decode = %+v, want %+v", got, p)
				}
			})
		}
	}
}

func TestEncodeWrongPassphrase(t *testing.T) {
	data, err := keys.Encode(keys.Private{Signer: mustGenerate(t, keys.Ed25519)}, []byte(pass))
	if err != nil {
		t.Fatal(err)
	}
	wantWrongPassphrase(t, data)
}

// TestEncodeHeader keeps a role or collection from adding lines to the file.
func TestEncodeHeader(t *testing.T) {
	s := mustGenerate(t, keys.Ed25519)
	for _, p := range []keys.Private{{Signer: s, Role: "a\nb"}, {Signer: s, Collection: "a\r"}} {
		_, err := keys.Encode(p, nil)
		wantError(t, err, "control character")
	}
	data, err := keys.Encode(keys.Private{Signer: s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(data, []byte("-----BEGIN PRIVATE KEY-----\nM")) {
		t.Errorf("headers in the file of a key without role and collection:\n%s", data)
	}
}

func TestGenerateUnknown(t *testing.T) {
	_, err := keys.Generate("dsa")
	wantError(t, err, "one of ed25519, ecdsa, rsa")
}

// TestNewSigner has go-tuf verify what each kind of key signs.
func TestNewSigner(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			signer, key, err := keys.NewSigner(mustGenerate(t, algorithm))
			if err != nil {
				t.Fatal(err)
			}
			payload := []byte("payload")
			sig, err := signer.SignMessage(bytes.NewReader(payload))
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Verify(payload, sig, true); err != nil {
				t.Errorf("verify: %v", err)
			}
			root := metadata.Root(time.Unix(1<<31, 0).UTC())
			pub, err := key.Public()
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := metadata.KeyFromPublicKey(pub)
			if err != nil {
				t.Fatal(err)
			}
			if err := root.Signed.AddKey(theirs, metadata.ROOT); err != nil {
				t.Fatal(err)
			}
			if _, err := root.Sign(signer); err != nil {
				t.Fatal(err)
			}
			if root.Signatures[0].KeyID != key.ID() {
				t.Errorf("key ID %s, go-tuf has %s", key.ID(), root.Signatures[0].KeyID)
			}
			if err := root.VerifyDelegate(metadata.ROOT, root); err != nil {
				t.Errorf("go-tuf: %v", err)
			}
		})
	}
}

// opaque is a key whose private part is elsewhere.
type opaque struct{ crypto.Signer }

func TestNewSignerElsewhere(t *testing.T) {
	_, _, err := keys.NewSigner(opaque{mustGenerate(t, keys.Ed25519)})
	wantError(t, err, "not a key in memory")
}

// TestDecodeNotary reads a file as Notary exports it: several keys, each with
// role and gun in its headers, encrypted PKCS#8 and the older kind alike.
func TestDecodeNotary(t *testing.T) {
	root := addHeaders(t, openssl(t, openssl(t, nil, genP256...),
		"pkcs8", "-topk8", "-v2", "aes256", "-passout", "pass:root pass"), "root", "")
	targets := addHeaders(t, openssl(t, openssl(t, nil, genRSA...),
		"rsa", "-traditional", "-aes256", "-passout", "pass:targets pass"), "targets", "example.com/a")
	data := append(root, targets...)

	want := []keys.Header{
		{Role: "root", Encrypted: true},
		{Role: "targets", Collection: "example.com/a", Encrypted: true},
	}
	headers, err := keys.Inspect(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("Inspect (-want +got):\n%s", diff)
	}
	var asked []keys.Header
	got, err := keys.Decode(data, func(h keys.Header) ([]byte, error) {
		asked = append(asked, h)
		return []byte(h.Role + " pass"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if len(got) != 2 || got[0].Role != "root" || got[1].Role != "targets" || got[1].Collection != "example.com/a" {
		t.Errorf("Decode = %+v", got)
	}
}

func addHeaders(t *testing.T, data []byte, role, gun string) []byte {
	t.Helper()
	b, _ := pem.Decode(data)
	if b == nil {
		t.Fatalf("not PEM:\n%s", data)
	}
	b.Headers["role"] = role
	if gun != "" {
		b.Headers["gun"] = gun
	}
	return pem.EncodeToMemory(b)
}

// TestDecodeCosign reads the name that the Sigstore kind had before.
func TestDecodeCosign(t *testing.T) {
	p := keys.Private{Signer: mustGenerate(t, keys.ECDSA)}
	data, err := keys.Encode(p, []byte(pass))
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte("SIGSTORE"), []byte("COSIGN"))
	if got := mustDecode(t, data); publicID(t, got) != publicID(t, p) {
		t.Errorf("another key")
	}
}

func TestDecodePassphraseFails(t *testing.T) {
	data, err := keys.Encode(keys.Private{Signer: mustGenerate(t, keys.Ed25519)}, []byte(pass))
	if err != nil {
		t.Fatal(err)
	}
	abort := errors.New("no terminal")
	_, err = keys.Decode(data, func(keys.Header) ([]byte, error) { return nil, abort })
	if !errors.Is(err, abort) {
		t.Errorf("error %v, want %v", err, abort)
	}
}

func TestDecodeDamaged(t *testing.T) {
	good, err := keys.Encode(keys.Private{Signer: mustGenerate(t, keys.RSA)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, content string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
	}
	for _, row := range []struct{ name, data, want string }{
		{"empty", "", "not a private key: the file holds no PEM block"},
		{"text", "hello", "not a private key: the file holds no PEM block"},
		{"cut off", string(good[:len(good)/2]), "cut off or damaged: 0 of 1"},
		{"cut off, then whole", string(good[:len(good)/2]) + "\n" + string(good), "cut off or damaged: 1 of 2"},
		{"whole, then cut off", string(good) + string(good[:len(good)/2]), "cut off or damaged: 1 of 2"},
		{"flipped", strings.Replace(string(good), "\nMII", "\nM!I", 1), "cut off or damaged"},
		{"certificate", block("CERTIFICATE", "x"), "the file holds CERTIFICATE"},
		{"OpenSSH", block("OPENSSH PRIVATE KEY", "x"), "OpenSSH's own format"},
		{"DSA", block("DSA PRIVATE KEY", "x"), "DSA PRIVATE KEY"},
		{"empty block", block("PRIVATE KEY", ""), "not an ed25519"},
		{"too large", block("PRIVATE KEY", strings.Repeat("x", 17<<10)), "at most 16384 allowed"},
		{"not Sigstore", block("ENCRYPTED SIGSTORE PRIVATE KEY", "{"), "ENCRYPTED SIGSTORE PRIVATE KEY: "},
		{"not PBES2", block("ENCRYPTED PRIVATE KEY", "x"), "the encrypted key is damaged"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := keys.Decode([]byte(row.data), with(pass))
			wantError(t, err, row.want)
		})
	}
}

func der(t testing.TB, data []byte) []byte {
	t.Helper()
	b, _ := pem.Decode(data)
	if b == nil {
		t.Fatal("not PEM")
	}
	return b.Bytes
}

// TestDecodeHostile has files that ask for more than a machine has, or that
// crash readers: each is refused at once.
func TestDecodeHostile(t *testing.T) {
	sealed, err := keys.Encode(keys.Private{Signer: mustGenerate(t, keys.Ed25519)}, []byte(pass))
	if err != nil {
		t.Fatal(err)
	}
	expensive := regexp.MustCompile(`"N":\d+`).ReplaceAll(der(t, sealed), []byte(`"N":1099511627776`))
	sigstore := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: expensive})

	iv := make([]byte, 16)
	for _, row := range []struct {
		name string
		data []byte
		want string
	}{
		{"sigstore N=2^40", sigstore, "unsupported scrypt parameters"},
		{"PBKDF2 2^31", pbes2(t, pbkdf2{Iterations: 1 << 31}, iv, 16), "at most 10000000 allowed"},
		{"PBKDF2 0", pbes2(t, pbkdf2{Iterations: 0}, iv, 16), "0 iterations"},
		{"scrypt N=2^40", pbes2(t, scrypt{N: 1 << 40, R: 8, P: 1}, iv, 16), "at most 256 MiB"},
		{"scrypt r=2^40", pbes2(t, scrypt{N: 2, R: 1 << 40, P: 1}, iv, 16), "at most 256 MiB"},
		{"scrypt p=2^62", pbes2(t, scrypt{N: 2, R: 1 << 10, P: 1 << 62}, iv, 16), "at most 256 MiB"},
		{"scrypt N=3", pbes2(t, scrypt{N: 3, R: 1, P: 1}, iv, 16), "power of 2"},
		{"scrypt N=-2", pbes2(t, scrypt{N: -2, R: 1, P: 1}, iv, 16), "at most 256 MiB"},
		{"short IV", pbes2(t, pbkdf2{Iterations: 1}, iv[:3], 16), "damaged"},
		{"no data", pbes2(t, pbkdf2{Iterations: 1}, iv, 0), "damaged"},
		{"half a block", pbes2(t, pbkdf2{Iterations: 1}, iv, 24), "damaged"},
	} {
		t.Run(row.name, func(t *testing.T) {
			start := time.Now()
			_, err := keys.Decode(row.data, with(pass))
			wantError(t, err, row.want)
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

type pbkdf2 struct {
	Salt       []byte
	Iterations int
}

type scrypt struct {
	Salt    []byte
	N, R, P int
}

// pbes2 is the file of an encrypted key with the given parameters and length.
func pbes2(t testing.TB, kdf any, iv []byte, length int) []byte {
	t.Helper()
	type algorithm struct {
		OID    asn1.ObjectIdentifier
		Params any
	}
	type params struct{ KDF, Cipher any }
	kdfOID := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	if _, ok := kdf.(scrypt); ok {
		kdfOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	}
	aes256 := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	data, err := asn1.Marshal(struct {
		Algorithm algorithm
		Data      []byte
	}{
		algorithm{
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13},
			params{algorithm{kdfOID, kdf}, algorithm{aes256, iv}},
		},
		make([]byte, length),
	})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: data})
}

// FuzzDecode puts any bytes into a block of every type: keys or an error come
// out, and of a key that is taken the public half can be had.
func FuzzDecode(f *testing.F) {
	types := []string{"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY",
		"ENCRYPTED PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"}
	for _, algorithm := range algorithms {
		s, err := keys.Generate(algorithm)
		if err != nil {
			f.Fatal(err)
		}
		data, err := keys.Encode(keys.Private{Signer: s}, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(0), der(f, data))
	}
	f.Add(uint8(3), der(f, pbes2(f, pbkdf2{Salt: []byte("salt"), Iterations: 1}, make([]byte, 16), 48)))
	f.Add(uint8(3), der(f, pbes2(f, scrypt{Salt: []byte("salt"), N: 2, R: 1, P: 1}, make([]byte, 16), 48)))
	f.Add(uint8(4), []byte(`{"kdf":{"name":"scrypt","params":{"N":1,"r":8,"p":1},"salt":""},`+
		`"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}`))
	f.Fuzz(func(t *testing.T, kind uint8, der []byte) {
		block := pem.Block{Type: types[int(kind)%len(types)], Bytes: der}
		got, err := keys.Decode(pem.EncodeToMemory(&block), with(pass))
		if err != nil {
			return
		}
		if len(got) != 1 {
			t.Fatalf("%d keys, want 1", len(got))
		}
		publicID(t, got[0])
	})
}
