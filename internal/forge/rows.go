package forge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
)

// A Row is one thing that is wrong with a submission, and what is said of it.
// The names of those that Notary's server looked for, or should have, begin with
// Notary.
type Row struct {
	Name  string
	Break func(f *Forge)
	Want  string
}

// All is what is refused on top of a Family.
func All() []Row {
	return slices.Concat(Gate(), Form(), Keys(), Certs(), Roles(), Names(), Versions(), Signatures(), Tree(), Targets())
}

// Gate is what the strict gate refuses.
func Gate() []Row {
	return []Row{
		{"null role", set("root", nil, "roles", "targets"), "null where"},
		{"null key", func(f *Forge) { f.At("root", "keys")["x"] = nil }, "null where"},
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
		{"no targets", func(f *Forge) { delete(f.Files["targets"], "targets") }, "targets, version is missing"},
		{"no keys", func(f *Forge) { delete(f.Files["root"], "keys") }, "is missing"},
		{"Notary: root without a role", func(f *Forge) { delete(f.At("root", "roles"), "timestamp") }, "is missing"},
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
		{"deep nesting", func(f *Forge) { f.Files["targets"]["x"] = nested(40) }, "nested deeper"},
		{"trailing bytes", after("targets", func(s string) string { return s + "x" }), "after the end"},
		{"second value", after("targets", func(s string) string { return s + "\n{}" }), "after the end"},
		{"Notary: a file that is too large", set("root", strings.Repeat("x", repo.MaxRoot), "x"), "at most 512000"},
		{"Notary: a root called targets", set("targets", "root", "_type"), `_type is "root"`},
		{"two signatures of a key", func(f *Forge) {
			f.Signers["targets"] = append(f.Signers["targets"], f.Signers["targets"][0])
		}, "two signatures"},
	}
}

// Form is what is no file of ours.
func Form() []Row {
	return []Row{
		{"version 0", set("targets", 0, "version"), "version is 0"},
		{"version -1", set("targets", -1, "version"), "version is -1"},
		{"another spec_version", set("targets", "1.0.19", "spec_version"), `spec_version "1.0.19"`},
		{"another collection", set("targets", "example.com/other", "x-publisher", "collection"), `belongs to the collection "example.com/other"`},
		{"no collection", func(f *Forge) { delete(f.Files["targets"], "x-publisher") }, `belongs to the collection ""`},
		{"root of another collection", set("root", "example.com/other", "x-publisher", "collection"), `belongs to the collection "example.com/other"`},
		{"expires with fractions", set("targets", "2026-11-23T00:00:00.5Z", "expires"), "its form"},
		{"expires with an offset", set("targets", "2026-11-23T00:00:00+00:00", "expires"), "its form"},
		{"expires is no time", set("targets", "tomorrow", "expires"), "parse"},
		{"custom that is no object", set("targets", []any{1}, "targets", "new", "custom"), "custom is not an object"},
		{"empty custom", set("targets", nil, "targets", "new", "custom"), "custom is null"},
		{"no terminating", func(f *Forge) { delete(f.At("ci", "delegations")["roles"].([]any)[0].(Object), "terminating") }, "its form"},
		{"empty roles", set("ci.deep", Object{"keys": Object{}, "roles": []any{}}, "delegations"), "its form"},
		{"empty paths", func(f *Forge) { f.Delegate("targets", "x")["paths"] = []any{} }, "its form"},
		{"no hashes", set("targets", Object{}, "targets", "new", "hashes"), "not sha256 alone"},
		{"md5 alone", set("targets", Object{"md5": "00"}, "targets", "new", "hashes"), "not sha256 alone"},
		{"sha512 beside sha256", set("targets", strings.Repeat("0", 128), "targets", "new", "hashes", "sha512"), "not sha256 alone"},
		{"upper-case hash", set("targets", strings.ToUpper(Sum("new")), "targets", "new", "hashes", "sha256"), "lower-case hex"},
		{"short hash", set("targets", Sum("new")[:62], "targets", "new", "hashes", "sha256"), "lower-case hex"},
		{"hash with a path", set("targets", "../"+Sum("new")[3:], "targets", "new", "hashes", "sha256"), "lower-case hex"},
		{"negative length", set("targets", -1, "targets", "new", "length"), "length -1"},
	}
}

