package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	hash1 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	hash2 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("/etc/publisher/config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLookup(t *testing.T) {
	f := parse(t, `
store: s3://bucket
tlscacert: ca.pem
collections:
  "*": {url: "https://all"}
  example.com/*:
    url: https://below
  example.com/team/*: {url: https://team}
  example.com/team/app:
    url: https://app
    key_type: ecdsa
`)
	for _, test := range []struct{ collection, key, text, pattern string }{
		{"", URL, "", ""},
		{"", Store, "s3://bucket", ""},
		{"example.com", URL, "https://all", "*"},
		{"example.community/a", URL, "https://all", "*"},
		{"example.com/a", URL, "https://below", "example.com/*"},
		{"example.com/a/b", URL, "https://below", "example.com/*"},
		{"example.com/team", URL, "https://below", "example.com/*"},
		{"example.com/team/other", URL, "https://team", "example.com/team/*"},
		{"example.com/team/app", URL, "https://app", "example.com/team/app"},
		{"example.com/team/app", Store, "s3://bucket", ""},
		{"example.com/team/app", KeyType, "ecdsa", "example.com/team/app"},
		{"example.com/team/other", KeyType, "", ""},
		{"example.com/team/app", TLSCACert, filepath.FromSlash("/etc/publisher/ca.pem"), ""},
	} {
		v, ok := f.Lookup(test.collection, test.key)
		if v.Text != test.text || v.Pattern != test.pattern || ok != (test.text != "") {
			t.Errorf("%s for %q: %+v, %v, want %s by %q", test.key, test.collection, v, ok, test.text, test.pattern)
		}
	}
	if v, _ := f.Lookup("example.com/a", URL); v.Line != 7 {
		t.Errorf("line %d, want 7", v.Line)
	}
}

func TestRule(t *testing.T) {
	f := parse(t, `
trust:
  "*": {tofu: false}
  example.com/*: {ca: /ca.pem}
  example.com/scripts: {root: sha256:`+strings.ToUpper(hash1)+`, keys: [`+hash1+`, `+hash2+`], threshold: 2}
  tofu.example/a: {tofu: true}
`)
	no, yes := false, true
	for collection, want := range map[string]*Rule{
		"example.org/a":       {Pattern: "*", Line: 3, Threshold: 1, TOFU: &no},
		"example.com/a":       {Pattern: "example.com/*", Line: 4, Threshold: 1, CA: "/ca.pem"},
		"example.com/scripts": {Pattern: "example.com/scripts", Line: 5, Roots: []string{hash1}, Keys: []string{hash1, hash2}, Threshold: 2},
		"tofu.example/a":      {Pattern: "tofu.example/a", Line: 6, Threshold: 1, TOFU: &yes},
	} {
		if diff := cmp.Diff(want, f.Rule(collection)); diff != "" {
			t.Errorf("%s: %s", collection, diff)
		}
	}
	if r := new(File).Rule("example.com/a"); r != nil {
		t.Errorf("a rule of no file: %+v", r)
	}
}

func TestEmpty(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "null\n"} {
		parse(t, text)
	}
}

