// Package ownertest is the owner of a collection whose snapshot and timestamp
// keys an online signer holds, for tests: what publisher does on the command
// line, without a terminal and with a clock that the test moves.
package ownertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/tuf"
	"publisher/storage"
)

// An Owner holds the root and targets keys of one collection.
type Owner struct {
	Collection string
	Public     storage.Store
	Inbox      storage.Store
	Invoke     func(ctx context.Context, event []byte) ([]byte, error) // the signer
	Now        func() time.Time
	Lifetimes  repo.Lifetimes // the default for those not there

	ring  ring
	cache memory
	root  []byte // the first
}

// Create asks the signer for its keys and makes the first root. Nothing is
// published.
func (o *Owner) Create(ctx context.Context) error {
	var online struct {
		Keys map[string]tuf.Key `json:"keys"`
	}
	if err := o.ask(ctx, &online, "action", "keys", "collection", o.Collection); err != nil {
		return err
	}
	o.ring = ring{}
	g := repo.Genesis{Collection: o.Collection, Lifetimes: o.Lifetimes, Keys: map[string][]tuf.Key{}}
	for role, key := range online.Keys {
		g.Keys[role] = []tuf.Key{key}
	}
	for _, role := range []string{tuf.RoleRoot, tuf.RoleTargets} {
		key, err := o.ring.generate()
		if err != nil {
			return err
		}
		g.Keys[role] = []tuf.Key{key}
	}
	root, err := repo.NewRoot(ctx, g, o.ring, o.Now())
	if err != nil {
		return err
	}
	o.root = root.Bytes()
	o.cache = memory{"root.json": o.root}
	return nil
}

// Colleague is somebody else with the same keys, who has seen nothing but the
// first root.
func (o *Owner) Colleague() *Owner {
	other := *o
	other.cache = memory{"root.json": o.root}
	return &other
}

// Root is the first root, which clients trust.
func (o *Owner) Root() []byte { return o.root }

// Publish publishes targets, contents by name, through the signer.
func (o *Owner) Publish(ctx context.Context, targets map[string]string) (*repo.Receipt, error) {
	done, err := o.publisher(o.submit).Publish(ctx, changes(targets))
	if err != nil {
		return nil, err
	}
	return done.Receipt, nil
}

// errLeft ends a publish that does not wait for the signer.
var errLeft = errors.New("left in the inbox")

// Leave leaves a submission of targets in the inbox, tells nobody, and returns
// its name and its ID.
func (o *Owner) Leave(ctx context.Context, targets map[string]string) (name, id string, err error) {
	p := o.publisher(func(ctx context.Context, _ *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		var err error
		if name, err = o.leave(ctx, sub); err != nil {
			return nil, err
		}
		id = sub.ID()
		return nil, errLeft
	})
	if _, err := p.Publish(ctx, changes(targets)); !errors.Is(err, errLeft) {
		return "", "", fmt.Errorf("publish: %v, want %w", err, errLeft)
	}
	return name, id, nil
}

// Commit has the signer commit a submission. A refusal is an error.
func (o *Owner) Commit(ctx context.Context, name string) (*repo.Receipt, error) {
	r := &repo.Receipt{}
	if err := o.ask(ctx, r, "action", "commit", "collection", o.Collection, "submission", name); err != nil {
		return nil, err
	}
	return r, r.Err()
}

// RotateKey asks the signer for a new key of a role and publishes a root that
// names it.
func (o *Owner) RotateKey(ctx context.Context, role string) (tuf.Key, error) {
	var made struct {
		Key tuf.Key `json:"key"`
	}
	if err := o.ask(ctx, &made, "action", "rotate-key", "collection", o.Collection, "role", role); err != nil {
		return made.Key, err
	}
	_, err := o.publisher(o.submit).Rotate(ctx, repo.Rotation{
		Roles: map[string]repo.Signers{role: {Keys: []tuf.Key{made.Key}, Threshold: 1}}, Grace: repo.DefaultGrace,
	})
	return made.Key, err
}

