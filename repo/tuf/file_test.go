package tuf_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/repo/keys"
	"publisher/repo/tuf"
)

const max = 1 << 20

var expires = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// signer is a key with which tests sign.
type signer struct {
	tuf.Key
	sign func(payload []byte) []byte
}

func newSigner(t *testing.T, algorithm string) signer {
	t.Helper()
	private, err := keys.Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	s, key, err := keys.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, func(payload []byte) []byte {
		sig, err := s.SignMessage(strings.NewReader(string(payload)))
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}}
}

func mustNew[T tuf.Content](t *testing.T, content T, signers ...signer) *tuf.File[T] {
	t.Helper()
	f, err := tuf.New(content)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range signers {
		if err := f.AddSignature(s.ID(), s.sign(f.Payload())); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func mustParse[T tuf.Content](t *testing.T, data []byte) *tuf.File[T] {
	t.Helper()
	f, err := tuf.Parse[T](data, max)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return f
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %q, want one with %q", fmt.Sprint(err), text)
	}
}

// The files below have a field "x…" that nobody knows at every level.
const (
	unknownRoot = `{"signatures":[{"keyid":"k","sig":"00","x1":{"a":1}}],"x2":[2],"signed":{"_type":"root",` +
		`"spec_version":"1.0.31","version":1,"expires":"2030-01-02T03:04:05Z","consistent_snapshot":true,"x3":3,` +
		`"keys":{"k":{"keytype":"ed25519","scheme":"ed25519","x4":"4","keyval":{"public":"00","x5":null}}},` +
		`"roles":{"root":{"keyids":["k"],"threshold":1,"x6":6},"targets":{"keyids":[],"threshold":1},` +
		`"snapshot":{"keyids":[],"threshold":1},"timestamp":{"keyids":[],"threshold":1},"x7":{"keyids":[],"threshold":1}},` +
		`"x-publisher":{"collection":"example.com/a","lifetimes":{"root":1},"grace_until":"2029-01-01T00:00:00Z","x8":{"8":8}}}}`
	unknownTargets = `{"signatures":[],"signed":{"_type":"targets",` +
		`"spec_version":"1.0.31","version":1,"expires":"2030-01-02T03:04:05Z","x1":1,` +
		`"targets":{"a":{"length":1,"hashes":{"sha256":"00","x2":"2"},"custom":{"x3":{"b":3,"a":3}},"x4":4}},` +
		`"delegations":{"keys":{"k":{"keytype":"ed25519","scheme":"ed25519","x5":5,"keyval":{"public":"00"}}},"x6":6,` +
		`"roles":[{"name":"r","keyids":["k"],"threshold":1,"paths":["*"],"terminating":true,"x7":7}],` +
		`"succinct_roles":{"keyids":["k"],"threshold":1,"bit_length":3,"name_prefix":"b","x8":8}}}}`
	unknownSnapshot = `{"signatures":[],"signed":{"_type":"snapshot",` +
		`"spec_version":"1.0.31","version":1,"expires":"2030-01-02T03:04:05Z","x1":1,` +
		`"meta":{"targets.json":{"version":1,"x2":2,"hashes":{"x3":"3"}}}}}`
	unknownTimestamp = `{"signatures":[],"signed":{"_type":"timestamp",` +
		`"spec_version":"1.0.31","version":1,"expires":"2030-01-02T03:04:05Z","x1":1,` +
		`"meta":{"snapshot.json":{"version":1,"length":2,"x2":2},"x3.json":{"version":3}},` +
		`"x-publisher":{"refresh_after":"2029-01-01T00:00:00Z","x4":4}}}`
)

// TestUnknownFields reads a file, and makes one of its content: what is signed
// stays the same.
func TestUnknownFields(t *testing.T) {
	t.Run("root", unknownFields[tuf.Root](unknownRoot, 8))
	t.Run("targets", unknownFields[tuf.Targets](unknownTargets, 8))
	t.Run("snapshot", unknownFields[tuf.Snapshot](unknownSnapshot, 3))
	t.Run("timestamp", unknownFields[tuf.Timestamp](unknownTimestamp, 4))
}

func unknownFields[T tuf.Content](text string, n int) func(t *testing.T) {
	return func(t *testing.T) {
		f := mustParse[T](t, []byte(text))
		if string(f.Bytes()) != text {
			t.Errorf("Bytes has changed:\n%s", f.Bytes())
		}
		again := mustNew(t, f.Signed)
		if diff := cmp.Diff(string(f.Payload()), string(again.Payload())); diff != "" {
			t.Errorf("payload after New (-before +after):\n%s", diff)
		}
		if err := f.AddSignature("other", []byte{1}); err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= n; i++ {
			if name := fmt.Sprintf(`"x%d`, i); !strings.Contains(string(f.Bytes()), name) {
				t.Errorf("%s is lost after AddSignature:\n%s", name, f.Bytes())
			}
		}
		signed := mustParse[T](t, f.Bytes())
		if diff := cmp.Diff(string(f.Payload()), string(signed.Payload())); diff != "" {
			t.Errorf("payload after AddSignature (-before +after):\n%s", diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, row := range []struct{ name, old, with, want string }{
		{"another role", `"_type":"targets"`, `"_type":"root"`, `_type is "root", not "targets"`},
		{"version 0", `"version":1`, `"version":0`, "version is 0"},
		{"version -1", `"version":1`, `"version":-1`, "version is -1"},
		{"two signatures of a key", `[]`, `[{"keyid":"k","sig":"00"},{"keyid":"k","sig":"01"}]`, `two signatures of key "k"`},
		{"null target", `"a":{`, `"b":null,"a":{`, "null where an object belongs"},
		{"duplicate", `"version":1`, `"version":1,"version":2`, "duplicate"},
		{"expires without zone", `05Z`, `05`, "expires"},
		{"expires with a space", `02T03`, `02 03`, "expires"},
		{"expires on February 30", `2030-01-02`, `2030-02-30`, "expires"},
		{"expires as a number", `"2030-01-02T03:04:05Z"`, `1893553445`, "a number where a string belongs"},
		{"expires empty", `2030-01-02T03:04:05Z`, ``, "expires"},
		{"too large", `"version":1`, `"version":1` + strings.Repeat(" ", max), "allowed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := strings.Replace(unknownTargets, row.old, row.with, 1)
			_, err := tuf.Parse[tuf.Targets]([]byte(text), max)
			wantError(t, err, row.want)
		})
	}
}

// TestExpires reads the forms that occur, and writes the one that all read.
func TestExpires(t *testing.T) {
	for _, form := range []string{"2030-01-02T03:04:05Z", "2030-01-02T03:04:05.678Z",
		"2030-01-02T03:04:05+00:00", "2030-01-02T05:04:05+02:00"} {
		t.Run(form, func(t *testing.T) {
			text := strings.Replace(unknownTargets, "2030-01-02T03:04:05Z", form, 1)
			f := mustParse[tuf.Targets](t, []byte(text))
			if !strings.Contains(string(f.Payload()), form) {
				t.Errorf("the payload is not what was signed:\n%s", f.Payload())
			}
			again := mustNew(t, f.Signed)
			if !again.Signed.Expires.Equal(expires) || !strings.Contains(string(again.Payload()), `"expires":"2030-01-02T03:04:05Z"`) {
				t.Errorf("written as\n%s", again.Payload())
			}
		})
	}
}

// TestNew leaves out what is empty and sets what is fixed.
func TestNew(t *testing.T) {
	content := tuf.Targets{Targets: map[string]tuf.TargetFile{"a": {Length: 0, Hashes: map[string]string{"sha256": "00"}}}}
	content.Version, content.Expires = 7, expires.In(time.FixedZone("", 3600)).Add(999*time.Millisecond)
	f := mustNew(t, content)
	want := `{"_type":"targets","expires":"2030-01-02T03:04:05Z","spec_version":"1.0.31",` +
		`"targets":{"a":{"hashes":{"sha256":"00"},"length":0}},"version":7}`
	if diff := cmp.Diff(want, string(f.Payload())); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	empty := mustNew(t, tuf.Snapshot{})
	if strings.Contains(string(empty.Payload()), "null") {
		t.Errorf("null in\n%s", empty.Payload())
	}
}

// TestNewSame wants equal content to give equal files, whatever order maps have.
func TestNewSame(t *testing.T) {
	want := string(stored(t, ownTargets()))
	for range 10 {
		if got := string(stored(t, ownTargets())); got != want {
			t.Fatalf("not the same file:\n%s\n%s", want, got)
		}
	}
}

func TestMeta(t *testing.T) {
	f := mustParse[tuf.Snapshot](t, []byte(unknownSnapshot))
	want := tuf.MetaFile{Version: 1, Length: int64(len(unknownSnapshot)), Hashes: map[string]string{"sha256": f.SHA256()}}
	if diff := cmp.Diff(want, f.Meta()); diff != "" {
		t.Errorf("Meta (-want +got):\n%s", diff)
	}
}

func TestAddSignature(t *testing.T) {
	a, b := newSigner(t, keys.Ed25519), newSigner(t, keys.Ed25519)
	f := mustNew(t, tuf.Snapshot{Common: tuf.Common{Version: 1, Expires: expires}}, a, b)
	both := string(f.Bytes())
	if err := f.AddSignature(a.ID(), []byte("bad")); err != nil {
		t.Fatal(err)
	}
	if len(f.Signatures) != 2 || string(f.Bytes()) == both {
		t.Errorf("the signature was not replaced: %v", f.Signatures)
	}
	if err := f.AddSignature(a.ID(), a.sign(f.Payload())); err != nil {
		t.Fatal(err)
	}
	if string(f.Bytes()) != both {
		t.Errorf("not the same file after signing again:\n%s\n%s", both, f.Bytes())
	}
	other := mustNew(t, tuf.Snapshot{Common: tuf.Common{Version: 1, Expires: expires}}, b, a)
	if string(other.Bytes()) != both {
		t.Errorf("the order of signing shows:\n%s\n%s", both, other.Bytes())
	}
}

func TestVerify(t *testing.T) {
	a, b, c := newSigner(t, keys.Ed25519), newSigner(t, keys.ECDSA), newSigner(t, keys.Ed25519)
	all := map[string]tuf.Key{a.ID(): a.Key, b.ID(): b.Key, c.ID(): c.Key}
	twin := b.Key // the same key under another description, so another ID
	twin.Type = tuf.SchemeECDSA
	if twin.ID() == b.ID() {
		t.Fatal("the twin has the same ID")
	}
	all[twin.ID()] = twin
	broken := tuf.Key{Type: "ed25519", Scheme: "ed25519", Value: tuf.KeyValue{Public: "0011"}}
	all["broken"] = broken

	ids := func(list ...string) []string { return list }
	for _, row := range []struct {
		name      string
		signed    []signer
		garbage   []string // key IDs with a bad signature
		keyIDs    []string
		threshold int64
		want      string // of the error
	}{
		{"1 of 1", []signer{a}, nil, ids(a.ID()), 1, ""},
		{"2 of 3", []signer{a, c}, nil, ids(a.ID(), b.ID(), c.ID()), 2, ""},
		{"1 of 3", []signer{a}, nil, ids(a.ID(), b.ID(), c.ID()), 2, "snapshot: 1 of 2 required signatures"},
		{"unsigned", nil, nil, ids(a.ID()), 1, "snapshot: 0 of 1 required signatures"},
		{"a key ID listed twice", []signer{a}, nil, ids(a.ID(), a.ID()), 2, "1 of 2"},
		{"a key under two IDs", []signer{b, {twin, b.sign}}, nil, ids(b.ID(), twin.ID()), 2, "1 of 2"},
		{"a key under two IDs and another", []signer{b, {twin, b.sign}, a}, nil, ids(b.ID(), twin.ID(), a.ID()), 2, ""},
		{"a key under two IDs, one signature bad", []signer{{twin, b.sign}}, ids(b.ID()), ids(b.ID(), twin.ID()), 1, ""},
		{"garbage beside good", []signer{a}, ids(b.ID(), "nobody"), ids(a.ID(), b.ID()), 1, ""},
		{"garbage does not count", []signer{a}, ids(b.ID(), "nobody"), ids(a.ID(), b.ID()), 2, "1 of 2"},
		{"another key's signature under this ID", []signer{{a.Key, c.sign}}, nil, ids(a.ID()), 1, "0 of 1"},
		{"this key's signature under another ID", []signer{{c.Key, a.sign}}, nil, ids(a.ID()), 1, "0 of 1"},
		{"a key outside the role", []signer{a, c}, nil, ids(a.ID(), b.ID()), 2, "1 of 2"},
		{"a broken key", []signer{a}, ids("broken"), ids("broken", a.ID()), 2, "1 of 2"},
		{"threshold 0", []signer{a}, nil, ids(a.ID()), 0, "snapshot: threshold 0"},
		{"threshold -1", nil, nil, ids(a.ID()), -1, "snapshot: threshold -1"},
		{"no keys", []signer{a}, nil, nil, 1, "0 of 1"},
		{"a missing key", []signer{a}, nil, ids(a.ID(), "gone"), 1, "snapshot: key gone is not listed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := mustNew(t, tuf.Snapshot{Common: tuf.Common{Version: 1, Expires: expires}}, row.signed...)
			for _, id := range row.garbage {
				if err := f.AddSignature(id, []byte("garbage")); err != nil {
					t.Fatal(err)
				}
			}
			err := f.Verify("snapshot", tuf.Role{KeyIDs: row.keyIDs, Threshold: row.threshold}, all)
			if row.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, row.want)
			var short *tuf.ThresholdError
			if errors.As(err, &short) != strings.Contains(row.want, " of ") {
				t.Errorf("%T: is it a ThresholdError?", err)
			}
		})
	}
}

// TestVerifyChanged wants a signature to be over every byte of the content.
func TestVerifyChanged(t *testing.T) {
	a := newSigner(t, keys.Ed25519)
	f := mustNew(t, mustParse[tuf.Targets](t, []byte(unknownTargets)).Signed, a)
	role, known := tuf.Role{KeyIDs: []string{a.ID()}, Threshold: 1}, map[string]tuf.Key{a.ID(): a.Key}
	if err := mustParse[tuf.Targets](t, f.Bytes()).Verify("targets", role, known); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ old, with string }{
		{`"length":1`, `"length":2`}, {`"x4":4`, `"x4":5`}, {`"version":1`, `"version":2`},
		{`"x3":{"b":3`, `"x3":{"b":4`}, {`"expires":"2030`, `"expires":"2031`}, {`"terminating":true`, `"terminating":false`},
	} {
		changed := strings.Replace(string(f.Bytes()), row.old, row.with, 1)
		if changed == string(f.Bytes()) {
			t.Fatalf("no %s in\n%s", row.old, f.Bytes())
		}
		err := mustParse[tuf.Targets](t, []byte(changed)).Verify("targets", role, known)
		wantError(t, err, "0 of 1")
	}
}
