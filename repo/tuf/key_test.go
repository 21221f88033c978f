package tuf_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"publisher/repo/keys"
	"publisher/repo/tuf"
)

var algorithms = []string{keys.Ed25519, keys.ECDSA, keys.RSA}

// TestKeyID has key IDs that other makers put into published metadata.
func TestKeyID(t *testing.T) {
	for _, row := range []struct {
		name string
		key  tuf.Key
		want string
	}{
		{"ed25519", tuf.Key{
			Type: "ed25519", Scheme: "ed25519",
			Value: tuf.KeyValue{Public: "a5ebf16e4bfec00df5b3a0a580ef1edf8f5c786f398ad82e4bf1b3761c39fc9b"},
		}, "1e0c46c0f988b6f45eb0956ed6b0836697a39dca123c56453a3d8ad57c64726b"},
		{"rsa, from python-tuf", tuf.Key{
			Type: "rsa", Scheme: "rsassa-pss-sha256",
			Value: tuf.KeyValue{Public: `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCjm6HPktvTGsygQ8Gvmu+zydTN
e1zqoxLxV7mVRbmsCI4kn7JTHc4fmWZwvo7f/Wbto6Xj5HqGJFSlYIGZuTwZqPg3
w8wqv8cuPxbmsFSxMoHfzBBIuJe0FlwXFysojbdhrSUqNL84tlwTFXEhePYrpTNM
Dn+9T55B0WJYT/VPxwIDAQAB
-----END PUBLIC KEY-----
`},
		}, "282612f348dcd7fe3f19e0f890e89fad48d45335deeb91deef92873934e6fe6d"},
		{"ecdsa with a field that is no longer written, from Sigstore", tuf.Key{
			Type: "ecdsa-sha2-nistp256", Scheme: "ecdsa-sha2-nistp256",
			Value: tuf.KeyValue{Public: `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELrWvNt94v4R085ELeeCMxHp7PldF
0/T1GxukUh2ODuggLGJE0pc1e8CSBf6CS91Fwo9FUOuRsjBUld+VqSyCdQ==
-----END PUBLIC KEY-----
`},
			Unknown: jsontext.Value(`{"keyid_hash_algorithms": ["sha256", "sha512"]}`),
		}, "45b283825eb184cabd582eb17b74fc8ed404f68cf452acabdad2ed6f90ce216b"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := row.key.ID(); got != row.want {
				t.Errorf("ID = %s, want %s", got, row.want)
			}
		})
	}
}

// TestKeyIDGoTUF makes keys of every kind and compares IDs with go-tuf's.
func TestKeyIDGoTUF(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			key := newSigner(t, algorithm).Key
			pub, err := key.Public()
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := metadata.KeyFromPublicKey(pub)
			if err != nil {
				t.Fatal(err)
			}
			want, err := theirs.ID()
			if err != nil {
				t.Fatal(err)
			}
			if key.ID() != want {
				t.Errorf("ID = %s, go-tuf has %s", key.ID(), want)
			}
			again, err := tuf.NewKey(pub)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(key, again); diff != "" {
				t.Errorf("NewKey of Public (-want +got):\n%s", diff)
			}
		})
	}
}

func generateEC(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNewKeyRefuses(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		pub  crypto.PublicKey
		want string
	}{
		{"P-384", generateEC(t, elliptic.P384()).Public(), "ECDSA key on P-384"},
		{"P-521", generateEC(t, elliptic.P521()).Public(), "ECDSA key on P-521"},
		{"small RSA", small.Public(), "1024 bits: at least 2048"},
		{"a string", "key", "a string is not"},
		{"nothing", nil, "not an ed25519"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := tuf.NewKey(row.pub)
			wantError(t, err, row.want)
		})
	}
}