// TestRefused: each error names the file and the line, and is one line itself.
func TestRefused(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a misspelt key", "url: https://a\nstroe: file:///a\n", `line 2: unknown key "stroe"`},
		{"a misspelt key of a section", "collections:\n  a/*:\n    uri: x\n", `line 3: unknown key "uri"`},
		{"a misspelt pin", "trust:\n  a/*:\n    roots: x\n", `line 3: unknown key "roots"`},
		{"a key twice", "url: a\nurl: b\n", `line 2: "url" stands there twice`},
		{"a section twice", "trust:\n  a: {tofu: true}\n  a: {tofu: false}\n", `line 3: "a" stands there twice`},
		{"a list for a value", "url: [a, b]\n", "line 1: one value is wanted here"},
		{"no value", "store:\nurl: https://a\n", "line 1: a value is missing"},
		{"a list for the whole", "- a\n", "line 1: keys and values are wanted here"},
		{"text for the whole", "hello\n", "line 1: keys and values are wanted here"},
		{"no section", "trust:\n", "line 1: keys and values are wanted here"},
		{"a kind of key", "key_type: dsa\n", `line 1: "dsa" is not a kind of key: ed25519, ecdsa, rsa`},
		{"a pattern", "collections:\n  ../*: {url: a}\n", `line 2: "../*" is neither a collection`},
		{"a pattern with a star within", "trust:\n  a/*/b: {tofu: true}\n", `line 2: "a/*/b" is neither a collection`},
		{"a pattern without a slash", "trust:\n  a*: {tofu: true}\n", `line 2: "a*" is neither a collection`},
		{"a hash", "trust:\n  a:\n    root: 12\n", `line 3: "12" is not a SHA-256 in hex`},
		{"a hash twice", "trust:\n  a:\n    keys:\n    - " + hash1 + "\n    - " + hash1 + "\n", "stands there twice"},
		{"no hashes", "trust:\n  a: {keys: []}\n", "line 2: a value is missing"},
		{"a threshold of 0", "trust:\n  a: {keys: " + hash1 + ", threshold: 0}\n", `line 2: "0" is not a number of keys`},
		{"a threshold of too many", "trust:\n  a: {keys: " + hash1 + ", threshold: 2}\n", "line 2: the threshold of a is 2, with 1 keys"},
		{"tofu that is a word", "trust:\n  a: {tofu: yes please}\n", "line 2: tofu is true or false"},
		{"tofu in quotes", "trust:\n  a: {tofu: \"true\"}\n", "line 2: tofu is true or false"},
		{"tofu beside pins", "trust:\n  a: {tofu: true, ca: x}\n", "line 2: tofu contradicts the pins of a"},
		{"a second document", "url: a\n---\nurl: b\n", "line 2: a second document"},
		{"an alias", "url: &a https://a\nstore: *a\n", "line 2: one value is wanted here"},
		{"a merge", "collections: &a\n  a/*: {url: x}\ntrust:\n  <<: *a\n", `"<<" is neither a collection`},
		{"no YAML", "url: [\n", "config.yaml: "},
		{"not UTF-8", "url: \xff\xfe\n", "config.yaml: "},
		{"control characters", "url: \x00\n", "config.yaml: "},
		{"deep nesting", strings.Repeat("[", 20000), "config.yaml: "},
		{"too much", strings.Repeat("#", MaxSize) + "\n", "more than 1048576 bytes"},
	} {
		f, err := Parse("/etc/publisher/config.yaml", []byte(test.text))
		switch {
		case err == nil:
			t.Errorf("%s: accepted as %+v", test.name, f)
		case !strings.HasPrefix(err.Error(), "/etc/publisher/config.yaml") || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %q, want %q", test.name, err, test.want)
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: more than one line: %q", test.name, err)
		}
	}
}

func TestTrustDir(t *testing.T) {
	f := parse(t, "url: a\ntrust_dir: trust\n")
	if f.TrustDir != filepath.FromSlash("/etc/publisher/trust") {
		t.Error(f.TrustDir)
	}
	if err := f.RefuseTrustDir(); err == nil || !strings.Contains(err.Error(), "config.yaml, line 2: ") {
		t.Errorf("in a trust directory: %v", err)
	}
	if err := parse(t, "url: a\n").RefuseTrustDir(); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("url: a\ntrust:\n  a: {keys: [" + hash1 + "], tofu: false}\ncollections: {\"*\": {store: &x y}}\n")
	f.Add("? {a: b}\n: c\n--- !!binary x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if file, err := Parse("config.yaml", []byte(text)); err == nil {
			file.Lookup("a/b", URL)
			file.Rule("a/b")
		}
	})
}