// Keys is keys that some client could not use, or take for two.
func Keys() []Row {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	rows := []Row{
		{"Notary: a key ID that is no hash of the key", func(f *Forge) {
			keys := f.At("root", "keys")
			id := f.Key(keys)
			keys[Sum("x")] = keys[id]
			delete(keys, id)
		}, "its ID is"},
		{"one key under two IDs", func(f *Forge) {
			keys := f.At("root", "keys")
			twin := Object{"x": 1}
			for name, v := range keys[f.Key(keys)].(Object) {
				twin[name] = v
			}
			payload := must(tuf.Canonical([]byte(Encode(f.T, twin))))
			digest := sha256.Sum256(payload)
			keys[hex.EncodeToString(digest[:])] = twin
		}, "described otherwise"},
		{"Notary: unknown key type", func(f *Forge) {
			f.list(f.At("root", "keys"), tuf.Key{Type: "dilithium", Scheme: "dilithium"})
		}, `unknown key type "dilithium"`},
		{"unknown scheme", func(f *Forge) {
			f.list(f.At("root", "keys"), tuf.Key{Type: "ed25519", Scheme: "ed448", Value: tuf.KeyValue{Public: Sum("")}})
		}, `scheme "ed448"`},
		{"short ed25519 key", func(f *Forge) {
			f.list(f.At("root", "keys"), tuf.Key{Type: "ed25519", Scheme: "ed25519", Value: tuf.KeyValue{Public: "abcd"}})
		}, "not an ed25519 key: 4 characters"},
		{"RSA key called ed25519", func(f *Forge) {
			f.Foreign("ed25519", "ed25519", &RSA().PublicKey, none)
		}, "not an ed25519 key"},
		{"ECDSA key called RSA", func(f *Forge) { f.Foreign("rsa", "rsassa-pss-sha256", &p384.PublicKey, none) }, "does not fit"},
		{"RSA key for PKCS#1 v1.5", func(f *Forge) {
			f.Foreign("rsa", "rsa-pkcs1v15-sha256", &RSA().PublicKey, none)
		}, "does not fit"},
		{"P-384", func(f *Forge) { f.Foreign("ecdsa", "ecdsa-sha2-nistp384", &p384.PublicKey, none) }, "only P-256"},
		{"P-384 called P-256", func(f *Forge) { f.Foreign("ecdsa", "ecdsa-sha2-nistp256", &p384.PublicKey, none) }, "does not fit"},
		{"P-224", func(f *Forge) { f.Foreign("ecdsa", "ecdsa-sha2-nistp256", &p224.PublicKey, none) }, "does not fit"},
		{"RSA with 1024 bits", func(f *Forge) { f.Foreign("rsa", "rsassa-pss-sha256", smallRSA(), none) }, "does not fit"},
		{"no PEM", func(f *Forge) {
			f.list(f.At("root", "keys"), tuf.Key{Type: "ecdsa", Scheme: "ecdsa-sha2-nistp256", Value: tuf.KeyValue{Public: "x"}})
		}, "not one PEM block"},
		{"bad key in a delegation", func(f *Forge) {
			f.list(f.At("ci", "delegations", "keys"), tuf.Key{Type: "ed25519", Scheme: "ed25519", Value: tuf.KeyValue{Public: "abcd"}})
		}, "not an ed25519 key: 4 characters"},
	}
	return rows
}

