package keys_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"publisher/repo/keys"
)

const pass = "correct horse"

// openssl runs the real tool with its output going to a file, whose content it
// returns.
func openssl(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	bin, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	out := filepath.Join(t.TempDir(), "out.pem")
	cmd := exec.CommandContext(t.Context(), bin, append(args, "-out", out)...)
	cmd.Stdin = strings.NewReader(string(stdin))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var (
	genEd25519 = []string{"genpkey", "-algorithm", "ED25519"}
	genP256    = []string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}
	genRSA     = []string{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}
)

// TestDecodeOpenSSL reads every form in which openssl writes private keys, and
// finds the key that openssl itself sees in it.
func TestDecodeOpenSSL(t *testing.T) {
	p8 := func(args ...string) []string {
		return append([]string{"pkcs8", "-topk8", "-passout", "pass:" + pass}, args...)
	}
	for _, row := range []struct {
		name string
		gen  []string
		conv []string // nil: as generated
		kind string   // of the PEM block
	}{
		{"ed25519", genEd25519, nil, "PRIVATE KEY"},
		{"p256", genP256, nil, "PRIVATE KEY"},
		{"rsa", genRSA, nil, "PRIVATE KEY"},
		{"sec1", genP256, []string{"ec"}, "EC PRIVATE KEY"},
		{"pkcs1", genRSA, []string{"rsa", "-traditional"}, "RSA PRIVATE KEY"},
		{"default", genEd25519, p8(), "ENCRYPTED PRIVATE KEY"},
		{"aes128", genP256, p8("-v2", "aes128"), "ENCRYPTED PRIVATE KEY"},
		{"aes192", genP256, p8("-v2", "aes192"), "ENCRYPTED PRIVATE KEY"},
		{"aes256", genRSA, p8("-v2", "aes256"), "ENCRYPTED PRIVATE KEY"},
		{"3des", genP256, p8("-v2", "des3"), "ENCRYPTED PRIVATE KEY"},
		{"sha1", genP256, p8("-v2prf", "hmacWithSHA1"), "ENCRYPTED PRIVATE KEY"},
		{"sha224", genP256, p8("-v2prf", "hmacWithSHA224"), "ENCRYPTED PRIVATE KEY"},
		{"sha384", genP256, p8("-v2prf", "hmacWithSHA384"), "ENCRYPTED PRIVATE KEY"},
		{"sha512", genP256, p8("-v2prf", "hmacWithSHA512", "-iter", "100000"), "ENCRYPTED PRIVATE KEY"},
		{"scrypt", genEd25519, p8("-scrypt"), "ENCRYPTED PRIVATE KEY"},
		{"sec1 aes256", genP256, []string{"ec", "-aes256", "-passout", "pass:" + pass}, "EC PRIVATE KEY"},
		{"sec1 des3", genP256, []string{"ec", "-des3", "-passout", "pass:" + pass}, "EC PRIVATE KEY"},
		{"pkcs1 aes128", genRSA, []string{"rsa", "-traditional", "-aes128", "-passout", "pass:" + pass}, "RSA PRIVATE KEY"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			plain := openssl(t, nil, row.gen...)
			data := plain
			if row.conv != nil {
				data = openssl(t, plain, row.conv...)
			}
			if want := "-----BEGIN " + row.kind + "-----"; !strings.Contains(string(data), want) {
				t.Fatalf("openssl wrote no %s:\n%s", want, data)
			}
			headers, err := keys.Inspect(data)
			if err != nil || len(headers) != 1 {
				t.Fatalf("Inspect = %v, %v", headers, err)
			}
			encrypted := strings.Contains(strings.Join(row.conv, " "), "pass:")
			if headers[0] != (keys.Header{Encrypted: encrypted}) {
				t.Errorf("Inspect = %+v", headers[0])
			}
			want, err := keys.ParsePublic(openssl(t, plain, "pkey", "-pubout"))
			if err != nil {
				t.Fatal(err)
			}
			if got := mustDecode(t, data); publicID(t, got) != want.ID() {
				t.Errorf("key %s, want %s", publicID(t, got), want.ID())
			}
			if encrypted {
				wantWrongPassphrase(t, data)
			}
		})
	}
}

// TestWrongPassphrases tries so many that some leave good padding by chance:
// those too are wrong passphrases, and not damaged keys.
func TestWrongPassphrases(t *testing.T) {
	plain := openssl(t, nil, genP256...)
	for name, conv := range map[string][]string{
		"pkcs8": {"pkcs8", "-topk8", "-iter", "1", "-passout", "pass:" + pass},
		"sec1":  {"ec", "-aes256", "-passout", "pass:" + pass},
	} {
		t.Run(name, func(t *testing.T) {
			data := openssl(t, plain, conv...)
			for i := range 1500 {
				if _, err := keys.Decode(data, with(strconv.Itoa(i))); !errors.Is(err, keys.ErrPassphrase) {
					t.Fatalf("passphrase %d: %v, want ErrPassphrase", i, err)
				}
			}
		})
	}
}

// TestDecodeCurveParameters reads the pair of blocks that openssl ecparam
// writes.
func TestDecodeCurveParameters(t *testing.T) {
	data := openssl(t, nil, "ecparam", "-name", "prime256v1", "-genkey")
	if !strings.Contains(string(data), "BEGIN EC PARAMETERS") {
		t.Fatalf("openssl wrote no parameters:\n%s", data)
	}
	mustDecode(t, data)
}

func TestRefused(t *testing.T) {
	ec := func(curve string) []string {
		return []string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve}
	}
	for _, row := range []struct {
		name string
		gen  []string
		conv []string
		want string
	}{
		{"P-384", ec("P-384"), nil, "only P-256"},
		{"P-384 encrypted", ec("P-384"), []string{"pkcs8", "-topk8", "-passout", "pass:" + pass}, "only P-256"},
		{"secp256k1", ec("secp256k1"), nil, "not an ed25519, ECDSA P-256 or RSA key"},
		{"secp256k1 encrypted", ec("secp256k1"), []string{"ec", "-aes256", "-passout", "pass:" + pass}, "not an ed25519, ECDSA P-256 or RSA key"},
		{"small RSA", []string{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"}, nil, "at least 2048"},
		{"X25519", []string{"genpkey", "-algorithm", "X25519"}, nil, "key exchange"},
		{"Ed448", []string{"genpkey", "-algorithm", "ED448"}, nil, "not an ed25519, ECDSA P-256 or RSA key"},
		{"PBES1", genP256, []string{"pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-passout", "pass:" + pass}, "openssl pkcs8 -topk8"},
		{"public", genP256, []string{"pkey", "-pubout"}, "not a private key: the file holds PUBLIC KEY"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			data := openssl(t, nil, row.gen...)
			if row.conv != nil {
				data = openssl(t, data, row.conv...)
			}
			_, err := keys.Decode(data, with(pass))
			wantError(t, err, row.want)
		})
	}
}

func TestParsePublicRefused(t *testing.T) {
	for name, row := range map[string]struct {
		gen  []string
		want string
	}{
		"private": {genP256, "want one block BEGIN PUBLIC KEY, have PRIVATE KEY"},
		"P-384":   {[]string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, "only P-256"},
		"X25519":  {[]string{"genpkey", "-algorithm", "X25519"}, "key exchange"},
	} {
		t.Run(name, func(t *testing.T) {
			data := openssl(t, nil, row.gen...)
			if name != "private" {
				data = openssl(t, data, "pkey", "-pubout")
			}
			_, err := keys.ParsePublic(data)
			wantError(t, err, row.want)
		})
	}
}
