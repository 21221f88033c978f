package repo_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A refusal is one thing that is wrong with a submission, and what commit says
// of it.
type refusal struct {
	name string
	do   func(f *forge)
	want string
}

// refused offers each submission, on top of a copy of what w has published.
func refused(t *testing.T, w *world, rows []refusal) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := newForge(t, w)
			row.do(f)
			before, after, err := f.commit()
			if err == nil {
				t.Fatal("it was published")
			}
			if !strings.Contains(err.Error(), row.want) {
				t.Errorf("the error is %q, without %q", err, row.want)
			}
			var rejection *repo.Rejection
			var stale *repo.StaleError
			if !errors.As(err, &rejection) && !errors.As(err, &stale) {
				t.Errorf("the error is a %T", err)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
		})
	}
}

// family is a published collection with roles below roles.
func family(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.mustPublish(add("old", "1"))
	w.delegate("targets", "ci", "ci/*", "ci/*/*")
	w.delegate("ci", "ci.deep", "ci/deep/*", "*")
	return w
}

// TestForge: what the rows below break is accepted as it is.
func TestForge(t *testing.T) {
	f := newForge(t, family(t))
	f.at("targets")["later"] = object{"a field": []any{nil, 1}}
	f.at("targets", "targets", "new")["custom"] = object{"any": nil}
	f.delegate("targets", "later", "later/*") // which has published nothing yet
	rsaKey := f.foreign(tuf.TypeRSA, tuf.SchemeRSA, &rsaPrivate().PublicKey, saltEqualsHash)
	f.hand(tuf.RoleTargets, rsaKey)
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"old": sum("1"), "new": sum("new"), "ci/new": sum("ci/new"), "ci/deep/new": sum("ci/deep/new"),
	}, f.targets()); diff != "" {
		t.Error(diff)
	}
	f.mustBeClean()
}

// hand gives a top-level role to another key of the new root. Its file is signed
// by both, for clients that do not see the new root yet; root by the new one.
func (f *forge) hand(role string, id string) {
	f.at("root", "roles", role)["keyids"] = []any{id}
	if _, submitted := f.files[role]; submitted {
		if role == tuf.RoleRoot {
			f.signers[role] = nil
		}
		f.signers[role] = append(f.signers[role], id)
	}
}

// foreign lists a key in the root as it is told, to be signed with by sign.
func (f *forge) foreign(keytype, scheme string, pub any, sign func([]byte) []byte) string {
	f.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		f.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	id := f.list(f.at("root", "keys"), tuf.Key{Type: keytype, Scheme: scheme, Value: tuf.KeyValue{Public: string(text)}})
	f.keys[id] = sign
	return id
}

// rsaPrivate is slow to make, and any will do.
var rsaPrivate = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func saltEqualsHash(payload []byte) []byte { return pss(payload, rsa.PSSSaltLengthEqualsHash) }
func saltMaximal(payload []byte) []byte    { return pss(payload, rsa.PSSSaltLengthAuto) }

func pss(payload []byte, salt int) []byte {
	digest := sha256.Sum256(payload)
	return must(rsa.SignPSS(rand.Reader, rsaPrivate(), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt}))
}

func pkcs1v15(payload []byte) []byte {
	digest := sha256.Sum256(payload)
	return must(rsa.SignPKCS1v15(rand.Reader, rsaPrivate(), crypto.SHA256, digest[:]))
}

func none([]byte) []byte { return []byte("none") }

// set changes a field of the signed part of a role.
func set(role string, value any, path ...string) func(*forge) {
	return func(f *forge) {
		f.at(role, path[:len(path)-1]...)[path[len(path)-1]] = value
	}
}

// text changes the signed part as text, before it is signed.
func text(role, old, new string) func(*forge) {
	return func(f *forge) { f.text[role] = replace(f.t, old, new) }
}

// after changes the file as text, after it was signed.
func after(role string, edit func(string) string) func(*forge) {
	return func(f *forge) { f.file[role] = edit }
}

