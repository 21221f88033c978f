package repo_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// A forge makes submissions that are good but for what a test breaks. It works
// on the JSON, because what it makes need not be possible in Go.
type forge struct {
	*world
	files   map[string]object              // the signed parts, by role
	signers map[string][]string            // key IDs by role
	text    map[string]func(string) string // changes what is signed
	file    map[string]func(string) string // changes the file, after it was signed
	keys    map[string]func([]byte) []byte // makes the signatures of keys that are not in the ring
	sub     func(*repo.Submission)         // changes the submission
	puts    map[string]string              // objects, by key
}

type object = map[string]any

// newForge has good versions of root, targets and the delegations ci and ci.deep,
// to be submitted on top of what w has published.
func newForge(t *testing.T, w *world) *forge {
	t.Helper()
	f := &forge{
		world: w.with(t, nil, w.newCache()), files: map[string]object{}, signers: map[string][]string{},
		text: map[string]func(string) string{}, file: map[string]func(string) string{},
		keys: map[string]func([]byte) []byte{}, sub: func(*repo.Submission) {}, puts: map[string]string{},
	}
	f.store = copyStore(t, w.store, func() time.Time { return w.now })
	v := f.view()
	root := v.Root().Signed
	root.Version++
	root.Publisher.Parent = v.Root().SHA256()
	take(f, tuf.RoleRoot, root, v.Root())
	for _, role := range []string{tuf.RoleTargets, "ci", "ci.deep"} {
		file, err := v.Role(t.Context(), role)
		if err != nil {
			t.Fatal(err)
		}
		take(f, role, successor(file, f.now), file)
	}
	f.target(tuf.RoleTargets, "new")
	f.target("ci", "ci/new")
	f.target("ci.deep", "ci/deep/new")
	return f
}

// take makes content the next version of a file, signed by the same keys.
func take[T tuf.Content](f *forge, role string, content T, before *tuf.File[T]) {
	f.t.Helper()
	var e struct{ Signed object }
	d := json.NewDecoder(bytes.NewReader(signed(f.t, f.ring, content, before.Signatures[0].KeyID).Bytes()))
	d.UseNumber()
	if err := d.Decode(&e); err != nil {
		f.t.Fatal(err)
	}
	f.files[role] = e.Signed
	f.signers[role] = []string{before.Signatures[0].KeyID}
}

// target adds a target to a role, and its object to the store.
func (f *forge) target(role, name string) object {
	t := object{"length": len(name), "hashes": object{"sha256": sum(name)}}
	f.at(role, "targets")[name] = t
	f.puts[repo.TargetKey(collection, name, sum(name))] = name
	return t
}

// at is an object inside the signed part of a role.
func (f *forge) at(role string, path ...string) object {
	o := f.files[role]
	for _, name := range path {
		o = o[name].(object)
	}
	return o
}

// key adds a new key to a table and returns its ID.
func (f *forge) key(table object) string {
	return f.list(table, f.ring.generate(f.t))
}

// list adds a key to a table and returns its ID.
func (f *forge) list(table object, key tuf.Key) string {
	text, err := json.Marshal(object{"keytype": key.Type, "scheme": key.Scheme, "keyval": object{"public": key.Value.Public}})
	if err != nil {
		f.t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		f.t.Fatal(err)
	}
	table[key.ID()] = o
	return key.ID()
}

// delegate adds a delegation to a role, by a new key, and returns it.
func (f *forge) delegate(parent, role string, paths ...any) object {
	delegations, ok := f.files[parent]["delegations"].(object)
	if !ok {
		delegations = object{"keys": object{}, "roles": []any{}}
		f.files[parent]["delegations"] = delegations
	}
	d := object{"name": role, "keyids": []any{f.key(delegations["keys"].(object))}, "threshold": 1, "paths": paths, "terminating": true}
	delegations["roles"] = append(delegations["roles"].([]any), d)
	return d
}

// role adds the first version of a role that was just delegated to.
func (f *forge) role(d object) {
	name := d["name"].(string)
	f.files[name] = object{
		"_type": "targets", "spec_version": "1.0.31", "version": 1, "expires": f.files["targets"]["expires"],
		"x-publisher": object{"collection": collection}, "targets": object{},
	}
	f.signers[name] = []string{d["keyids"].([]any)[0].(string)}
}

// submission builds the files and signs them.
func (f *forge) submission() *repo.Submission {
	f.t.Helper()
	s := &repo.Submission{Collection: collection, Files: map[string][]byte{}}
	for role, content := range f.files {
		s.Files[role] = []byte(f.build(role, content))
	}
	f.sub(s)
	return s
}

func (f *forge) build(role string, content object) string {
	f.t.Helper()
	text := encode(f.t, content)
	if edit := f.text[role]; edit != nil {
		text = edit(text)
	}
	payload, err := tuf.Canonical([]byte(text))
	if err != nil {
		payload = []byte(text) // what cannot be signed is signed as it stands
	}
	sigs := []any{}
	for _, id := range f.signers[role] {
		sign := f.keys[id]
		if sign == nil {
			sign = func(payload []byte) []byte { return f.ring.sign(f.t, id, payload) }
		}
		sigs = append(sigs, object{"keyid": id, "sig": hex.EncodeToString(sign(payload))})
	}
	file := `{"signatures":` + encode(f.t, sigs) + `,"signed":` + text + `}`
	if edit := f.file[role]; edit != nil {
		file = edit(file)
	}
	return file
}

func encode(t *testing.T, v any) string {
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
func replace(t *testing.T, old, new string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			t.Errorf("there is no %s in %.300s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
}

// upload puts the targets into the store.
func (f *forge) upload() {
	f.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(f.puts)) {
		if _, err := f.store.Put(f.t.Context(), key, strings.NewReader(f.puts[key]), storage.Absent); err != nil {
			f.t.Fatal(err)
		}
	}
}

// commit offers the submission to a store that has its targets, and returns
// what the store had before and after.
func (f *forge) commit() (before, after map[string]string, err error) {
	f.t.Helper()
	f.upload()
	before = objects(f.t, f.store)
	f.store = storagetest.Immutable(f.t, f.store)
	_, err = f.committer().Commit(f.t.Context(), nil, f.submission())
	return before, objects(f.t, f.store), err
}