// Roles is roles that some client could not verify, or that have no say of their own.
func Roles() []Row {
	return []Row{
		{"consistent_snapshot false", set("root", false, "consistent_snapshot"), "consistent_snapshot is false"},
		{"no consistent_snapshot", func(f *Forge) { delete(f.Files["root"], "consistent_snapshot") }, "its form"},
		{"a lifetime of no time", lifetime(0), "the lifetime of snapshot is 0 seconds"},
		{"a lifetime that is negative", lifetime(-1), "the lifetime of snapshot is -1 seconds"},
		{"a lifetime of a century", lifetime(100 * 365 * 86400), "the lifetime of snapshot is 3153600000 seconds"},
		{"Notary: threshold 0", set("root", 0, "roles", "targets", "threshold"), "threshold 0"},
		{"threshold -1", set("root", -1, "roles", "targets", "threshold"), "threshold -1"},
		{"Notary: threshold above the keys", set("root", 2, "roles", "targets", "threshold"), "threshold 2 with 1 keys"},
		{"a key named twice", func(f *Forge) {
			role := f.At("root", "roles", "targets")
			role["keyids"] = append(role["keyids"].([]any), role["keyids"].([]any)[0])
		}, "named twice"},
		{"a key that is not listed", func(f *Forge) {
			role := f.At("root", "roles", "targets")
			role["keyids"] = append(role["keyids"].([]any), Sum("x"))
		}, "is not listed"},
		{"an extra role", set("root", Object{"keyids": []any{}, "threshold": 1}, "roles", "mirrors"), `has a role "mirrors"`},
		{"snapshot and root share a key", func(f *Forge) { f.share("snapshot", "root") }, "serves both root and snapshot"},
		{"snapshot and targets share a key", func(f *Forge) { f.share("snapshot", "targets") }, "serves both targets and snapshot"},
		{"timestamp and root share a key", func(f *Forge) { f.share("timestamp", "root") }, "serves both root and timestamp"},
		{"timestamp and targets share a key", func(f *Forge) { f.share("timestamp", "targets") }, "serves both targets and timestamp"},
		{"Notary: threshold 0 of a delegation", func(f *Forge) { f.Delegate("targets", "x", "x/*")["threshold"] = 0 }, "threshold 0 with 1 keys"},
		{"Notary: threshold of a delegation above its keys", func(f *Forge) { f.Delegate("targets", "x", "x/*")["threshold"] = 2 }, "threshold 2 with 1 keys"},
		{"a delegation to a key that is not listed", func(f *Forge) {
			f.Delegate("targets", "x", "x/*")["keyids"] = []any{Sum("x")}
		}, "is not listed"},
		{"a delegation to one key twice", func(f *Forge) {
			d := f.Delegate("targets", "x", "x/*")
			d["keyids"] = append(d["keyids"].([]any), d["keyids"].([]any)[0])
		}, "named twice"},
		{"a delegation without paths", func(f *Forge) { delete(f.Delegate("targets", "x"), "paths") }, "delegation targets/x: it has no paths"},
		{"path_hash_prefixes", func(f *Forge) {
			f.Delegate("targets", "x", "x/*")["path_hash_prefixes"] = []any{"00"}
		}, "path_hash_prefixes, which some clients compare wrongly"},
		{"succinct_roles", func(f *Forge) {
			d := Object{"keys": Object{}}
			id := f.Key(d["keys"].(Object))
			d["succinct_roles"] = Object{"keyids": []any{id}, "threshold": 1, "bit_length": 2, "name_prefix": "bin"}
			f.Files["ci.deep"]["delegations"] = d
		}, "succinct_roles, which five"},
	}
}

// Names is names that some client could not use, or that are not for submissions.
func Names() []Row {
	var rows []Row
	for _, name := range []string{
		"", "/x", "x/", "a//b", ".", "..", "../x", "a/./b", "a/../b", "a%2f", "a?", "a#", `a\b`, "a\nb", "a\x7f", "a\u0085",
		"a ", strings.Repeat("x", 191), strings.Repeat("x/", 300) + "x",
	} {
		rows = append(rows, Row{fmt.Sprintf("target %.20q", name), func(f *Forge) {
			f.At("targets", "targets")[name] = f.At("targets", "targets", "new")
		}, "target name"})
	}
	for _, name := range []string{"", "CI", "a/b", "../x", "a..b", "snapshot", "timestamp", "root", "targets", "é", "-a", "1.root.json/"} {
		rows = append(rows, Row{fmt.Sprintf("delegation %q", name), func(f *Forge) {
			f.Delegate("targets", name, "x/*")
		}, "role name"})
	}
	for _, pattern := range []string{"", "/x", "[a]", "{a,b}", `a\*`, "**", "a/**/b"} {
		rows = append(rows, Row{fmt.Sprintf("pattern %q", pattern), func(f *Forge) {
			f.Delegate("targets", "x", "ok/*", pattern)
		}, "path pattern"})
	}
	for _, role := range []string{"snapshot", "timestamp"} {
		rows = append(rows, Row{"Notary: " + role + " submitted", func(f *Forge) {
			f.Edit = func(s *repo.Submission) { s.Files[role] = s.Files["targets"] }
		}, "made by commit itself"})
	}
	rows = append(rows,
		Row{"a role with a bad name submitted", func(f *Forge) {
			f.Edit = func(s *repo.Submission) { s.Files["../../x"] = s.Files["targets"] }
		}, "role name"},
		Row{"a submission for another collection", func(f *Forge) {
			f.Edit = func(s *repo.Submission) { s.Collection = "example.com/other" }
		}, `for the collection "example.com/other"`},
	)
	return rows
}

