package repo_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A tamperer changes what lies in a store behind everybody's back. It holds all
// keys, so that what it changes is signed.
type tamperer struct {
	*world
	raw *storage.Memory
}

// tampering is a copy of a collection, for a cold cache.
func tampering(t *testing.T, w *world) *tamperer {
	t.Helper()
	raw := copyStore(t, w.store, w.committer().Now).(*storage.Memory)
	return &tamperer{w.with(t, raw, w.newCache()), raw}
}

// name is the file of a role that is published now.
func (w *tamperer) name(role string) string {
	w.t.Helper()
	if role == tuf.RoleTimestamp {
		return "timestamp.json"
	}
	v := w.view()
	switch role {
	case tuf.RoleSnapshot:
		return repo.SlotName(role, v.Timestamp.Signed.Meta["snapshot.json"].Version)
	case tuf.RoleRoot:
		return repo.SlotName(role, v.Root().Signed.Version)
	}
	return repo.SlotName(role, v.Snapshot.Signed.Meta[role+".json"].Version)
}

// read returns a metadata file.
func (w *tamperer) read(name string) string {
	w.t.Helper()
	data, _, err := storage.Read(w.t.Context(), w.raw, repo.MetadataDir(collection)+"/"+name, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// write puts a metadata file in place of another.
func (w *tamperer) write(name, data string) { w.put(repo.MetadataDir(collection)+"/"+name, data) }

func (w *tamperer) put(key, data string) {
	w.t.Helper()
	info, err := w.raw.Stat(w.t.Context(), key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	if _, err := w.raw.Put(w.t.Context(), key, strings.NewReader(data), info.Version); err != nil {
		w.t.Fatal(err)
	}
}

// remove takes away a metadata file.
func (w *tamperer) remove(name string) { w.delete(repo.MetadataDir(collection) + "/" + name) }

func (w *tamperer) delete(key string) {
	w.t.Helper()
	info, err := w.raw.Stat(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.raw.Delete(w.t.Context(), key, info.Version); err != nil {
		w.t.Fatal(err)
	}
}

// resign changes the signed part of a role's file, signs it again with the keys
// that signed it before, and makes snapshot and timestamp list what it is now.
func (w *tamperer) resign(role string, edit func(object)) {
	w.t.Helper()
	names := []string{w.name(role)}
	switch role {
	case tuf.RoleRoot, tuf.RoleTimestamp:
	case tuf.RoleSnapshot:
		names = append(names, "timestamp.json")
	default:
		names = append(names, w.name(tuf.RoleSnapshot), "timestamp.json")
	}
	for i, name := range names {
		if i > 0 {
			before := names[i-1]
			edit = func(o object) {
				_, listed, _ := strings.Cut(before, ".") // 7.targets.json is listed as targets.json
				meta := o["meta"].(object)[listed].(object)
				meta["length"], meta["hashes"] = len(w.read(before)), object{"sha256": sum(w.read(before))}
			}
		}
		w.write(name, w.edited(name, edit))
	}
}

// edited is a file with another signed part, signed.
func (w *tamperer) edited(name string, edit func(object)) string {
	w.t.Helper()
	var e struct {
		Signatures []tuf.Signature
		Signed     object
	}
	d := json.NewDecoder(bytes.NewReader([]byte(w.read(name))))
	d.UseNumber()
	if err := d.Decode(&e); err != nil {
		w.t.Fatal(err)
	}
	edit(e.Signed)
	text := forge.Encode(w.t, e.Signed)
	payload, err := tuf.Canonical([]byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	sigs := []any{}
	for _, s := range e.Signatures {
		sigs = append(sigs, object{"keyid": s.KeyID, "sig": hex.EncodeToString(w.ring.Sign(w.t, s.KeyID, payload))})
	}
	return `{"signatures":` + forge.Encode(w.t, sigs) + `,"signed":` + text + `}`
}

// rotate publishes the next root, by the same keys.
func (w *world) rotate() {
	w.t.Helper()
	before := w.view().Root()
	next := before.Signed
	next.Version++
	next.Publisher.Parent = before.SHA256()
	sub := &repo.Submission{Collection: collection, Files: map[string][]byte{
		tuf.RoleRoot: forge.Signed(w.t, w.ring, next, before.Signatures[0].KeyID).Bytes(),
	}}
	if _, err := w.committer().Commit(w.t.Context(), nil, sub); err != nil {
		w.t.Fatal(err)
	}
}