func nested(depth int) any {
	var v any = 1
	for range depth {
		v = []any{v}
	}
	return v
}

func TestRejectGate(t *testing.T) {
	refused(t, family(t), []refusal{
		{"null role", set("root", nil, "roles", "targets"), "null where"},
		{"null key", func(f *forge) { f.at("root", "keys")["x"] = nil }, "null where"},
		{"null target", set("targets", nil, "targets", "x"), "null where"},
		{"null length", set("targets", nil, "targets", "new", "length"), "null where"},
		{"null key ID", set("root", []any{nil}, "roles", "targets", "keyids"), "null where"},
		{"null delegation", set("ci", []any{nil}, "delegations", "roles"), "null where"},
		{"null delegations", set("ci", nil, "delegations"), "null where"},
		{"null signature", after("targets", func(string) string { return `{"signatures":[null],"signed":{}}` }), "null where"},
		{"null signatures", after("targets", func(string) string { return `{"signatures":null,"signed":{}}` }), "null where"},
		{"null file", after("targets", func(string) string { return "null" }), "null where"},
		{"empty file", after("targets", func(string) string { return "" }), "EOF"},
		{"garbage", after("targets", func(string) string { return "garbage" }), "invalid character"},
		{"no targets", func(f *forge) { delete(f.files["targets"], "targets") }, "targets, version is missing"},
		{"no keys", func(f *forge) { delete(f.files["root"], "keys") }, "is missing"},
		{"role missing in root", func(f *forge) { delete(f.at("root", "roles"), "timestamp") }, "is missing"},
		{"duplicate name", text("targets", `"targets":{`, `"targets":{"new":{"hashes":{},"length":1},`), "duplicate object member name"},
		{"duplicate field", text("root", `"version":2`, `"version":1,"version":2`), "duplicate object member name"},
		{"SIGNED beside signed", after("targets", func(s string) string { return `{"SIGNED":{},` + s[1:] }), "only in case"},
		{"Version beside version", set("targets", 9, "Version"), "only in case"},
		{"version 1.5", text("targets", `"version":3`, `"version":3.5`), "not an integer"},
		{"version 2^53", set("targets", 1<<53, "version"), "not an integer within"},
		{"version in quotes", set("targets", "4", "version"), "a string where a number belongs"},
		{"length 2^53", set("targets", 1<<53, "targets", "new", "length"), "not an integer within"},
		{"invalid UTF-8", text("targets", `"new"`, "\"new\xff\""), "UTF-8"},
		{"byte order mark", after("targets", func(s string) string { return "\xef\xbb\xbf" + s }), "invalid character"},
		{"deep nesting", func(f *forge) { f.files["targets"]["x"] = nested(40) }, "nested deeper"},
		{"trailing bytes", after("targets", func(s string) string { return s + "x" }), "after the end"},
		{"second value", after("targets", func(s string) string { return s + "\n{}" }), "after the end"},
		{"over-size root", set("root", strings.Repeat("x", repo.MaxRoot), "x"), "at most 512000"},
		{"a root called targets", set("targets", "root", "_type"), `_type is "root"`},
		{"two signatures of a key", func(f *forge) {
			f.signers["targets"] = append(f.signers["targets"], f.signers["targets"][0])
		}, "two signatures"},
	})
}