// Versions is files that do not follow the published ones, or not for long enough.
func Versions() []Row {
	stale := func(role string) string { return repo.RoleToNotary(role) + " was published by somebody else" }
	return []Row{
		{"the same version", set("targets", 2, "version"), "version 2 is not greater than 2"},
		{"a lower version", set("targets", 1, "version"), "version 1 is not greater than 2"},
		{"Notary: a version that jumps", set("targets", 1003, "version"), "version 1003 is more than 1000 ahead of 2"},
		{"a jump of 10^9", set("targets", 1_000_000_000, "version"), "more than 1000 ahead"},
		{"a jump of a delegation", set("ci", 1_000_000_000, "version"), "more than 1000 ahead"},
		{"Notary: wrong parent", set("targets", Sum("x"), "x-publisher", "parent"), stale("targets")},
		{"no parent", func(f *Forge) { delete(f.At("targets", "x-publisher"), "parent") }, stale("targets")},
		{"wrong parent of a delegation", set("ci", Sum("x"), "x-publisher", "parent"), stale("ci")},
		{"parent of a first version", func(f *Forge) {
			f.Role(f.Delegate("targets", "x", "x/*"))
			f.At("x", "x-publisher")["parent"] = Sum("x")
		}, stale("x")},
		{"Notary: root +2", set("root", 3, "version"), "version 3, not 2"},
		{"the root's version again", set("root", 1, "version"), "version 1, not 2"},
		{"wrong parent of root", set("root", Sum("x"), "x-publisher", "parent"), stale("root")},
		{"no parent of root", func(f *Forge) { delete(f.At("root", "x-publisher"), "parent") }, stale("root")},
		{"Notary: expired targets", set("targets", "2026-11-22T12:00:00Z", "expires"), "expired at 2026-11-22T12:00:00Z"},
		{"Notary: expired root", set("root", "2026-11-22T11:00:00Z", "expires"), "root: it expired"},
		{"Notary: expired delegation beside good roles", set("ci", "2026-11-22T11:00:00Z", "expires"), "targets/ci: it expired"},
		{"expires too late", set("targets", "2027-11-23T12:00:00Z", "expires"), "more than 8760h"},
		{"root expires too late", set("root", "2028-11-23T12:00:00Z", "expires"), "more than 17520h"},
		{"a grace without end", set("root", "2026-11-24T12:00:00Z", "x-publisher", "grace_until"), "its grace lasts until 2026-11-24T12:00:00Z"},
		{"delegation expires too late", set("ci", "9999-01-01T00:00:00Z", "expires"), "more than 8760h"},
	}
}

// Signatures is files that not enough of the right keys signed.
func Signatures() []Row {
	return []Row{
		{"nobody signed targets", func(f *Forge) { f.Signers["targets"] = nil }, "targets: 0 of 1 required signatures"},
		{"Notary: nobody signed a delegation", func(f *Forge) { f.Signers["ci"] = nil }, "ci: 0 of 1 required signatures"},
		{"nobody signed root", func(f *Forge) { f.Signers["root"] = nil }, "root: 0 of 1 required signatures"},
		{"Notary: a delegation signed by another role's key", func(f *Forge) { f.Signers["ci"] = f.Signers["targets"] }, "ci: 0 of 1 required signatures"},
		{"signed something else", after("targets", func(s string) string {
			return strings.Replace(s, `"length":3`, `"length":4`, 1)
		}), "targets: 0 of 1 required signatures"},
		{"Notary: root signed by the old keys only", func(f *Forge) {
			f.Hand("root", f.Key(f.At("root", "keys")))
			f.Signers["root"] = f.old("root")
		}, "by its own keys: root: 0 of 1"},
		{"Notary: root signed by the new keys only", func(f *Forge) { f.Hand("root", f.Key(f.At("root", "keys"))) }, "by the keys of the root before it: root: 0 of 1"},
		{"Notary: root below its new threshold", func(f *Forge) {
			role := f.At("root", "roles", "root")
			role["keyids"] = append(role["keyids"].([]any), f.Key(f.At("root", "keys")))
			role["threshold"] = 2
		}, "by its own keys: root: 1 of 2"},
		{"targets by the old key", func(f *Forge) {
			f.Hand("targets", f.Key(f.At("root", "keys")))
			f.Signers["targets"] = f.old("targets")
		}, "targets: 0 of 1"},
		{"targets by the new key only", func(f *Forge) {
			id := f.Key(f.At("root", "keys"))
			f.Hand("targets", id)
			f.Signers["targets"] = []string{id}
		}, "targets: targets: 0 of 1"},
		{"the published targets under a new key", func(f *Forge) {
			f.Hand("targets", f.Key(f.At("root", "keys")))
			delete(f.Files, "targets")
		}, "targets: 0 of 1"},
		{"the published delegation under a new key", func(f *Forge) {
			d := f.At("targets", "delegations")["roles"].([]any)[0].(Object)
			d["keyids"] = []any{f.Key(f.At("targets", "delegations", "keys"))}
			delete(f.Files, "ci")
			delete(f.Files, "ci.deep")
		}, "ci: 0 of 1"},
		{"PKCS#1 v1.5", func(f *Forge) {
			f.Hand("targets", f.Foreign(tuf.TypeRSA, tuf.SchemeRSA, &RSA().PublicKey, pkcs1v15))
		}, "targets: 0 of 1"},
		{"RSA with a maximal salt", func(f *Forge) {
			f.Hand("targets", f.Foreign(tuf.TypeRSA, tuf.SchemeRSA, &RSA().PublicKey, SaltMaximal))
		}, "have the RSA salt length that every client takes"},
		{"root by RSA with a maximal salt", func(f *Forge) {
			old := f.old("root")
			f.Hand("root", f.Foreign(tuf.TypeRSA, tuf.SchemeRSA, &RSA().PublicKey, SaltMaximal))
			f.Signers["root"] = append(f.Signers["root"], old...)
		}, "root: 0 of 1 required signatures have the RSA salt length"},
	}
}

