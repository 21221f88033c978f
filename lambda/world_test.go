package lambda_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"publisher/internal/ownertest"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/keys/sealed"
	"publisher/storage"
	"publisher/storage/storagetest"
)

const scripts = "example.com/scripts"

// world is a signer with its stores in memory, and one owner.
type world struct {
	t               *testing.T
	public, private storage.Store // checked for immutability
	signer          *lambda.Signer
	owner           *ownertest.Owner
	now             time.Time
	log, metrics    *buffer
	service         *service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), service: &service{made: map[string][]byte{}}}
	w.public = storagetest.Immutable(t, w.newStore())
	w.private = storagetest.Immutable(t, w.newStore())
	w.restart()
	w.owner = w.newOwner(scripts)
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) newStore() *storage.Memory {
	m := storage.NewMemory()
	m.Now = w.clock
	return m
}

// restart is a new instance, which remembers nothing.
func (w *world) restart() {
	w.log, w.metrics = &buffer{}, &buffer{}
	w.signer = &lambda.Signer{
		Public: w.public, Private: w.private, Keys: lambda.SealedKeys{Sealer: sealed.KMS{Keys: w.service}},
		Now: w.clock, Create: lambda.CreateBelow("example.com"), Bucket: "inbox",
		Log: slog.New(slog.NewJSONHandler(w.log, nil)), Metrics: w.metrics,
	}
}

func (w *world) newOwner(collection string) *ownertest.Owner {
	return &ownertest.Owner{
		Collection: collection, Public: w.public, Inbox: w.private, Now: w.clock,
		Invoke: func(ctx context.Context, event []byte) ([]byte, error) { return w.signer.Handle(ctx, event) },
	}
}

// published is a world whose collection has a target.
func published(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("a", "1")
	return w
}

func (w *world) publish(name, content string) {
	w.t.Helper()
	if _, err := w.owner.Publish(w.t.Context(), map[string]string{name: content}); err != nil {
		w.t.Fatal(err)
	}
}

// leave leaves a submission in the inbox and returns its name and ID.
func (w *world) leave(name, content string) (submission, id string) {
	w.t.Helper()
	submission, id, err := w.owner.Leave(w.t.Context(), map[string]string{name: content})
	if err != nil {
		w.t.Fatal(err)
	}
	return submission, id
}

func (w *world) handle(event string) (string, error) {
	answer, err := w.signer.Handle(w.t.Context(), []byte(event))
	return string(answer), err
}

// counts is the answer to an event that must succeed.
func (w *world) counts(event string) lambda.Counts {
	w.t.Helper()
	answer, err := w.handle(event)
	if err != nil {
		w.t.Fatal(err)
	}
	var c lambda.Counts
	if err := json.Unmarshal([]byte(answer), &c); err != nil {
		w.t.Fatalf("%s: %v", answer, err)
	}
	return c
}

// wantRefused wants an error of the event, with a reason and a hint in one line.
func (w *world) wantRefused(event, says string) {
	w.t.Helper()
	answer, err := w.handle(event)
	var refused *lambda.RefusedError
	if !errors.As(err, &refused) || answer != "" {
		w.t.Errorf("%.200s: %s %v, want a RefusedError", event, answer, err)
		return
	}
	if !strings.Contains(refused.Reason, says) || refused.Hint == "" || strings.Contains(err.Error(), "\n") {
		w.t.Errorf("%.200s: %q, want one line with %q and a hint", event, err, says)
	}
}

func (w *world) receipt(id string) *repo.Receipt {
	w.t.Helper()
	r, err := repo.Inbox{Store: w.private, Collection: scripts}.Receipt(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// wantWaiting wants so many submissions in the inbox.
func (w *world) wantWaiting(n int) {
	w.t.Helper()
	for name, err := range (repo.Inbox{Store: w.private, Collection: scripts}).Waiting(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		if n--; n < 0 {
			w.t.Errorf("%s still waits", name)
		}
	}
	if n > 0 {
		w.t.Errorf("%d submissions fewer wait than there should be", n)
	}
}

// wantSound wants nothing to be wrong with what is published.
func (w *world) wantSound() {
	w.t.Helper()
	c := &repo.Checker{Source: w.public, Collection: scripts, Trusted: w.owner.Root(), Now: w.now, Deep: true}
	found, err := c.Check(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range found.Problems {
		w.t.Errorf("check: %s: %s", p.File, p.What)
	}
}

// wantLogged wants the log to say something.
func (w *world) wantLogged(says string) {
	w.t.Helper()
	if !strings.Contains(w.log.String(), says) {
		w.t.Errorf("the log does not say %q:\n%s", says, w.log)
	}
}

// contents is all objects of a store.
func contents(t *testing.T, s storage.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for e, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := storage.Read(t.Context(), s, e.Key, 100<<20)
		if err != nil {
			t.Fatal(err)
		}
		all[e.Key] = string(data)
	}
	return all
}

func (w *world) put(s storage.Store, key, content string) {
	w.t.Helper()
	if _, err := s.Put(w.t.Context(), key, strings.NewReader(content), storage.Absent); err != nil {
		w.t.Fatal(err)
	}
}

// remove removes an object of the private store.
func (w *world) remove(key string) {
	w.t.Helper()
	info, err := storage.Stat(w.t.Context(), w.private, key)
	if err == nil {
		err = w.private.(storage.Deleter).Delete(w.t.Context(), key, info.Version)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func commitEvent(submission string) string {
	return `{"action":"commit","collection":"` + scripts + `","submission":"` + submission + `"}`
}

const keysEvent = `{"action":"keys","collection":"` + scripts + `"}`

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// service makes data keys that open under their context alone.
type service struct {
	mu    sync.Mutex
	made  map[string][]byte
	err   error // of every call
	calls int
}

func (s *service) GenerateDataKey(_ context.Context, under map[string]string) (plain, encrypted []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	plain, encrypted = make([]byte, 32), make([]byte, 32)
	rand.Read(plain)
	rand.Read(encrypted)
	s.made[fmt.Sprint(under, encrypted)] = bytes.Clone(plain)
	return plain, encrypted, s.err
}

func (s *service) DecryptDataKey(_ context.Context, encrypted []byte, under map[string]string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	key, ok := s.made[fmt.Sprint(under, encrypted)]
	if !ok && s.err == nil {
		return nil, sealed.ErrSeal
	}
	return bytes.Clone(key), s.err
}