func TestRejectForm(t *testing.T) {
	refused(t, family(t), []refusal{
		{"version 0", set("targets", 0, "version"), "version is 0"},
		{"version -1", set("targets", -1, "version"), "version is -1"},
		{"another spec_version", set("targets", "1.0.19", "spec_version"), `spec_version "1.0.19"`},
		{"another collection", set("targets", "example.com/other", "x-publisher", "collection"), `belongs to the collection "example.com/other"`},
		{"no collection", func(f *forge) { delete(f.files["targets"], "x-publisher") }, `belongs to the collection ""`},
		{"root of another collection", set("root", "example.com/other", "x-publisher", "collection"), `belongs to the collection "example.com/other"`},
		{"expires with fractions", set("targets", "2026-11-23T00:00:00.5Z", "expires"), "its form"},
		{"expires with an offset", set("targets", "2026-11-23T00:00:00+00:00", "expires"), "its form"},
		{"expires is no time", set("targets", "tomorrow", "expires"), "parse"},
		{"empty custom", set("targets", nil, "targets", "new", "custom"), "custom is null"},
		{"no terminating", func(f *forge) { delete(f.at("ci", "delegations")["roles"].([]any)[0].(object), "terminating") }, "its form"},
		{"empty roles", set("ci.deep", object{"keys": object{}, "roles": []any{}}, "delegations"), "its form"},
		{"empty paths", func(f *forge) { f.delegate("targets", "x")["paths"] = []any{} }, "its form"},
		{"no hashes", set("targets", object{}, "targets", "new", "hashes"), "not sha256 alone"},
		{"md5 alone", set("targets", object{"md5": "00"}, "targets", "new", "hashes"), "not sha256 alone"},
		{"sha512 beside sha256", set("targets", strings.Repeat("0", 128), "targets", "new", "hashes", "sha512"), "not sha256 alone"},
		{"upper-case hash", set("targets", strings.ToUpper(sum("new")), "targets", "new", "hashes", "sha256"), "lower-case hex"},
		{"short hash", set("targets", sum("new")[:62], "targets", "new", "hashes", "sha256"), "lower-case hex"},
		{"hash with a path", set("targets", "../"+sum("new")[3:], "targets", "new", "hashes", "sha256"), "lower-case hex"},
		{"negative length", set("targets", -1, "targets", "new", "length"), "length -1"},
	})
}

func TestRejectKeys(t *testing.T) {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	rows := []refusal{
		{"key ID that is no hash of the key", func(f *forge) {
			keys := f.at("root", "keys")
			id := f.key(keys)
			keys[sum("x")] = keys[id]
			delete(keys, id)
		}, "its ID is"},
		{"one key under two IDs", func(f *forge) {
			keys := f.at("root", "keys")
			twin := object{"x": 1}
			for name, v := range keys[f.key(keys)].(object) {
				twin[name] = v
			}
			payload := must(tuf.Canonical([]byte(encode(f.t, twin))))
			digest := sha256.Sum256(payload)
			keys[hex.EncodeToString(digest[:])] = twin
		}, "are one key"},
		{"unknown key type", func(f *forge) {
			f.list(f.at("root", "keys"), tuf.Key{Type: "dilithium", Scheme: "dilithium"})
		}, `unknown key type "dilithium"`},
		{"unknown scheme", func(f *forge) {
			f.list(f.at("root", "keys"), tuf.Key{Type: "ed25519", Scheme: "ed448", Value: tuf.KeyValue{Public: sum("")}})
		}, `scheme "ed448"`},
		{"short ed25519 key", func(f *forge) {
			f.list(f.at("root", "keys"), tuf.Key{Type: "ed25519", Scheme: "ed25519", Value: tuf.KeyValue{Public: "abcd"}})
		}, "not an ed25519 key: 4 characters"},
		{"RSA key called ed25519", func(f *forge) {
			f.foreign("ed25519", "ed25519", &rsaPrivate().PublicKey, none)
		}, "not an ed25519 key"},
		{"ECDSA key called RSA", func(f *forge) { f.foreign("rsa", "rsassa-pss-sha256", &p384.PublicKey, none) }, "does not fit"},
		{"RSA key for PKCS#1 v1.5", func(f *forge) {
			f.foreign("rsa", "rsa-pkcs1v15-sha256", &rsaPrivate().PublicKey, none)
		}, "does not fit"},
		{"P-384", func(f *forge) { f.foreign("ecdsa", "ecdsa-sha2-nistp384", &p384.PublicKey, none) }, "only P-256"},
		{"P-384 called P-256", func(f *forge) { f.foreign("ecdsa", "ecdsa-sha2-nistp256", &p384.PublicKey, none) }, "does not fit"},
		{"P-224", func(f *forge) { f.foreign("ecdsa", "ecdsa-sha2-nistp256", &p224.PublicKey, none) }, "does not fit"},
		{"RSA with 1024 bits", func(f *forge) { f.foreign("rsa", "rsassa-pss-sha256", smallRSA(), none) }, "does not fit"},
		{"no PEM", func(f *forge) {
			f.list(f.at("root", "keys"), tuf.Key{Type: "ecdsa", Scheme: "ecdsa-sha2-nistp256", Value: tuf.KeyValue{Public: "x"}})
		}, "not one PEM block"},
		{"bad key in a delegation", func(f *forge) {
			f.list(f.at("ci", "delegations", "keys"), tuf.Key{Type: "ed25519", Scheme: "ed25519", Value: tuf.KeyValue{Public: "abcd"}})
		}, "not an ed25519 key: 4 characters"},
	}
	refused(t, family(t), rows)
}

