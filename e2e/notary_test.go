package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	mathbig "math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"publisher/internal/interop"
	pkeys "publisher/repo/keys"
)

const alpine = "docker.io/library/alpine"

// A notaryScene is a collection that the real Notary has made, and the files of
// its targets.
type notaryScene struct {
	user  *interop.NotaryUser
	url   string
	files files
	tree  string // where they are
	dir   string // for keys
}

// delegatedFiles is those of the scene's targets that delegations have.
var delegatedFiles = files{"rel/3": "three", "rel/ci/4": "four"}

// newNotaryScene has a root that was rotated twice, targets of three roles, of
// which one is nested, and a delegation whose delegate has their key elsewhere.
func newNotaryScene(t *testing.T) *notaryScene {
	t.Helper()
	n := interop.InstallNotary(t)
	s := &notaryScene{url: n.Serve(t), tree: t.TempDir(), dir: t.TempDir(), files: files{
		"v1": "one", "sub/v1+2": "two", "rel/3": "three", "rel/ci/4": "four",
	}}
	s.files.write(t, s.tree)
	s.user = n.User(t, s.url, t.TempDir())
	run := s.user.Run
	run("init", alpine, "-p")
	run("add", alpine, "v1", s.file("v1"), "-p")
	run("add", alpine, "sub/v1+2", s.file("sub/v1+2"), "-p")
	run("delegation", "add", alpine, "targets/releases", s.certificate(t, "releases"), "--paths", "rel/,v2", "-p")
	run("key", "import", s.dir+"/releases.key", "-r", "user")
	run("add", alpine, "rel/3", s.file("rel/3"), "-r", "targets/releases", "-p")
	run("delegation", "add", alpine, "targets/releases/ci", s.certificate(t, "ci"), "--paths", "rel/ci/", "-p")
	run("key", "import", s.dir+"/ci.key", "-r", "user")
	run("add", alpine, "rel/ci/4", s.file("rel/ci/4"), "-r", "targets/releases/ci", "-p")
	run("delegation", "add", alpine, "targets/elsewhere", s.certificate(t, "elsewhere"), "--all-paths", "-p")
	for range 2 {
		run("key", "rotate", alpine, "root")
	}
	run("key", "rotate", alpine, "targets")
	run("list", alpine) // brings what the server has signed into the trust directory
	return s
}

func (s *notaryScene) file(name string) string {
	return filepath.Join(s.tree, filepath.FromSlash(name))
}

