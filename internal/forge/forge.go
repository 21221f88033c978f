package forge

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A Forge makes a submission that a test breaks. It works on the JSON, because
// what it makes need not be possible in Go.
type Forge struct {
	Scene
	Files   map[string]Object              // the signed parts, by role
	Signers map[string][]string            // key IDs by role
	Keys    map[string]func([]byte) []byte // makes the signatures of keys that are not in the ring
	Edit    func(*repo.Submission)         // changes the submission
	Puts    map[string]string              // objects that are to be in the store, by key

	text map[string]func(string) string // changes what is signed, by role
	file map[string]func(string) string // changes the file, after it was signed
}

// Object is one of JSON.
type Object = map[string]any

// Blank has no files yet.
func Blank(s Scene) *Forge {
	return &Forge{
		Scene: s, Files: map[string]Object{}, Signers: map[string][]string{},
		Keys: map[string]func([]byte) []byte{}, Edit: func(*repo.Submission) {}, Puts: map[string]string{},
		text: map[string]func(string) string{}, file: map[string]func(string) string{},
	}
}

// New has good versions of root, targets and the delegations ci and ci.deep, to
// be submitted on top of what a Family has published.
func New(s Scene) *Forge {
	s.T.Helper()
	f := Blank(s)
	v := f.View()
	root := v.Root().Signed
	root.Version++
	root.Publisher.Parent = v.Root().SHA256()
	Take(f, tuf.RoleRoot, root, v.Root())
	for _, role := range []string{tuf.RoleTargets, "ci", "ci.deep"} {
		file, err := v.Role(f.T.Context(), role)
		if err != nil {
			f.T.Fatal(err)
		}
		Take(f, role, Successor(file, f.Now), file)
	}
	f.Target(tuf.RoleTargets, "new")
	f.Target("ci", "ci/new")
	f.Target("ci.deep", "ci/deep/new")
	return f
}

// Unpublish makes the submission the first publication of the collection, with
// a store that has nothing of it.
func (f *Forge) Unpublish(empty storage.Store) {
	f.Store = empty
	for role := range f.Files {
		f.Files[role]["version"] = 1
		delete(f.At(role, "x-publisher"), "parent")
	}
	delete(f.At("targets", "targets"), "old")
}

// Take makes content the next version of a file, signed by the same keys.
func Take[T tuf.Content](f *Forge, role string, content T, before *tuf.File[T]) {
	f.T.Helper()
	var e struct{ Signed Object }
	d := json.NewDecoder(bytes.NewReader(Signed(f.T, f.Ring, content, before.Signatures[0].KeyID).Bytes()))
	d.UseNumber()
	if err := d.Decode(&e); err != nil {
		f.T.Fatal(err)
	}
	f.Files[role] = e.Signed
	f.Signers[role] = []string{before.Signatures[0].KeyID}
}

// Target adds a target to a role, and its object to the store.
func (f *Forge) Target(role, name string) Object {
	t := Object{"length": len(name), "hashes": Object{"sha256": Sum(name)}}
	f.At(role, "targets")[name] = t
	f.Puts[repo.TargetKey(Collection, name, Sum(name))] = name
	return t
}

// At is an object inside the signed part of a role.
func (f *Forge) At(role string, path ...string) Object {
	o := f.Files[role]
	for _, name := range path {
		o = o[name].(Object)
	}
	return o
}

// Key adds a new key to a table and returns its ID.
func (f *Forge) Key(table Object) string {
	return f.list(table, f.Ring.Generate(f.T))
}

// list adds a key to a table and returns its ID.
func (f *Forge) list(table Object, key tuf.Key) string {
	text, err := json.Marshal(Object{"keytype": key.Type, "scheme": key.Scheme, "keyval": Object{"public": key.Value.Public}})
	if err != nil {
		f.T.Fatal(err)
	}
	var o Object
	if err := json.Unmarshal(text, &o); err != nil {
		f.T.Fatal(err)
	}
	table[key.ID()] = o
	return key.ID()
}

// Delegate adds a delegation to a role, by a new key, and returns it.
func (f *Forge) Delegate(parent, role string, paths ...any) Object {
	delegations, ok := f.Files[parent]["delegations"].(Object)
	if !ok {
		delegations = Object{"keys": Object{}, "roles": []any{}}
		f.Files[parent]["delegations"] = delegations
	}
	d := Object{"name": role, "keyids": []any{f.Key(delegations["keys"].(Object))}, "threshold": 1, "paths": paths, "terminating": true}
	delegations["roles"] = append(delegations["roles"].([]any), d)
	return d
}

// Role adds the first version of a role that was just delegated to.
func (f *Forge) Role(d Object) {
	name := d["name"].(string)
	f.Files[name] = Object{
		"_type": "targets", "spec_version": "1.0.31", "version": 1, "expires": f.Files["targets"]["expires"],
		"x-publisher": Object{"collection": Collection}, "targets": Object{},
	}
	f.Signers[name] = []string{d["keyids"].([]any)[0].(string)}
}

// Submission builds the files and signs them.
func (f *Forge) Submission() *repo.Submission {
	f.T.Helper()
	s := &repo.Submission{Collection: Collection, Files: map[string][]byte{}}
	for role, content := range f.Files {
		s.Files[role] = []byte(f.Build(role, content))
	}
	f.Edit(s)
	return s
}

// Build signs the file of a role.
func (f *Forge) Build(role string, content Object) string {
	f.T.Helper()
	text := Encode(f.T, content)
	if edit := f.text[role]; edit != nil {
		text = edit(text)
	}
	payload, err := tuf.Canonical([]byte(text))
	if err != nil {
		payload = []byte(text) // what cannot be signed is signed as it stands
	}
	sigs := []any{}
	for _, id := range f.Signers[role] {
		sign := f.Keys[id]
		if sign == nil {
			sign = func(payload []byte) []byte { return f.Ring.Sign(f.T, id, payload) }
		}
		sigs = append(sigs, Object{"keyid": id, "sig": hex.EncodeToString(sign(payload))})
	}
	file := `{"signatures":` + Encode(f.T, sigs) + `,"signed":` + text + `}`
	if edit := f.file[role]; edit != nil {
		file = edit(file)
	}
	return file
}

// Encode writes JSON as plain as it can be.
func Encode(t testing.TB, v any) string {
	t.Helper()
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text.String())
}

// replace changes the first old, which must be there.
func replace(t testing.TB, old, new string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			t.Errorf("there is no %s in %.300s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
}

// Upload puts the objects into the store.
func (f *Forge) Upload() {
	f.T.Helper()
	for _, key := range slices.Sorted(maps.Keys(f.Puts)) {
		f.put(key, f.Puts[key])
	}
}

func (s *Scene) put(key, content string) {
	s.T.Helper()
	if _, err := s.Store.Put(s.T.Context(), key, strings.NewReader(content), storage.Absent); err != nil {
		s.T.Fatal(err)
	}
}