// smallRSA is a key that no library makes any more.
func smallRSA() *rsa.PublicKey {
	n := must(rand.Prime(rand.Reader, 1024))
	return &rsa.PublicKey{N: n, E: 65537}
}

func TestRejectRoles(t *testing.T) {
	refused(t, family(t), []refusal{
		{"consistent_snapshot false", set("root", false, "consistent_snapshot"), "consistent_snapshot is false"},
		{"no consistent_snapshot", func(f *forge) { delete(f.files["root"], "consistent_snapshot") }, "its form"},
		{"threshold 0", set("root", 0, "roles", "targets", "threshold"), "threshold 0"},
		{"threshold -1", set("root", -1, "roles", "targets", "threshold"), "threshold -1"},
		{"threshold above the keys", set("root", 2, "roles", "targets", "threshold"), "threshold 2 with 1 keys"},
		{"a key named twice", func(f *forge) {
			role := f.at("root", "roles", "targets")
			role["keyids"] = append(role["keyids"].([]any), role["keyids"].([]any)[0])
		}, "named twice"},
		{"a key that is not listed", func(f *forge) {
			role := f.at("root", "roles", "targets")
			role["keyids"] = append(role["keyids"].([]any), sum("x"))
		}, "is not listed"},
		{"an extra role", set("root", object{"keyids": []any{}, "threshold": 1}, "roles", "mirrors"), `has a role "mirrors"`},
		{"snapshot and root share a key", func(f *forge) { f.share("snapshot", "root") }, "serves both root and snapshot"},
		{"snapshot and targets share a key", func(f *forge) { f.share("snapshot", "targets") }, "serves both targets and snapshot"},
		{"timestamp and root share a key", func(f *forge) { f.share("timestamp", "root") }, "serves both root and timestamp"},
		{"timestamp and targets share a key", func(f *forge) { f.share("timestamp", "targets") }, "serves both targets and timestamp"},
		{"threshold 0 of a delegation", func(f *forge) { f.delegate("targets", "x", "x/*")["threshold"] = 0 }, "threshold 0 with 1 keys"},
		{"threshold of a delegation above its keys", func(f *forge) { f.delegate("targets", "x", "x/*")["threshold"] = 2 }, "threshold 2 with 1 keys"},
		{"a delegation to a key that is not listed", func(f *forge) {
			f.delegate("targets", "x", "x/*")["keyids"] = []any{sum("x")}
		}, "is not listed"},
		{"a delegation to one key twice", func(f *forge) {
			d := f.delegate("targets", "x", "x/*")
			d["keyids"] = append(d["keyids"].([]any), d["keyids"].([]any)[0])
		}, "named twice"},
		{"a delegation without paths", func(f *forge) { delete(f.delegate("targets", "x"), "paths") }, "delegation targets/x: it has no paths"},
		{"path_hash_prefixes", func(f *forge) {
			f.delegate("targets", "x", "x/*")["path_hash_prefixes"] = []any{"00"}
		}, "path_hash_prefixes, which some clients compare wrongly"},
		{"succinct_roles", func(f *forge) {
			d := object{"keys": object{}}
			id := f.key(d["keys"].(object))
			d["succinct_roles"] = object{"keyids": []any{id}, "threshold": 1, "bit_length": 2, "name_prefix": "bin"}
			f.files["ci.deep"]["delegations"] = d
		}, "succinct_roles, which five"},
	})
}

