package notary_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"publisher/internal/notary"
	"publisher/repo/tuf"
)

// A forger has the only key of a collection, and signs whatever a test makes of
// it: what Notary's own programs would not.
type forger struct {
	key     *ecdsa.PrivateKey
	cert    object // the key as the root role has it
	root    object
	targets map[string]object // by role, as they are signed
	meta    object            // more of what the snapshot lists
}

type object = map[string]any

func newForger(t *testing.T) *forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{key: key, targets: map[string]object{}, meta: object{}}
	f.cert = f.keyOf(certificate(key, gun), "ecdsa-x509")
	cert, bare := f.cert, f.bare()
	f.root = f.content("Root", object{
		"consistent_snapshot": false,
		"keys":                object{idOf(cert): cert, idOf(bare): bare},
		"roles": object{
			"root":    role(1, idOf(cert)),
			"targets": role(1, idOf(bare)), "snapshot": role(1, idOf(bare)), "timestamp": role(1, idOf(bare)),
		},
	})
	f.targets["targets"] = f.content("Targets", object{"targets": object{}, "delegations": object{"keys": object{}, "roles": []any{}}})
	return f
}

func role(threshold int, ids ...string) object {
	return object{"keyids": ids, "threshold": threshold}
}

func (f *forger) keyOf(public []byte, kind string) object {
	return object{"keytype": kind, "keyval": object{"private": nil, "public": base64.StdEncoding.EncodeToString(public)}}
}

// bare is the key without a certificate.
func (f *forger) bare() object {
	der, err := x509.MarshalPKIXPublicKey(f.key.Public())
	if err != nil {
		panic(err)
	}
	return f.keyOf(der, "ecdsa")
}

func canonical(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	if text, err = tuf.Canonical(text); err != nil {
		panic(err)
	}
	return text
}

func idOf(key object) string {
	sum := sha256.Sum256(canonical(key))
	return hex.EncodeToString(sum[:])
}

func (f *forger) content(kind string, more object) object {
	c := object{"_type": kind, "version": 1, "expires": time.Now().AddDate(1, 0, 0).Format(time.RFC3339Nano)}
	maps.Copy(c, more)
	return c
}

// delegate adds a delegation to a role, signed by the forger's key, and the role.
func (f *forger) delegate(parent, name string, paths ...string) {
	id := idOf(f.bare())
	d := f.targets[parent]["delegations"].(object)
	d["keys"].(object)[id] = f.bare()
	child := role(1, id)
	child["name"], child["paths"] = name, paths
	d["roles"] = append(d["roles"].([]any), child)
	if _, ok := f.targets[name]; !ok {
		f.targets[name] = f.content("Targets", object{"targets": object{}, "delegations": object{"keys": object{}, "roles": []any{}}})
	}
}

// sign is a file as Notary's server would hand it out.
func (f *forger) sign(content object, id string) []byte {
	signed := canonical(content)
	sum := sha256.Sum256(signed)
	r, s, err := ecdsa.Sign(rand.Reader, f.key, sum[:])
	if err != nil {
		panic(err)
	}
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	text, err := json.Marshal(object{"signed": json.RawMessage(signed), "signatures": []object{{"keyid": id, "method": "ecdsa", "sig": sig}}})
	if err != nil {
		panic(err)
	}
	return text
}

func listed(data []byte) object {
	a, b := sha256.Sum256(data), sha512.Sum512(data)
	return object{"length": len(data), "hashes": object{"sha256": a[:], "sha512": b[:]}}
}

// files signs everything.
func (f *forger) files() files {
	bare := idOf(f.bare())
	out := files{"root": f.sign(f.root, idOf(f.cert))}
	meta := object{"root": listed(out["root"])}
	for name, content := range f.targets {
		out[name] = f.sign(content, bare)
		meta[name] = listed(out[name])
	}
	maps.Copy(meta, f.meta)
	out["snapshot"] = f.sign(f.content("Snapshot", object{"meta": meta}), bare)
	out["timestamp"] = f.sign(f.content("Timestamp", object{"meta": object{"snapshot": listed(out["snapshot"])}}), bare)
	return out
}

