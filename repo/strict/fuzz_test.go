package strict_test

import (
	"bytes"
	stdjson "encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"publisher/repo/strict"
	"publisher/repo/tuf"
)

// FuzzCheck holds the gate to its promise: what it lets pass, two JSON
// libraries read alike, nothing that parses metadata panics on it, and both
// sides sign the same bytes for it.
func FuzzCheck(f *testing.F) {
	seed(f)
	f.Fuzz(promise)
}

func promise(t *testing.T, data []byte) {
	if strict.Check(data, max, strict.Any) != nil {
		return
	}
	canonical(t, data, decode(t, data))
	for _, reader := range readers {
		if strict.Check(data, max, reader.shape) == nil {
			reader.read(t, data)
		}
	}
}

// TestEveryPlace puts each kind of value in every place of every file, and
// takes away what stands there.
func TestEveryPlace(t *testing.T) {
	values := []any{nil, true, "", "x", 0, -1, 1 << 40, []any{}, []any{nil}, map[string]any{}, map[string]any{"x": nil}}
	for file := range shapes {
		var tree any
		if err := stdjson.Unmarshal([]byte(file), &tree); err != nil {
			t.Fatal(err)
		}
		try := func() {
			data, err := stdjson.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			promise(t, data)
		}
		places(tree, func(set func(any), remove func()) {
			for _, v := range values {
				set(v)
				try()
			}
			remove()
			try()
		})
	}
}

// places visits every place below node with functions that change what stands
// there. It puts back what was there.
func places(node any, visit func(set func(any), remove func())) {
	switch node := node.(type) {
	case map[string]any:
		for _, name := range slices.Collect(maps.Keys(node)) {
			old := node[name]
			places(old, visit)
			visit(func(v any) { node[name] = v }, func() { delete(node, name) })
			node[name] = old
		}
	case []any:
		for i, old := range node {
			places(old, visit)
			visit(func(v any) { node[i] = v }, func() { node[i] = node[0] })
			node[i] = old
		}
	}
}

// seed adds what the tables of Check hold, and files that go-tuf wrote.
func seed(f *testing.F) {
	for _, row := range accepted {
		f.Add([]byte(edit(f, row.file, row.old, row.with)))
	}
	for _, row := range refused {
		if len(row.with) < 1000 {
			f.Add([]byte(edit(f, row.file, row.old, row.with)))
		}
	}
	for _, data := range theirFiles(f) {
		f.Add(data)
	}
	for _, s := range []string{
		`"\u0000\ud83d\ude00"`, `{"\u0073":1,"t":[-1,0,9007199254740991]}`,
		`{"b":1,"a":{"d":[],"c":{}}}`, `{"\u007f":1,"\ud83d\ude00":2,"\uffff":3}`, ` { "a\"b" : "\\" } `,
	} {
		f.Add([]byte(s))
	}
}

// theirFiles is a file of each role with everything that go-tuf can write.
func theirFiles(tb testing.TB) [][]byte {
	tb.Helper()
	expires := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	root, targets := metadata.Root(expires), metadata.Targets(expires)
	custom := stdjson.RawMessage(`{"b":"\u0001","a":[1,null,true]}`)
	file, err := metadata.TargetFile().FromBytes("a/b", []byte("content"), "sha256", "sha512")
	if err != nil {
		tb.Fatal(err)
	}
	file.Custom = &custom
	targets.Signed.Targets["a/b"] = file
	key := &metadata.Key{Type: "ed25519", Scheme: "ed25519", Value: metadata.KeyVal{PublicKey: "00"}}
	targets.Signed.Delegations = &metadata.Delegations{
		Keys: map[string]*metadata.Key{"k": key},
		Roles: []metadata.DelegatedRole{{
			Name: "ci", KeyIDs: []string{"k"}, Threshold: 1, Terminating: true, Paths: []string{"ci/*"},
		}, {
			Name: "bin", KeyIDs: []string{"k"}, Threshold: 1, PathHashPrefixes: []string{"0"},
		}},
	}
	bins := metadata.Targets(expires)
	bins.Signed.Delegations = &metadata.Delegations{
		Keys:          map[string]*metadata.Key{"k": key},
		SuccinctRoles: &metadata.SuccinctRoles{KeyIDs: []string{"k"}, Threshold: 1, BitLength: 3, NamePrefix: "bin"},
	}
	root.Signed.Keys["k"] = key
	root.Signatures = []metadata.Signature{{KeyID: "k", Signature: []byte{1, 2}}}
	return [][]byte{
		encoded(tb, root, true), encoded(tb, targets, false), encoded(tb, bins, true),
		encoded(tb, metadata.Snapshot(expires), true), encoded(tb, metadata.Timestamp(expires), false),
	}
}