// Extra is signatures that a submission has beside good ones, and nobody may add.
// A draft loses them before it is submitted.
func Extra() []Row {
	return []Row{
		{"a signature of nobody", after("targets", junk("nobody")), `signature of key "nobody" is not a good one`},
		{"a signature of nobody on root", after("root", junk("nobody")), `signature of key "nobody" is not a good one`},
		{"a signature of nobody on a delegation", after("ci", junk("nobody")), `signature of key "nobody" is not a good one`},
		{"a good signature of another role's key", func(f *Forge) {
			f.Signers["ci"] = append(f.Signers["ci"], f.Signers["targets"]...)
		}, "is not a good one of a key that is named for it"},
		{"a good signature of a key that the same file names for another role", func(f *Forge) {
			f.Signers["targets"] = append(f.Signers["targets"], f.old("root")...)
		}, "is not a good one of a key that is named for it"},
	}
}

// junk adds a signature that anybody could make.
func junk(keyID string) func(string) string {
	return func(s string) string {
		return strings.Replace(s, `{"signatures":[`, `{"signatures":[{"keyid":"`+keyID+`","sig":"00"},`, 1)
	}
}

// Tree is delegations that are none.
func Tree() []Row {
	return []Row{
		{"Notary: a role that nobody delegates to", func(f *Forge) {
			d := f.Delegate("targets", "x", "x/*")
			f.Role(d)
			roles := f.At("targets", "delegations")["roles"].([]any)
			f.At("targets", "delegations")["roles"] = roles[:len(roles)-1]
		}, "no role delegates to it"},
		{"a delegation taken away while its role is submitted", func(f *Forge) {
			delete(f.Files["targets"], "delegations")
		}, "no role delegates to it"},
		{"a role below a delegation that is taken away", func(f *Forge) {
			delete(f.Files["targets"], "delegations")
			delete(f.Files, "ci")
		}, "targets/ci/deep: no role delegates to it"},
		{"a delegation without the first version of its role", func(f *Forge) {
			f.Delegate("targets", "later", "later/*")
		}, "targets/later: its delegation comes without its first version"},
		{"an online key in a delegation", func(f *Forge) {
			id := f.old("timestamp")[0]
			f.At("targets", "delegations", "keys")[id] = f.At("root", "keys")[id]
			d := f.At("targets", "delegations")["roles"].([]any)[0].(Object)
			d["keyids"] = append(d["keyids"].([]any), id)
		}, "serves timestamp"},
		{"a role delegated to twice in one file", func(f *Forge) {
			f.Delegate("targets", "x", "x/*")
			f.Delegate("targets", "x", "x/*")
		}, "is there twice"},
		{"Notary: a role under two parents", func(f *Forge) {
			f.Role(f.Delegate("targets", "x", "x/*"))
			f.At("ci", "delegations")["roles"] = append(f.At("ci", "delegations")["roles"].([]any),
				f.At("targets", "delegations")["roles"].([]any)[1])
			f.At("ci", "delegations")["keys"] = f.At("targets", "delegations", "keys")
			f.list(f.At("ci", "delegations", "keys"), f.deepKey())
		}, "targets/x: targets/ci delegates to it, and by its name only targets may"},
		{"a delegation whose name is another role's to give", func(f *Forge) {
			f.Role(f.Delegate("ci", "releases", "ci/*"))
		}, "targets/releases: targets/ci delegates to it, and by its name only targets may"},
		{"a delegation of targets whose name is another role's to give", func(f *Forge) {
			f.Role(f.Delegate("targets", "ci.more", "ci/*"))
		}, "targets/ci/more: targets delegates to it, and by its name only targets/ci may"},
		{"a delegation that is handed to another role", func(f *Forge) {
			all := f.At("ci", "delegations")
			f.At("targets", "delegations")["roles"] = append(f.At("targets", "delegations")["roles"].([]any), all["roles"].([]any)[0])
			f.list(f.At("targets", "delegations", "keys"), f.deepKey())
			delete(f.Files["ci"], "delegations")
		}, "targets/ci/deep: targets delegates to it, and by its name only targets/ci may"},
		{"a role that delegates to itself", func(f *Forge) { f.Delegate("ci", "ci", "ci/*") }, "delegated to twice"},
		{"a cycle", func(f *Forge) { f.Delegate("ci.deep", "ci", "ci/*") }, "delegated to twice"},
		{"depth 33", func(f *Forge) { f.Chain(33) }, "more than 32 delegations deep"},
		{"depth 40", func(f *Forge) { f.Chain(40) }, "more than 32 delegations deep"},
	}
}