// TestReadHostile: who has the keys of a collection cannot make reading it go
// wrong, and what only looks like Notary's is refused.
func TestReadHostile(t *testing.T) {
	if _, err := notary.Read(t.Context(), newForger(t).files(), gun, time.Now()); err != nil {
		t.Fatalf("what is not forged: %v", err)
	}
	for name, c := range map[string]struct {
		forge func(f *forger)
		says  string
	}{
		"deep": {func(f *forger) {
			for name := "targets"; strings.Count(name, "/") < 40; name += "/a" {
				f.delegate(name, name+"/a", "")
			}
		}, "lies more than 32 delegations deep"},
		"wide": {func(f *forger) {
			for i := range 1200 {
				f.delegate("targets", fmt.Sprintf("targets/a%d", i), "")
			}
		}, "more than 1000 roles"},
		"twice": {func(f *forger) {
			f.delegate("targets", "targets/a", "")
			f.delegate("targets", "targets/a", "")
		}, "delegates to targets/a twice"},
		"upwards": {func(f *forger) {
			f.delegate("targets", "targets/a", "")
			f.delegate("targets/a", "targets", "")
		}, `"targets" is no delegation of targets/a`},
		"sideways": {func(f *forger) {
			f.delegate("targets", "targets/a", "")
			f.delegate("targets/a", "targets/b/c", "")
		}, "is no delegation of targets/a"},
		"dots":        {func(f *forger) { f.delegate("targets", "targets/..", "") }, "is no delegation of targets"},
		"threshold 0": {func(f *forger) { f.root["roles"].(object)["snapshot"].(object)["threshold"] = 0 }, "role snapshot: threshold 0"},
		"threshold 2": {func(f *forger) { f.root["roles"].(object)["targets"].(object)["threshold"] = 2 }, "too few of its role's keys"},
		"one key twice": {func(f *forger) {
			id := idOf(f.bare())
			f.root["roles"].(object)["targets"] = role(2, id, id)
		}, "too few of its role's keys"},
		"unlisted key": {func(f *forger) { f.root["roles"].(object)["targets"] = role(1, "00") }, "key 00 is not listed"},
		"other key ID": {func(f *forger) {
			f.root["keys"].(object)["00"] = f.bare()
			f.root["roles"].(object)["targets"] = role(1, "00")
		}, "its ID is"},
		"unknown key":       {func(f *forger) { f.addKey(f.keyOf([]byte("x"), "dsa")) }, `unknown key type "dsa"`},
		"short ed25519 key": {func(f *forger) { f.addKey(f.keyOf([]byte("x"), "ed25519")) }, "an ed25519 key of 1 bytes"},
		"ecdsa called rsa": {func(f *forger) {
			key := f.bare()
			key["keytype"] = "rsa"
			f.addKey(key)
		}, `is said to be of type "rsa"`},
		"bare root key": {func(f *forger) { f.root["roles"].(object)["root"] = role(1, idOf(f.bare())) }, "it is not a certificate"},
		"null key":      {func(f *forger) { f.root["keys"].(object)["00"] = nil }, "null where an object belongs"},
		"null role":     {func(f *forger) { f.root["roles"].(object)["targets"] = nil }, "null where an object belongs"},
		"version 0":     {func(f *forger) { f.targets["targets"]["version"] = 0 }, "version is 0"},
		"other type":    {func(f *forger) { f.targets["targets"]["_type"] = "Snapshot" }, `_type is "Snapshot"`},
		"no hash":       {func(f *forger) { f.meta["targets"] = object{"length": 1, "hashes": object{"md5": "AA=="}} }, "bytes, and should have 1"},
		"md5 alone":     {func(f *forger) { f.meta["targets"] = object{"length": 0, "hashes": object{"md5": "AA=="}} }, "neither its sha256 nor its sha512 is listed"},
		"target by md5": {func(f *forger) {
			f.targets["targets"]["targets"] = object{"x": object{"length": 1, "hashes": object{"md5": "AA=="}}}
		}, `target "x": neither a sha256 nor a sha512 is listed`},
		"short sha256": {func(f *forger) {
			f.targets["targets"]["targets"] = object{"x": object{"length": 1, "hashes": object{"sha256": "AA=="}}}
		}, "a sha256 of 1 bytes"},
		"negative length": {func(f *forger) {
			sum := sha256.Sum256(nil)
			f.targets["targets"]["targets"] = object{"x": object{"length": -1, "hashes": object{"sha256": sum[:]}}}
		}, "a length of -1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForger(t)
			c.forge(f)
			_, err := notary.Read(t.Context(), f.files(), gun, time.Now())
			if err == nil || !errors.As(err, new(*notary.Error)) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want an *Error with %q", err, c.says)
			}
		})
	}
}

