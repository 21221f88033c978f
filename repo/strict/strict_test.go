package strict_test

import (
	"fmt"
	"strings"
	"testing"

	"publisher/repo/strict"
)

// The files that the tables start from, each with everything a shape knows.
const (
	root = `{"signatures":[{"keyid":"k1","sig":"00"}],"signed":{"_type":"root","spec_version":"1.0.31",` +
		`"version":1,"expires":"2030-01-01T00:00:00Z","consistent_snapshot":true,` +
		`"keys":{"k1":{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}}},` +
		`"roles":{"root":{"keyids":["k1"],"threshold":1},"targets":{"keyids":["k1"],"threshold":1},` +
		`"snapshot":{"keyids":["k1"],"threshold":1},"timestamp":{"keyids":["k1"],"threshold":1}},` +
		`"x-publisher":{"collection":"example.com/a","lifetimes":{"root":86400}}}}`
	targets = `{"signatures":[{"keyid":"k1","sig":"00"}],"signed":{"_type":"targets","spec_version":"1.0.31",` +
		`"version":1,"expires":"2030-01-01T00:00:00Z",` +
		`"targets":{"a/b":{"length":3,"hashes":{"sha256":"00"},"custom":{"any":[null,-5,true,"é"]}}},` +
		`"delegations":{"keys":{"k1":{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}}},` +
		`"roles":[{"name":"ci","keyids":["k1"],"threshold":1,"paths":["ci/*"],"terminating":false}]}}}`
	snapshot = `{"signatures":[],"signed":{"_type":"snapshot","spec_version":"1.0.31",` +
		`"version":1,"expires":"2030-01-01T00:00:00Z",` +
		`"meta":{"targets.json":{"version":1,"length":10,"hashes":{"sha256":"00"}}}}}`
	timestamp = `{"signatures":[],"signed":{"_type":"timestamp","spec_version":"1.0.31",` +
		`"version":1,"expires":"2030-01-01T00:00:00Z",` +
		`"meta":{"snapshot.json":{"version":1,"length":10,"hashes":{"sha256":"00"}}}}}`
)

var shapes = map[string]*strict.Shape{
	root: strict.Root, targets: strict.Targets, snapshot: strict.Snapshot, timestamp: strict.Timestamp,
}

const max = 1 << 20

// edit is file with the first old replaced.
func edit(t testing.TB, file, old, with string) string {
	t.Helper()
	if !strings.Contains(file, old) {
		t.Fatalf("no %s in %s", old, file)
	}
	return strings.Replace(file, old, with, 1)
}

// accepted has files that pass, each one of the above with an edit.
var accepted = []struct{ name, file, old, with string }{
	{"root", root, "", ""},
	{"targets", targets, "", ""},
	{"snapshot", snapshot, "", ""},
	{"timestamp", timestamp, "", ""},
	{"white space", root, `{"signatures":`, " {\r\n\t\"signatures\" : "},
	{"white space after the end", root, `86400}}}}`, "86400}}}}\n"},
	{"an escaped name", root, `"signed":`, `"\u0073igned":`},
	{"an unknown name", targets, `"length":3`, `"length":3,"x":null`},
	{"names that differ only in case where names are free", targets, `"a/b":{`, `"A/B":{"length":1,"hashes":{}},"a/b":{`},
	{"names that differ only in case in custom", targets, `"any":`, `"ANY":1,"any":`},
	{"one name at two depths", targets, `"any":`, `"signed":{"signed":1},"any":`},
	{"the largest integer", snapshot, `"version":1`, `"version":9007199254740991`},
	{"the smallest integer", snapshot, `"version":1`, `"version":-9007199254740991`},
	{"a paired surrogate", targets, `"é"`, `"\ud83d\ude00"`},
	{"a control character, escaped", targets, `"é"`, `"\u0000"`},
	{"U+FFFD itself", targets, `"é"`, "\"\ufffd\""},
	{"32 deep", targets, `[null,`, strings.Repeat("[", 27) + strings.Repeat("]", 27) + `,"x":[`},
	{"no target", targets, `"a/b":{"length":3,"hashes":{"sha256":"00"},"custom":{"any":[null,-5,true,"é"]}}`, ``},
	{"another role in root", root, `"roles":{`, `"roles":{"mirrors":{"keyids":[],"threshold":1},`},
}