func encoded[T metadata.Roles](tb testing.TB, m *metadata.Metadata[T], pretty bool) []byte {
	tb.Helper()
	data, err := m.ToBytes(pretty)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestTheirFiles keeps the seeds from being refused, which nobody would see.
func TestTheirFiles(t *testing.T) {
	for _, data := range theirFiles(t) {
		passes := func(s *strict.Shape) bool { return strict.Check(data, max, s) == nil }
		if !passes(strict.Root) && !passes(strict.Targets) && !passes(strict.Snapshot) {
			t.Errorf("no shape takes:\n%s", data)
		}
	}
}

// decode wants both JSON libraries to see the same value in data.
func decode(t *testing.T, data []byte) any {
	t.Helper()
	var v1, v2 any
	if err := stdjson.Unmarshal(data, &v1); err != nil {
		t.Fatalf("encoding/json refuses what passed: %v", err)
	}
	if err := json.Unmarshal(data, &v2); err != nil {
		t.Fatalf("json v2 refuses what passed: %v", err)
	}
	if !reflect.DeepEqual(v1, v2) {
		t.Fatalf("encoding/json reads %#v, json v2 %#v", v1, v2)
	}
	return v1
}

// canonical wants our canonical form to be that of the library that most
// clients sign and verify with, and to be its own canonical form.
func canonical(t *testing.T, data []byte, value any) {
	t.Helper()
	ours, err := tuf.Canonical(data)
	if err != nil {
		t.Fatalf("canonical form: %v", err)
	}
	theirs, err := cjson.EncodeCanonical(value)
	if err != nil {
		t.Fatalf("cjson: %v", err)
	}
	if !bytes.Equal(ours, theirs) {
		t.Fatalf("canonical form\n%s, cjson has\n%s", ours, theirs)
	}
	if strict.Check(ours, 2*max, strict.Any) != nil {
		return // it has a control character, which stands bare in canonical form
	}
	if again, err := tuf.Canonical(ours); err != nil || !bytes.Equal(again, ours) {
		t.Fatalf("canonical form of a canonical form: %v\n%s\n%s", err, ours, again)
	}
}

// readers has for each role a function that reads a file with both libraries.
var readers = []struct {
	shape *strict.Shape
	read  func(t *testing.T, data []byte)
}{
	{strict.Root, func(t *testing.T, data []byte) {
		theirs, err := metadata.Root().FromBytes(data)
		if ours := parse[tuf.Root](t, data); ours != nil && err == nil {
			agree(t, &ours.Signed.Common, theirs.Signed.Version, theirs.Signed.Expires)
			for name, role := range theirs.Signed.Roles {
				if got := ours.Signed.Roles[name]; got.Threshold != int64(role.Threshold) ||
					!equal(got.KeyIDs, role.KeyIDs) {
					t.Errorf("role %q: %v, go-tuf has %v", name, got, role)
				}
			}
		}
	}},
	{strict.Targets, func(t *testing.T, data []byte) {
		theirs, err := metadata.Targets().FromBytes(data)
		if ours := parse[tuf.Targets](t, data); ours != nil && err == nil {
			agree(t, &ours.Signed.Common, theirs.Signed.Version, theirs.Signed.Expires)
			for name, file := range theirs.Signed.Targets {
				got, ok := ours.Signed.Targets[name]
				if !ok || got.Length != file.Length || len(got.Hashes) != len(file.Hashes) {
					t.Errorf("target %q: %v, go-tuf has %v", name, got, file)
				}
			}
		}
	}},
	{strict.Snapshot, func(t *testing.T, data []byte) {
		theirs, err := metadata.Snapshot().FromBytes(data)
		if ours := parse[tuf.Snapshot](t, data); ours != nil && err == nil {
			agree(t, &ours.Signed.Common, theirs.Signed.Version, theirs.Signed.Expires)
			agreeMeta(t, ours.Signed.Meta, theirs.Signed.Meta)
		}
	}},
	{strict.Timestamp, func(t *testing.T, data []byte) {
		theirs, err := metadata.Timestamp().FromBytes(data)
		if ours := parse[tuf.Timestamp](t, data); ours != nil && err == nil {
			agree(t, &ours.Signed.Common, theirs.Signed.Version, theirs.Signed.Expires)
			agreeMeta(t, ours.Signed.Meta, theirs.Signed.Meta)
		}
	}},
}

// parse is data as a file, or nil if it is refused: a wrong _type, version 0.
func parse[T tuf.Content](t *testing.T, data []byte) *tuf.File[T] {
	t.Helper()
	file, err := tuf.Parse[T](data, max)
	if err != nil {
		return nil
	}
	return file
}

func agree(t *testing.T, ours *tuf.Common, version int64, expires time.Time) {
	t.Helper()
	if ours.Version != version || !ours.Expires.Equal(expires) {
		t.Errorf("version %d, expires %v; go-tuf has %d, %v", ours.Version, ours.Expires, version, expires)
	}
}

func agreeMeta(t *testing.T, ours map[string]tuf.MetaFile, theirs map[string]*metadata.MetaFiles) {
	t.Helper()
	for name, file := range theirs {
		if got := ours[name]; got.Version != file.Version || got.Length != file.Length {
			t.Errorf("%q: %v, go-tuf has %v", name, got, file)
		}
	}
}

func equal(a, b []string) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