// share lets an online role be signed for by an offline role's key too.
func (f *forge) share(online, offline string) {
	role := f.at("root", "roles", online)
	role["keyids"] = append(role["keyids"].([]any), f.at("root", "roles", offline)["keyids"].([]any)...)
}

func TestRejectNames(t *testing.T) {
	var rows []refusal
	for _, name := range []string{
		"", "/x", "x/", "a//b", ".", "..", "../x", "a/./b", "a/../b", "a%2f", "a?", "a#", `a\b`, "a\nb", "a\x7f", "a\u0085",
		"a ", strings.Repeat("x", 191), strings.Repeat("x/", 300) + "x",
	} {
		rows = append(rows, refusal{fmt.Sprintf("target %.20q", name), func(f *forge) {
			f.at("targets", "targets")[name] = f.at("targets", "targets", "new")
		}, "target name"})
	}
	for _, name := range []string{"", "CI", "a/b", "../x", "a..b", "snapshot", "timestamp", "root", "targets", "é", "-a", "1.root.json/"} {
		rows = append(rows, refusal{fmt.Sprintf("delegation %q", name), func(f *forge) {
			f.delegate("targets", name, "x/*")
		}, "role name"})
	}
	for _, pattern := range []string{"", "/x", "[a]", "{a,b}", `a\*`, "**", "a/**/b"} {
		rows = append(rows, refusal{fmt.Sprintf("pattern %q", pattern), func(f *forge) {
			f.delegate("targets", "x", "ok/*", pattern)
		}, "path pattern"})
	}
	for _, role := range []string{"snapshot", "timestamp"} {
		rows = append(rows, refusal{role + " submitted", func(f *forge) {
			f.sub = func(s *repo.Submission) { s.Files[role] = s.Files["targets"] }
		}, "made by commit itself"})
	}
	rows = append(rows,
		refusal{"a role with a bad name submitted", func(f *forge) {
			f.sub = func(s *repo.Submission) { s.Files["../../x"] = s.Files["targets"] }
		}, "role name"},
		refusal{"a submission for another collection", func(f *forge) {
			f.sub = func(s *repo.Submission) { s.Collection = "example.com/other" }
		}, `for the collection "example.com/other"`},
	)
	refused(t, family(t), rows)
}

func TestRejectVersions(t *testing.T) {
	stale := func(role string) string { return repo.RoleToNotary(role) + " was published by somebody else" }
	refused(t, family(t), []refusal{
		{"the same version", set("targets", 2, "version"), "version 2 is not greater than 2"},
		{"a lower version", set("targets", 1, "version"), "version 1 is not greater than 2"},
		{"a jump", set("targets", 1003, "version"), "version 1003 is more than 1000 ahead of 2"},
		{"a jump of 10^9", set("targets", 1_000_000_000, "version"), "more than 1000 ahead"},
		{"a jump of a delegation", set("ci", 1_000_000_000, "version"), "more than 1000 ahead"},
		{"wrong parent", set("targets", sum("x"), "x-publisher", "parent"), stale("targets")},
		{"no parent", func(f *forge) { delete(f.at("targets", "x-publisher"), "parent") }, stale("targets")},
		{"wrong parent of a delegation", set("ci", sum("x"), "x-publisher", "parent"), stale("ci")},
		{"parent of a first version", func(f *forge) {
			f.role(f.delegate("targets", "x", "x/*"))
			f.at("x", "x-publisher")["parent"] = sum("x")
		}, stale("x")},
		{"root +2", set("root", 3, "version"), "version 3, not 2"},
		{"the root's version again", set("root", 1, "version"), "version 1, not 2"},
		{"wrong parent of root", set("root", sum("x"), "x-publisher", "parent"), stale("root")},
		{"no parent of root", func(f *forge) { delete(f.at("root", "x-publisher"), "parent") }, stale("root")},
		{"expired", set("targets", "2026-11-22T12:00:00Z", "expires"), "expired at 2026-11-22T12:00:00Z"},
		{"expired root", set("root", "2026-11-22T11:00:00Z", "expires"), "root: it expired"},
		{"expired delegation", set("ci", "2026-11-22T11:00:00Z", "expires"), "targets/ci: it expired"},
		{"expires too late", set("targets", "2027-11-23T12:00:00Z", "expires"), "more than 8760h"},
		{"root expires too late", set("root", "2028-11-23T12:00:00Z", "expires"), "more than 17520h"},
		{"delegation expires too late", set("ci", "9999-01-01T00:00:00Z", "expires"), "more than 8760h"},
	})
}