func publicPEM(t *testing.T, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestPublicRefuses has keys as a hostile file may describe them.
func TestPublicRefuses(t *testing.T) {
	p256 := publicPEM(t, generateEC(t, elliptic.P256()).Public())
	p384 := publicPEM(t, generateEC(t, elliptic.P384()).Public())
	ed := publicPEM(t, ed25519.NewKeyFromSeed(make([]byte, 32)).Public())
	for _, row := range []struct{ name, keytype, scheme, public, want string }{
		{"2 bytes of ed25519", "ed25519", "ed25519", "0011", "not an ed25519 key"},
		{"33 bytes of ed25519", "ed25519", "ed25519", strings.Repeat("00", 33), "not an ed25519 key"},
		{"ed25519 not in hex", "ed25519", "ed25519", strings.Repeat("zz", 32), "not an ed25519 key"},
		{"ed25519 of another scheme", "ed25519", "ed25519ph", strings.Repeat("00", 32), "not an ed25519 key"},
		{"PEM called ed25519", "ed25519", "ed25519", ed, "not an ed25519 key"},
		{"ed25519 called ecdsa", "ecdsa", "ecdsa-sha2-nistp256", ed, "does not fit"},
		{"ed25519 called rsa", "rsa", "rsassa-pss-sha256", ed, "does not fit"},
		{"P-256 called rsa", "rsa", "rsassa-pss-sha256", p256, "does not fit"},
		{"P-384 called P-256", "ecdsa", "ecdsa-sha2-nistp256", p384, "does not fit"},
		{"P-256 called P-384", "ecdsa", "ecdsa-sha2-nistp384", p256, "does not fit"},
		{"P-256 of an unknown scheme", "ecdsa", "ecdsa", p256, "does not fit"},
		{"P-256 without a scheme", "ecdsa", "", p256, "does not fit"},
		{"an unknown type", "dsa", "dsa", p256, `unknown key type "dsa"`},
		{"no PEM", "rsa", "rsassa-pss-sha256", "00", "not one PEM block"},
		{"two PEM blocks", "ecdsa", "ecdsa-sha2-nistp256", p256 + p256, "not one PEM block"},
		{"an empty block", "rsa", "rsassa-pss-sha256", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "parse public key"},
		{"nothing", "ed25519", "ed25519", "", "not an ed25519 key"},
	} {
		t.Run(row.name, func(t *testing.T) {
			key := tuf.Key{Type: row.keytype, Scheme: row.scheme, Value: tuf.KeyValue{Public: row.public}}
			_, err := key.Public()
			wantError(t, err, row.want)
			if err := key.Verify(nil, nil, false); err == nil {
				t.Error("it verifies an empty signature")
			}
		})
	}
}

// TestVerifyOlder reads what other makers sign with and nobody should now.
func TestVerifyOlder(t *testing.T) {
	p256 := generateEC(t, elliptic.P256())
	payload := []byte("payload")
	sum := sha256.Sum256(payload)
	sig, err := ecdsa.SignASN1(rand.Reader, p256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	key := tuf.Key{Type: "ecdsa-sha2-nistp256", Scheme: "ecdsa-sha2-nistp256", Value: tuf.KeyValue{Public: publicPEM(t, p256.Public())}}
	if err := key.Verify(payload, sig, true); err != nil {
		t.Errorf("the older key type: %v", err)
	}
	wantError(t, key.Verify([]byte("other"), sig, true), "does not verify")
	wantError(t, key.Verify(payload, sig[:len(sig)-1], true), "does not verify")
}

// TestVerifySalt tells an RSA signature that every client verifies from one
// that only some do.
func TestVerifySalt(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := tuf.NewKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	f := mustNew(t, tuf.Snapshot{Common: tuf.Common{Version: 1, Expires: expires}})
	sum := sha256.Sum256(f.Payload())
	ids, known := []string{key.ID()}, map[string]tuf.Key{key.ID(): key}
	for _, row := range []struct {
		name         string
		salt         int
		loose, exact int // how many signatures count
	}{{"of the hash's length", 32, 1, 1}, {"as long as possible", rsa.PSSSaltLengthAuto, 1, 0}, {"of 20 bytes", 20, 1, 0}} {
		t.Run(row.name, func(t *testing.T) {
			sig, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: row.salt})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.AddSignature(key.ID(), sig); err != nil {
				t.Fatal(err)
			}
			if n := len(f.SignedBy(ids, known, false)); n != row.loose {
				t.Errorf("%d keys have signed, want %d", n, row.loose)
			}
			if n := len(f.SignedBy(ids, known, true)); n != row.exact {
				t.Errorf("exactly, %d keys have signed, want %d", n, row.exact)
			}
		})
	}
	pkcs1, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, key.Verify(f.Payload(), pkcs1, false), "does not verify")
}
