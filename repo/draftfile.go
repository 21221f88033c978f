package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/repo/strict"
	"publisher/repo/tuf"
	"publisher/storage"
)

// This file is the form in which drafts travel: one JSON object, in which every
// metadata file is a string, byte for byte.

const (
	// MaxDraft is the most bytes of a draft that are read.
	MaxDraft = 64 << 20

	draftFormat   = 1
	maxBaseFiles  = 4096
	maxSignatures = 4096
)

type draftText struct {
	Format     int               `json:"draft"`
	Collection string            `json:"collection"`
	Files      map[string]string `json:"files"`
	Signatures []Signature       `json:"signatures,omitempty"`
	Base       map[string]string `json:"base,omitempty"`
}

var draftShape = strict.Object(strict.Fields{
	"draft": strict.Int, "collection": strict.String, "files": strict.Map(strict.String),
	"signatures": strict.Array(signatureShape), "base": strict.Map(strict.String),
}, "draft", "collection", "files")

var signatureShape = strict.Object(strict.Fields{
	"role": strict.String, "keyid": strict.String, "sig": strict.String,
}, "role", "keyid", "sig")

// Encode is the draft as ParseDraft reads it.
func (d *Draft) Encode() ([]byte, error) {
	t := draftText{Format: draftFormat, Collection: d.Collection, Files: texts(d.Files), Signatures: d.Signatures, Base: texts(d.Base)}
	data, err := json.Marshal(t, json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		return nil, fmt.Errorf("encode draft: %w", err)
	}
	if len(data) >= MaxDraft {
		return nil, fmt.Errorf("the draft has %d bytes, at most %d are read", len(data), MaxDraft)
	}
	return append(data, '\n'), nil
}