// Targets is targets that may not be listed, or are not there.
func Targets() []Row {
	key := repo.TargetKey(Collection, "new", Sum("new"))
	return []Row{
		{"Notary: a target outside the role's paths", func(f *Forge) { f.Target("ci", "other") }, `target "other" lies outside the paths of targets/ci`},
		{"a target deeper than the role's paths", func(f *Forge) { f.Target("ci", "ci/a/b/c") }, "lies outside the paths of targets/ci"},
		{"a target outside the paths of the role above", func(f *Forge) { f.Target("ci.deep", "other") }, `target "other" lies outside the paths of targets/ci`},
		{"a target outside paths that became narrower", func(f *Forge) {
			f.At("targets", "delegations")["roles"].([]any)[0].(Object)["paths"] = []any{"ci/*"}
		}, `target "ci/deep/new" lies outside the paths of targets/ci`},
		{"Notary: a target that is not in the store", func(f *Forge) { delete(f.Puts, key) }, `target "new" is not in the store`},
		{"a target of another size", func(f *Forge) { f.Puts[key] = "newer" }, `target "new" has 5 bytes in the store, not 3`},
		{"a target of another content", func(f *Forge) { f.Puts[key] = "wen" }, `has the sha256 ` + Sum("wen")},
		{"a target of a delegation that is not in the store", func(f *Forge) {
			delete(f.Puts, repo.TargetKey(Collection, "ci/new", Sum("ci/new")))
		}, `targets/ci: target "ci/new" is not in the store`},
		{"a published target whose length changes", set("targets", 2, "targets", "old", "length"), `target "old" has 1 bytes in the store, not 2`},
		{"a published target whose hash changes", set("targets", Sum("2"), "targets", "old", "hashes", "sha256"), `target "old" is not in the store`},
	}
}

// First is what cannot be a first publication; see Unpublish.
func First() []Row {
	return []Row{
		{"empty", func(f *Forge) { clear(f.Files) }, "needs root and targets"},
		{"Notary: no root", func(f *Forge) { delete(f.Files, "root") }, "needs root and targets"},
		{"without targets", func(f *Forge) { f.Files = map[string]Object{"root": f.Files["root"]} }, "needs root and targets"},
		{"Notary: first root version 2", set("root", 2, "version"), "the first root has version 2"},
		{"unsigned root", func(f *Forge) { f.Signers["root"] = nil }, "root: 0 of 1"},
		{"root with a parent", set("root", Sum("x"), "x-publisher", "parent"), "root was published by somebody else"},
		{"targets with a parent", set("targets", Sum("x"), "x-publisher", "parent"), "targets was published by somebody else"},
		{"Notary: a version that jumps", set("targets", 1001, "version"), "more than 1000 ahead of 0"},
		{"a bad root", set("root", false, "consistent_snapshot"), "consistent_snapshot is false"},
	}
}