// Recover has the signer's keys replaced by new ones, and the versions that a
// thief has announced with them.
func (o *Owner) Recover(ctx context.Context) error {
	next := repo.Rotation{Roles: map[string]repo.Signers{}, Grace: repo.DefaultGrace, Recover: true}
	for _, role := range []string{tuf.RoleSnapshot, tuf.RoleTimestamp} {
		var made struct {
			Key tuf.Key `json:"key"`
		}
		if err := o.ask(ctx, &made, "action", "rotate-key", "collection", o.Collection, "role", role); err != nil {
			return err
		}
		next.Roles[role] = repo.Signers{Keys: []tuf.Key{made.Key}, Threshold: 1}
	}
	_, err := o.publisher(o.submit).Rotate(ctx, next)
	return err
}

func (o *Owner) publisher(commit repo.CommitFunc) *repo.Publisher {
	return &repo.Publisher{
		Store: o.Public, Collection: o.Collection, Cache: o.cache, Keys: o.ring, Now: o.Now, Commit: commit,
		Open: func(c repo.Change) (repo.Body, error) { return body{strings.NewReader(c.Source)}, nil },
	}
}

// submit is a repo.CommitFunc.
func (o *Owner) submit(ctx context.Context, _ *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
	name, err := o.leave(ctx, sub)
	if err != nil {
		return nil, err
	}
	return o.Commit(ctx, name)
}

func (o *Owner) leave(ctx context.Context, sub *repo.Submission) (name string, err error) {
	name = ulid.Make().String()
	return name, repo.Inbox{Store: o.Inbox, Collection: o.Collection}.Leave(ctx, name, sub)
}

// ask invokes the signer with a request, given as names and values.
func (o *Owner) ask(ctx context.Context, answer any, request ...string) error {
	fields := map[string]string{}
	for pair := range slices.Chunk(request, 2) {
		fields[pair[0]] = pair[1]
	}
	event, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	out, err := o.Invoke(ctx, event)
	if err != nil {
		return fmt.Errorf("%s: %w", fields["action"], err)
	}
	return json.Unmarshal(out, answer)
}

// changes stages targets. The source of each is its content, which must not be
// empty: a target without a source is one that is in the store already.
func changes(targets map[string]string) []repo.Change {
	var all []repo.Change
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		content := targets[name]
		sum := sha256.Sum256([]byte(content))
		all = append(all, repo.Change{
			ID: name, Action: repo.Add, Role: tuf.RoleTargets, Name: name, Source: content,
			Target: tuf.TargetFile{Length: int64(len(content)), Hashes: map[string]string{"sha256": hex.EncodeToString(sum[:])}},
		})
	}
	return all
}

type body struct{ *strings.Reader }

func (body) Close() error { return nil }

// ring is the private halves, by ID.
type ring map[string]signature.Signer

func (r ring) generate() (tuf.Key, error) {
	private, err := keys.Generate(keys.Ed25519)
	if err != nil {
		return tuf.Key{}, err
	}
	signer, key, err := keys.NewSigner(private)
	if err == nil {
		r[key.ID()] = signer
	}
	return key, err
}

// Signer implements repo.Keyring.
func (r ring) Signer(_ context.Context, _, keyID string) (signature.Signer, error) {
	if s, ok := r[keyID]; ok {
		return s, nil
	}
	return nil, repo.ErrNoKey
}

// memory is a repo.Cache.
type memory map[string][]byte

func (m memory) Get(name string) ([]byte, error) {
	if data, ok := m[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Put(name string, data []byte) error {
	m[name] = bytes.Clone(data)
	return nil
}

func (m memory) Replace(name string, old, data []byte) (bool, error) {
	if !bytes.Equal(m[name], old) {
		return false, nil
	}
	return true, m.Put(name, data)
}