func TestRejectSignatures(t *testing.T) {
	refused(t, family(t), []refusal{
		{"nobody signed targets", func(f *forge) { f.signers["targets"] = nil }, "targets: 0 of 1 required signatures"},
		{"nobody signed a delegation", func(f *forge) { f.signers["ci"] = nil }, "ci: 0 of 1 required signatures"},
		{"nobody signed root", func(f *forge) { f.signers["root"] = nil }, "root: 0 of 1 required signatures"},
		{"signed by another role's key", func(f *forge) { f.signers["ci"] = f.signers["targets"] }, "ci: 0 of 1 required signatures"},
		{"signed something else", after("targets", func(s string) string {
			return strings.Replace(s, `"length":3`, `"length":4`, 1)
		}), "targets: 0 of 1 required signatures"},
		{"root signed by the old keys only", func(f *forge) {
			f.hand("root", f.key(f.at("root", "keys")))
			f.signers["root"] = f.old("root")
		}, "by its own keys: root: 0 of 1"},
		{"root signed by the new keys only", func(f *forge) { f.hand("root", f.key(f.at("root", "keys"))) }, "by the keys of the root before it: root: 0 of 1"},
		{"root below its new threshold", func(f *forge) {
			role := f.at("root", "roles", "root")
			role["keyids"] = append(role["keyids"].([]any), f.key(f.at("root", "keys")))
			role["threshold"] = 2
		}, "by its own keys: root: 1 of 2"},
		{"targets by the old key", func(f *forge) {
			f.hand("targets", f.key(f.at("root", "keys")))
			f.signers["targets"] = f.old("targets")
		}, "targets: 0 of 1"},
		{"the published targets under a new key", func(f *forge) {
			f.hand("targets", f.key(f.at("root", "keys")))
			delete(f.files, "targets")
		}, "targets: 0 of 1"},
		{"the published delegation under a new key", func(f *forge) {
			d := f.at("targets", "delegations")["roles"].([]any)[0].(object)
			d["keyids"] = []any{f.key(f.at("targets", "delegations", "keys"))}
			delete(f.files, "ci")
			delete(f.files, "ci.deep")
		}, "ci: 0 of 1"},
		{"PKCS#1 v1.5", func(f *forge) {
			f.hand("targets", f.foreign(tuf.TypeRSA, tuf.SchemeRSA, &rsaPrivate().PublicKey, pkcs1v15))
		}, "targets: 0 of 1"},
		{"RSA with a maximal salt", func(f *forge) {
			f.hand("targets", f.foreign(tuf.TypeRSA, tuf.SchemeRSA, &rsaPrivate().PublicKey, saltMaximal))
		}, "have the RSA salt length that every client takes"},
		{"root by RSA with a maximal salt", func(f *forge) {
			old := f.old("root")
			f.hand("root", f.foreign(tuf.TypeRSA, tuf.SchemeRSA, &rsaPrivate().PublicKey, saltMaximal))
			f.signers["root"] = append(f.signers["root"], old...)
		}, "root: 0 of 1 required signatures have the RSA salt length"},
	})
}