// addKey puts a key into the place of that of targets.
func (f *forger) addKey(key object) {
	f.root["keys"].(object)[idOf(key)] = key
	f.root["roles"].(object)["targets"] = role(1, idOf(key))
}

// endless is a source whose files never end.
type endless struct {
	files
	role string
	read int64
}

func (e *endless) Read(ctx context.Context, name string, max int64) ([]byte, error) {
	if name != e.role {
		return e.files.Read(ctx, name, max)
	}
	e.read = max
	return nil, fmt.Errorf("more than %d bytes: %w", max, io.ErrShortBuffer)
}

// TestReadEndless: no file may be of any size.
func TestReadEndless(t *testing.T) {
	for role, most := range map[string]int64{"root": 1 << 20, "timestamp": 1 << 20, "snapshot": 16 << 20, "targets": 64 << 20} {
		from := &endless{files: newForger(t).files(), role: role}
		if _, err := notary.Read(t.Context(), from, gun, time.Now()); !errors.Is(err, io.ErrShortBuffer) || from.read != most {
			t.Errorf("%s: %v, after up to %d bytes, want at most %d", role, err, from.read, most)
		}
	}
}

// TestReadPaths: what a role lists outside its paths, or its parent's, Notary's
// clients do not find.
func TestReadPaths(t *testing.T) {
	sum := sha256.Sum256(nil)
	file := object{"length": 0, "hashes": object{"sha256": sum[:]}}
	f := newForger(t)
	f.delegate("targets", "targets/a", "a/", "shared")
	f.delegate("targets/a", "targets/a/b", "a/b/", "elsewhere/", "shared/")
	f.targets["targets/a"]["targets"] = object{"a/1": file, "b/1": file, "sharedness": file}
	f.targets["targets/a/b"]["targets"] = object{"a/b/1": file, "a/2": file, "elsewhere/1": file}
	c := mustRead(t, f.files(), gun)
	a := c.Targets.Delegations[0]
	b := a.Content.Delegations[0]
	if got := fmt.Sprint(len(a.Content.Files), a.Content.Files["b/1"].Hashes == nil, b.Paths, len(b.Content.Files), b.Content.Files["a/b/1"].Hashes != nil); got != "2 true [a/b/ shared/] 1 true" {
		t.Errorf("%s: %v %v", got, a.Content.Files, b.Content.Files)
	}
}

// TestReadWedged: a role whose key was taken away, and that nobody has signed
// since, is passed over as Notary's clients do.
func TestReadWedged(t *testing.T) {
	s := newScene(t)
	run := s.user.Run
	run("init", gun, "-p")
	run("delegation", "add", gun, "targets/releases", s.delegate("releases"), "--all-paths", "-p")
	run("key", "import", s.path("releases.key"), "-r", "user")
	run("add", gun, "v1", s.file("v1"), "-r", "targets/releases", "-p")
	before := mustRead(t, s.server(t, gun), gun).Targets.Delegations[0]
	if before.Content == nil || len(before.Content.Files) != 1 {
		t.Fatalf("before: %+v", before)
	}
	run("delegation", "add", gun, "targets/releases", s.delegate("other"), "-p")
	run("delegation", "remove", gun, "targets/releases", before.Keys[0].PrivateID(), "-y", "-p")
	after := mustRead(t, s.server(t, gun), gun).Targets.Delegations[0]
	if after.Content != nil || after.Reason == nil || errors.Is(after.Reason, notary.ErrNotPublished) {
		t.Errorf("after: %+v", after)
	}
}