// certificate makes NAME.key, and returns the file of a certificate for it.
func (s *notaryScene) certificate(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, keyErr := x509.MarshalPKCS8PrivateKey(key)
	cert := selfSigned(t, key, name)
	file := filepath.Join(s.dir, name)
	err = errors.Join(keyErr,
		os.WriteFile(file+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(file+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return file + ".crt"
}

// TestImportNotaryRSA: a root key of RSA, with a certificate that its owner has
// brought, signs for every client here too.
func TestImportNotaryRSA(t *testing.T) {
	n := interop.InstallNotary(t)
	user, keys := n.User(t, n.Serve(t), t.TempDir()), t.TempDir()
	n.WriteKeys(t, keys)
	root, cert := rootKey(t, keys)
	user.Run("init", alpine, "--rootkey", root, "--rootcert", cert, "-p")
	user.Run("list", alpine)
	o := newImporter(t)
	made := o.importNotary(t, user.Dir)
	if root := made.Roles[0]; root.Role != "root" || !root.Kept {
		t.Errorf("root: %+v, want the old key", root)
	}
	pullImported(t, o, alpine, made, nil, nil)
}

// rootKey makes a root key of one of Notary's key files, and a certificate for it.
func rootKey(t *testing.T, dir string) (key, cert string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "rsa-encrypted.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	block.Headers = map[string]string{"role": "root"}
	all, err := pkeys.Decode(text, func(pkeys.Header) ([]byte, error) { return []byte(interop.NotaryPassphrase), nil })
	if err != nil {
		t.Fatal(err)
	}
	der := selfSigned(t, all[0].Signer, alpine)
	key, cert = filepath.Join(dir, "root.key"), filepath.Join(dir, "root.crt")
	err = errors.Join(
		os.WriteFile(key, pem.EncodeToMemory(block), 0o600),
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func selfSigned(t *testing.T, key crypto.Signer, name string) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: mathbig.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// imported is what publisher import prints.
type imported struct {
	Root  int64 `json:"root"`
	Roles []struct {
		Role string `json:"role"`
		Kept bool   `json:"kept"`
	} `json:"roles"`
	Targets int `json:"targets"`
	Left    []struct {
		Role string `json:"role"`
		Name string `json:"name"`
	} `json:"left_out"`
	Made struct {
		Root string `json:"root_sha256"`
	} `json:"made"`
}

func newImporter(t *testing.T) *owner {
	s := directory(t)
	for name, value := range interop.NotaryPassphrases {
		s.env = append(s.env, name+"="+value)
	}
	s.env = append(s.env, "PUBLISHER_TIMESTAMP_PASSPHRASE=timestamp-secret")
	return newOwner(t, s)
}

func (o *owner) importNotary(t *testing.T, args ...string) (made imported) {
	t.Helper()
	out := o.run(t, append([]string{"import", "notary", "--store", o.store.url, "--yes", "--json"}, args...)...)
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatalf("import printed %s: %v", out, err)
	}
	return made
}

// TestImportNotary imports what the real Notary has made, with its keys from its
// trust directory and with new ones from its server, and has every stock client
// read it.
func TestImportNotary(t *testing.T) {
	s := newNotaryScene(t)
	t.Run("trust directory", func(t *testing.T) { importTrustDir(t, s) })
	t.Run("server", func(t *testing.T) { importServer(t, s) })
}

func importTrustDir(t *testing.T, s *notaryScene) {
	o := newImporter(t)
	made := o.importNotary(t, s.user.Dir, "--targets", s.tree)
	if made.Targets != len(s.files) || len(made.Left) > 0 {
		t.Errorf("%d targets imported, left out: %v", made.Targets, made.Left)
	}
	for _, role := range made.Roles {
		if want := role.Role != "timestamp"; role.Kept != want {
			t.Errorf("%s: kept %v, want %v", role.Role, role.Kept, want)
		}
	}
	pullImported(t, o, alpine, made, s.files, delegatedFiles)

	// Whoever has imported goes on as with any other collection.
	s.files["v9"] = "nine"
	s.files.write(t, s.tree)
	o.run(t, "add", alpine, "v9", s.file("v9"), "--publish")
	pullImported(t, o, alpine, made, s.files, delegatedFiles)
	delete(s.files, "v9")
}

func importServer(t *testing.T, s *notaryScene) {
	o := newImporter(t)
	const name = "example.com/alpine"
	made := o.importNotary(t, s.url, name, "--gun", alpine, "--targets", s.tree, "--adopt")
	if made.Root < 3 || made.Targets != len(s.files) {
		t.Errorf("from root %d, %d targets", made.Root, made.Targets)
	}
	for _, role := range made.Roles {
		if role.Kept {
			t.Errorf("%s keeps a key that is not here", role.Role)
		}
	}
	pullImported(t, o, name, made, s.files, nil)
}

// pullImported has every client read everything; some of them find only what is
// not delegated.
func pullImported(t *testing.T, o *owner, name string, made imported, want, delegated files) {
	t.Helper()
	for _, c := range interop.Clients(t) {
		there := maps.Clone(want)
		if c.SkipDelegations() {
			maps.DeleteFunc(there, func(name, _ string) bool { return delegated[name] != "" })
		}
		if err := c.Pull(t.Context(), pull(t, o.store, name, made.Made.Root, there.sums())); err != nil {
			t.Error(err)
		}
	}
	if n := o.check(t, name); n != len(want) {
		t.Errorf("check counts %d targets, want %d", n, len(want))
	}
}