// old is the keys of the published root for a role.
func (f *forge) old(role string) []string {
	return f.view().Root().Signed.Roles[role].KeyIDs
}

func TestRejectTree(t *testing.T) {
	refused(t, family(t), []refusal{
		{"a role that nobody delegates to", func(f *forge) {
			d := f.delegate("targets", "x", "x/*")
			f.role(d)
			roles := f.at("targets", "delegations")["roles"].([]any)
			f.at("targets", "delegations")["roles"] = roles[:len(roles)-1]
		}, "no role delegates to it"},
		{"a delegation taken away while its role is submitted", func(f *forge) {
			delete(f.files["targets"], "delegations")
		}, "no role delegates to it"},
		{"a role delegated to twice in one file", func(f *forge) {
			f.delegate("targets", "x", "x/*")
			f.delegate("targets", "x", "x/*")
		}, "is there twice"},
		{"a role under two parents", func(f *forge) {
			f.role(f.delegate("targets", "x", "x/*"))
			f.at("ci", "delegations")["roles"] = append(f.at("ci", "delegations")["roles"].([]any),
				f.at("targets", "delegations")["roles"].([]any)[1])
			f.at("ci", "delegations")["keys"] = f.at("targets", "delegations", "keys")
			f.list(f.at("ci", "delegations", "keys"), f.deepKey())
		}, "delegated to twice"},
		{"a role that delegates to itself", func(f *forge) { f.delegate("ci", "ci", "ci/*") }, "delegated to twice"},
		{"a cycle", func(f *forge) { f.delegate("ci.deep", "ci", "ci/*") }, "delegated to twice"},
		{"depth 33", func(f *forge) { f.chain(33) }, "more than 32 delegations deep"},
		{"depth 40", func(f *forge) { f.chain(40) }, "more than 32 delegations deep"},
	})
}

// deepKey is the key of the delegation to ci.deep.
func (f *forge) deepKey() tuf.Key {
	file, err := f.view().Role(f.t.Context(), "ci")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, key := range file.Signed.Delegations.Keys {
		return key
	}
	return tuf.Key{}
}

// chain adds a line of roles below targets.
func (f *forge) chain(depth int) {
	parent := "targets"
	for n := range depth {
		name := fmt.Sprint("r", n)
		f.role(f.delegate(parent, name, "r/*"))
		parent = name
	}
}

// TestDepth: a line of delegations may be as long as promised.
func TestDepth(t *testing.T) {
	f := newForge(t, family(t))
	f.chain(32)
	f.target("r31", "r/x")
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	f.mustBeClean()
}

func TestRejectTargets(t *testing.T) {
	key := repo.TargetKey(collection, "new", sum("new"))
	refused(t, family(t), []refusal{
		{"a target outside the role's paths", func(f *forge) { f.target("ci", "other") }, `target "other" lies outside the paths of targets/ci`},
		{"a target deeper than the role's paths", func(f *forge) { f.target("ci", "ci/a/b/c") }, "lies outside the paths of targets/ci"},
		{"a target outside the paths of the role above", func(f *forge) { f.target("ci.deep", "other") }, `target "other" lies outside the paths of targets/ci`},
		{"a target outside paths that became narrower", func(f *forge) {
			f.at("targets", "delegations")["roles"].([]any)[0].(object)["paths"] = []any{"ci/*"}
		}, `target "ci/deep/new" lies outside the paths of targets/ci`},
		{"a target that is not in the store", func(f *forge) { delete(f.puts, key) }, `target "new" is not in the store`},
		{"a target of another size", func(f *forge) { f.puts[key] = "newer" }, `target "new" has 5 bytes in the store, not 3`},
		{"a target of another content", func(f *forge) { f.puts[key] = "wen" }, `has the sha256 ` + sum("wen")},
		{"a target of a delegation that is not in the store", func(f *forge) {
			delete(f.puts, repo.TargetKey(collection, "ci/new", sum("ci/new")))
		}, `targets/ci: target "ci/new" is not in the store`},
		{"a published target whose length changes", set("targets", 2, "targets", "old", "length"), `target "old" has 1 bytes in the store, not 2`},
		{"a published target whose hash changes", set("targets", sum("2"), "targets", "old", "hashes", "sha256"), `target "old" is not in the store`},
	})
}