func TestCheckAccepts(t *testing.T) {
	for _, row := range accepted {
		t.Run(row.name, func(t *testing.T) {
			file := edit(t, row.file, row.old, row.with)
			if err := strict.Check([]byte(file), max, shapes[row.file]); err != nil {
				t.Errorf("%v\n%s", err, file)
			}
		})
	}
}

// What the rows below are made of.
const (
	duplicate = "duplicate object member name"
	onlyCase  = "only in case"
	integer   = "not an integer within"
	role      = `"snapshot":{"keyids":["k1"],"threshold":1}`
	target    = `{"length":3,"hashes":{"sha256":"00"},"custom":{"any":[null,-5,true,"é"]}}`
	metaFile  = `{"version":1,"length":10,"hashes":{"sha256":"00"}}`
	key       = `{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}}`
)

// refused has files that do not pass, and what the error says.
var refused = []struct{ name, file, old, with, want string }{
	{"null role", root, role, `"snapshot":null`, "null where an object"},
	{"null unknown role", root, role, role + `,"x":null`, "null where an object"},
	{"null role list", root, `"keyids":["k1"]`, `"keyids":null`, "null where an array"},
	{"null key ID", root, `"keyids":["k1"]`, `"keyids":[null]`, "null where a string"},
	{"null key", root, key, "null", "null where an object"},
	{"null keyval", root, `{"public":"00"}`, "null", "null where an object"},
	{"null public key", root, `"public":"00"`, `"public":null`, "null where a string"},
	{"null keys", root, `{"k1":` + key + `}`, "null", "null where an object"},
	{"null signature", root, `{"keyid":"k1","sig":"00"}`, "null", "null where an object"},
	{"null signatures", snapshot, `[]`, "null", "null where an array"},
	{"null consistent_snapshot", root, `"consistent_snapshot":true`, `"consistent_snapshot":null`, "null where a boolean"},
	{"null target", targets, target, "null", "null where an object"},
	{"null hash", targets, `"sha256":"00"`, `"sha256":null`, "null where a string"},
	{"null length", targets, `"length":3`, `"length":null`, "null where a number"},
	{"null targets", targets, `{"a/b":` + target + `}`, "null", "null where an object"},
	{"null delegations", targets, `"delegations":{`, `"delegations":null,"x":{`, "null where an object"},
	{"null delegated role", targets, `"roles":[`, `"roles":[null,`, "null where an object"},
	{"null path", targets, `"ci/*"`, `null`, "null where a string"},
	{"null delegated key", targets, `"keys":{`, `"keys":{"k2":null,`, "null where an object"},
	{"null meta", snapshot, `"meta":{`, `"meta":null,"x":{`, "null where an object"},
	{"null meta file", snapshot, metaFile, "null", "null where an object"},
	{"null meta file beside snapshot.json", timestamp, `"meta":{`, `"meta":{"x.json":null,`, "null where an object"},
	{"null signed", root, `"signed":{`, `"signed":null,"x":{`, "null where an object"},
	{"null", root, root, "null", "null where an object"},

	{"a string version", root, `"version":1`, `"version":"1"`, "a string where a number"},
	{"a boolean as string", targets, `"terminating":false`, `"terminating":"false"`, "a string where a boolean"},
	{"an array as targets", targets, `{"a/b":` + target + `}`, `[]`, "an array where an object"},
	{"a number as path", targets, `"ci/*"`, `5`, "a number where a string"},
	{"an object as hash", targets, `"sha256":"00"`, `"sha256":{}`, "an object where a string"},
	{"a false signed", root, `"signed":{`, `"signed":false,"x":{`, "a boolean where an object"},
	{"an array", root, root, "[]", "an array where an object"},

	{"empty meta", timestamp, `{"snapshot.json":` + metaFile + `}`, `{}`, "snapshot.json is missing"},
	{"no signed", root, `"signed":`, `"x":`, "signed is missing"},
	{"no signatures", root, `"signatures":`, `"x":`, "signatures, signed is missing"},
	{"no role", root, `"timestamp":{`, `"x":{`, "timestamp is missing"},
	{"no threshold", root, `"threshold":1`, `"x":1`, "threshold is missing"},
	{"no key type", root, `"keytype":`, `"x":`, "keytype"},
	{"no length", targets, `"length":3`, `"x":3`, "length is missing"},
	{"no expires", root, `"expires":`, `"x":`, "expires"},
	{"no meta version", timestamp, `{"version":1,"length"`, `{"length"`, "version is missing"},
	{"empty object", root, root, "{}", "is missing"},

	{"duplicate version", root, `"version":1`, `"version":1,"version":2`, duplicate},
	{"duplicate signed", root, `}}}}`, `}}},"signed":{}}`, duplicate},
	{"duplicate target", targets, `"a/b":`, `"a/b":` + target + `,"a/b":`, duplicate},
	{"duplicate, one escaped", root, `"version":1`, `"version":1,"\u0076ersion":2`, duplicate},
	{"duplicate, other escapes", targets, `"any":`, `"\u00e9":1,"é":2,"any":`, duplicate},
	{"duplicate, a slash escaped", targets, `"a/b":`, `"a\/b":` + target + `,"a/b":`, duplicate},
	{"duplicate in custom", targets, `"any":`, `"any":1,"any":`, duplicate},
	{"duplicate in unknown", root, `"version":1`, `"x":{"y":[{"z":1,"z":1}]},"version":1`, duplicate},

	{"SIGNED", root, `"signed":`, `"SIGNED":{},"signed":`, onlyCase},
	{"SIGNED alone", root, `"signed":`, `"SIGNED":`, onlyCase},
	{"SIGNED escaped", root, `"signed":`, `"\u0053igned":{},"signed":`, onlyCase},
	{"a long s", root, `"signed":`, `"ſigned":{},"signed":`, onlyCase},
	{"a long s escaped", root, `"signed":`, `"\u017figned":{},"signed":`, onlyCase},
	{"a Kelvin sign", root, `"keys":`, "\"\u212aeys\":{},\"keys\":", onlyCase},
	{"a Kelvin sign escaped", root, `"keyid":`, `"\u212aeyid":"x","keyid":`, onlyCase},
	{"_Type", root, `"_type":`, `"_Type":"x","_type":`, onlyCase},
	{"Length", targets, `"length":3`, `"Length":4,"length":3`, onlyCase},
	{"Threshold", root, `"threshold":1`, `"threshold":1,"Threshold":0`, onlyCase},
	{"Snapshot.json", timestamp, `"snapshot.json":`, `"Snapshot.json":` + metaFile + `,"snapshot.json":`, onlyCase},
	{"X-Publisher", root, `"x-publisher":`, `"X-Publisher":`, onlyCase},

	{"version 1.5", root, `"version":1`, `"version":1.5`, integer},
	{"version 1.0", root, `"version":1`, `"version":1.0`, integer},
	{"version 1e3", root, `"version":1`, `"version":1e3`, integer},
	{"version 1E0", root, `"version":1`, `"version":1E0`, integer},
	{"version -0", root, `"version":1`, `"version":-0`, integer},
	{"version 2^53", root, `"version":1`, `"version":9007199254740992`, integer},
	{"version -2^53", root, `"version":1`, `"version":-9007199254740992`, integer},
	{"version 2^64+1", root, `"version":1`, `"version":18446744073709551617`, integer},
	{"a float in custom", targets, `-5`, `0.1`, integer},
	{"a large number in unknown", root, `"version":1`, `"x":[1e400],"version":1`, integer},
	{"a long number", root, `"version":1`, `"version":` + strings.Repeat("9", 5000), "999…"},
	{"version 01", root, `"version":1`, `"version":01`, "invalid character"},
	{"version +1", root, `"version":1`, `"version":+1`, "invalid character"},
	{"NaN", targets, `-5`, `NaN`, "invalid character"},

	{"invalid UTF-8", targets, `"é"`, "\"\xe9\"", "UTF-8"},
	{"invalid UTF-8 in a name", targets, `"a/b"`, "\"a/\xff\"", "UTF-8"},
	{"invalid UTF-8 after the end", root, `86400}}}}`, "86400}}}}\xff", "UTF-8"},
	{"an encoded surrogate", targets, `"é"`, "\"\xed\xa0\x80\"", "UTF-8"},
	{"overlong", targets, `"a/b"`, "\"a\xc0\xafb\"", "UTF-8"},
	{"a lone high surrogate", targets, `"é"`, `"\ud83d"`, "surrogate"},
	{"a lone low surrogate", targets, `"é"`, `"\ude00"`, "surrogate"},
	{"surrogates the wrong way round", targets, `"é"`, `"\ude00\ud83d"`, "surrogate"},
	{"a lone surrogate in a name", targets, `"a/b"`, `"a\ud800"`, "surrogate"},
	{"a control character", targets, `"é"`, "\"\x00\"", "invalid character"},
	{"a BOM", root, `{"signatures"`, "\ufeff{\"signatures\"", "invalid character"},
	{"UTF-16", root, root, "\xff\xfe{\x00}\x00", "UTF-8"},

	{"33 deep", targets, `[null,`, strings.Repeat("[", 28) + strings.Repeat("]", 28) + `,"x":[`, "nested deeper than 32"},
	{"100,000 deep", targets, `[null,`, strings.Repeat("[", 100_000), "nested deeper than 32"},
	{"objects, 100,000 deep", root, `"version":1`, strings.Repeat(`"x":{`, 100_000), "nested deeper than 32"},
	{"deep where a long name is", targets, `"any":`, `"` + strings.Repeat("n", 5000) + `":` + strings.Repeat("[", 50), "n…"},

	{"a second value", root, `86400}}}}`, "86400}}}}{}", "after the end"},
	{"a letter after the end", root, `86400}}}}`, "86400}}}}x", "after the end"},
	{"NUL after the end", root, `86400}}}}`, "86400}}}}\x00", "after the end"},
	{"empty", root, root, "", "unexpected EOF"},
	{"blank", root, root, " \n", "unexpected EOF"},
	{"cut off", root, `86400}}}}`, "86400}}", "unexpected EOF"},
	{"cut off in a name", root, root, `{"sign`, "unexpected EOF"},
	{"cut off in a number", root, root, `{"signed":{"version":1`, "unexpected EOF"},
	{"a comma too many", root, `86400}}}}`, "86400}}},}", "invalid character"},
	{"a comment", root, `{"signatures"`, `/**/{"signatures"`, "invalid character"},
	{"single quotes", root, `"version"`, `'version'`, "invalid character"},
	{"HTML", root, root, "<!DOCTYPE html>", "invalid character"},
	{"too large", root, root, strings.Repeat(" ", max) + root, "at most 1048576 allowed"},
}

func TestCheckRefuses(t *testing.T) {
	for _, row := range refused {
		t.Run(row.name, func(t *testing.T) {
			file := edit(t, row.file, row.old, row.with)
			err := strict.Check([]byte(file), max, shapes[row.file])
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("error %q, want one with %q", fmt.Sprint(err), row.want)
			}
			if text := err.Error(); len(text) > 500 || strings.ContainsAny(text, "\n\x00") {
				t.Errorf("not a line for a person: %.600q", text)
			}
		})
	}
}

// TestCheckNames tells where in a file the fault is.
func TestCheckNames(t *testing.T) {
	file := edit(t, targets, `"length":3`, `"length":"3"`)
	err := strict.Check([]byte(file), max, strict.Targets)
	if want := `at "/signed/targets/a~1b/length": a string where a number belongs`; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", fmt.Sprint(err), want)
	}
}