// ParseDraft reads a draft. What it says is hostile until a Review has passed.
func ParseDraft(data []byte) (*Draft, error) {
	if err := strict.Check(data, MaxDraft, draftShape); err != nil {
		return nil, fmt.Errorf("read draft: %w", err)
	}
	var t draftText
	if err := json.Unmarshal(data, &t, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("read draft: %w", err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("read draft: %w", err)
	}
	d := &Draft{Collection: t.Collection, Files: blobs(t.Files), Signatures: t.Signatures, Base: blobs(t.Base)}
	var err error
	if d.id, err = d.hash(); err != nil {
		return nil, fmt.Errorf("read draft: %w", err)
	}
	return d, nil
}

func (t *draftText) check() error {
	switch {
	case t.Format != draftFormat:
		return fmt.Errorf("it has the format %d, this version reads %d", t.Format, draftFormat)
	case len(t.Files) == 0:
		return errors.New("it has no files")
	case len(t.Files) > maxParts:
		return fmt.Errorf("it has files of %d roles, at most %d", len(t.Files), maxParts)
	case len(t.Base) > maxBaseFiles:
		return fmt.Errorf("it carries %d published files, at most %d", len(t.Base), maxBaseFiles)
	case len(t.Signatures) > maxSignatures:
		return fmt.Errorf("it has %d signatures beside its files, at most %d", len(t.Signatures), maxSignatures)
	}
	if err := CheckCollection(t.Collection); err != nil {
		return err
	}
	for role := range t.Files {
		if err := checkDraftRole(role); err != nil {
			return err
		}
	}
	return nil
}

// checkDraftRole refuses a role that people do not sign.
func checkDraftRole(role string) error {
	switch role {
	case tuf.RoleRoot, tuf.RoleTargets:
		return nil
	case tuf.RoleSnapshot, tuf.RoleTimestamp:
		return fmt.Errorf("%s: it is made by commit itself", role)
	}
	if len(role) > maxRoleName {
		return fmt.Errorf("it names a role of %d characters", len(role))
	}
	return CheckDelegation(role)
}

func texts(files map[string][]byte) map[string]string {
	m := make(map[string]string, len(files))
	for name, data := range files {
		m[name] = string(data)
	}
	return m
}

func blobs(files map[string]string) map[string][]byte {
	if len(files) == 0 {
		return nil
	}
	m := make(map[string][]byte, len(files))
	for name, text := range files {
		m[name] = []byte(text)
	}
	return m
}

// Carry puts the published version into the draft that it was made from: with it
// the draft can be reviewed where the store is out of reach, from any root that
// is trusted there.
func (v *View) Carry(ctx context.Context, d *Draft) error {
	if !v.Published() {
		d.Base = nil
		return nil
	}
	base := map[string][]byte{
		"timestamp.json": v.Timestamp.Bytes(),
		v.slotOrPlain(tuf.RoleSnapshot, v.Snapshot.Signed.Version): v.Snapshot.Bytes(),
	}
	for n := int64(1); n <= v.Root().Signed.Version; n++ {
		name := SlotName(tuf.RoleRoot, n)
		data, _, err := v.read(ctx, name, MaxRoot)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		base[name] = data
	}
	for role, err := range v.walk(ctx) {
		if err != nil {
			return err
		}
		base[v.slotOrPlain(role, v.Targets[role].Head().Version)] = v.Targets[role].Bytes()
	}
	d.Base = base
	return v.carryListed(ctx, base)
}

// carryListed adds what the snapshot lists though nothing delegates to it any
// more: a draft may delegate to it again.
func (v *View) carryListed(ctx context.Context, base map[string][]byte) error {
	for file, meta := range v.Snapshot.Signed.Meta {
		name := v.slotOrPlain(strings.TrimSuffix(file, ".json"), meta.Version)
		if base[name] != nil {
			continue
		}
		data, _, err := v.read(ctx, name, maxMetadata)
		switch {
		case err == nil:
			base[name] = data
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	return nil
}

// Carried loads the published version that a draft carries, verified from the
// trusted root in the cache as any other copy of it. Where the draft is of a
// collection that nobody has published and no root is trusted, what the View
// has is nothing: then it is for people to compare key IDs.
func (d *Draft) Carried(ctx context.Context, cache Cache, now time.Time) (*View, error) {
	l := &Loader{Source: carried(d.Base), Collection: d.Collection, Cache: cache, Now: now, IgnoreExpiry: true}
	v, err := l.Load(ctx)
	if errors.Is(err, ErrNoRoot) && d.First() {
		return d.nothing(l), nil
	}
	return v, err
}

// First reports whether the draft starts a collection.
func (d *Draft) First() bool {
	f, err := tuf.Parse[tuf.Root](d.Files[tuf.RoleRoot], MaxRoot)
	return err == nil && f.Signed.Version == 1
}

// nothing is the View of a collection of which there is nothing yet.
func (d *Draft) nothing(l *Loader) *View {
	return &View{loader: l, Targets: map[string]*tuf.File[tuf.Targets]{}, vouched: map[voucher]bool{}}
}

// carried is published metadata, by the last element of its key.
type carried map[string][]byte

func (c carried) Get(_ context.Context, key string) (storage.Object, error) {
	data, ok := c[path.Base(key)]
	if !ok || !strings.HasSuffix(path.Dir(key), "/metadata") {
		return storage.Object{}, fmt.Errorf("%s: %w in the draft", key, fs.ErrNotExist)
	}
	return storage.Object{Body: io.NopCloser(bytes.NewReader(data)), Size: int64(len(data))}, nil
}

// partsOf returns the published files that say what those of a draft say, in v
// itself or in a version that v follows from, by role.
func (v *View) partsOf(ctx context.Context, d *Draft) (map[string][]byte, error) {
	there := map[string][]byte{}
	if !v.Published() {
		return there, nil
	}
	for role, data := range d.Files {
		find := v.targetsLike
		if role == tuf.RoleRoot {
			find = v.rootLike
		}
		found, err := find(ctx, role, data)
		if err != nil {
			return nil, err
		}
		if found != nil {
			there[role] = found
		}
	}
	return there, nil
}

// rootLike is the file of the root that says what data says, nil if there is
// none.
func (v *View) rootLike(ctx context.Context, role string, data []byte) ([]byte, error) {
	want, err := tuf.Parse[tuf.Root](data, MaxRoot)
	if err != nil || want.Signed.Version > v.Root().Signed.Version {
		return nil, err
	}
	there, _, err := v.read(ctx, SlotName(role, want.Signed.Version), MaxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if payload, err := payloadOf(role, there); err != nil || !bytes.Equal(payload, want.Payload()) {
		return nil, nil
	}
	return there, nil
}

// targetsLike is rootLike for the other roles.
func (v *View) targetsLike(ctx context.Context, role string, data []byte) ([]byte, error) {
	want, err := tuf.Parse[tuf.Targets](data, maxMetadata)
	if err != nil {
		return nil, err
	}
	there, err := v.ancestor(ctx, role, want.Signed.Version)
	if err != nil || there == nil || !bytes.Equal(there.Payload(), want.Payload()) {
		return nil, err
	}
	return there.Bytes(), nil
}