// TestRejectFirst: what cannot be the first publication.
func TestRejectFirst(t *testing.T) {
	published := family(t)
	for _, row := range []refusal{
		{"empty", func(f *forge) { clear(f.files) }, "needs root and targets"},
		{"without root", func(f *forge) { delete(f.files, "root") }, "needs root and targets"},
		{"without targets", func(f *forge) { f.files = map[string]object{"root": f.files["root"]} }, "needs root and targets"},
		{"root version 2", set("root", 2, "version"), "the first root has version 2"},
		{"unsigned root", func(f *forge) { f.signers["root"] = nil }, "root: 0 of 1"},
		{"root with a parent", set("root", sum("x"), "x-publisher", "parent"), "root was published by somebody else"},
		{"targets with a parent", set("targets", sum("x"), "x-publisher", "parent"), "targets was published by somebody else"},
		{"a jump", set("targets", 1001, "version"), "more than 1000 ahead of 0"},
		{"a bad root", set("root", false, "consistent_snapshot"), "consistent_snapshot is false"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newForge(t, published)
			f.store = storage.NewMemory()
			for role := range f.files {
				f.files[role]["version"] = 1
				delete(f.at(role, "x-publisher"), "parent")
			}
			delete(f.at("targets", "targets"), "old")
			row.do(f)
			before, after, err := f.commit()
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("the error is %v, without %q", err, row.want)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
		})
	}
}

// TestRejectReplay: a submission that was published is not published again after
// another, nor in another collection.
func TestRejectReplay(t *testing.T) {
	f := newForge(t, family(t))
	replay := f.submission()
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	f.mustPublish(remove("new"))
	before := objects(t, f.store)
	_, err := f.committer().Commit(t.Context(), nil, replay)
	var stale *repo.StaleError
	if !errors.As(err, &stale) {
		t.Errorf("an old submission: %v", err)
	}
	if diff := cmp.Diff(before, objects(t, f.store)); diff != "" {
		t.Error(diff)
	}
}

// TestRejectReturned: a role that comes back under a name that was in use before
// goes on with its numbers, or clients would refuse the snapshot.
func TestRejectReturned(t *testing.T) {
	w := family(t)
	w.now = w.now.Add(time.Minute)
	f := newForge(t, w)
	f.files = map[string]object{"targets": f.files["targets"]}
	delete(f.files["targets"], "delegations")
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	v := f.view()
	if got := v.Snapshot.Signed.Meta["ci.json"].Version; got != 2 {
		t.Errorf("the snapshot lists ci with version %d", got)
	}
	top, err := v.Role(t.Context(), tuf.RoleTargets)
	if err != nil {
		t.Fatal(err)
	}
	g := &forge{world: f.world, files: map[string]object{}, signers: map[string][]string{}}
	take(g, tuf.RoleTargets, successor(top, f.now), top)
	g.sub = func(*repo.Submission) {}
	g.role(g.delegate("targets", "ci", "ci/*"))
	for version, want := range map[int]string{1: "version 1 is not greater than 2", 2: "version 2 is not greater than 2"} {
		g.files["ci"]["version"] = version
		_, _, err := g.commit()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	g.files["ci"]["version"] = 3
	if _, _, err := g.commit(); err != nil {
		t.Errorf("version 3: %v", err)
	}
	f.mustBeClean()
}
