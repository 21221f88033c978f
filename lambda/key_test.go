package lambda_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/keys"
	"publisher/repo/keys/sealed"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// keysOf is the answer to keys.
func (w *world) keysOf(collection string) map[string]tuf.Key {
	w.t.Helper()
	answer, err := w.handle(`{"action":"keys","collection":"` + collection + `"}`)
	if err != nil {
		w.t.Fatal(err)
	}
	var a lambda.KeysAnswer
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		w.t.Fatal(err)
	}
	return a.Keys
}

func ids(keys map[string]tuf.Key) map[string]string {
	m := map[string]string{}
	for role, k := range keys {
		m[role] = k.ID()
	}
	return m
}

// TestKeysStay: whoever asks gets the same keys, other collections others.
func TestKeysStay(t *testing.T) {
	w := newWorld(t)
	first := ids(w.keysOf(scripts))
	if len(first) != 2 || first["snapshot"] == first["timestamp"] || first["snapshot"] == "" {
		t.Fatalf("keys %v", first)
	}
	w.restart()
	if diff := cmp.Diff(first, ids(w.keysOf(scripts))); diff != "" {
		t.Error(diff)
	}
	other := ids(w.keysOf("example.com/other"))
	for role, id := range other {
		if id == first[role] {
			t.Errorf("two collections have one %s key", role)
		}
	}
	for key, data := range contents(t, w.private) {
		if _, asked := repo.ParseAsked(key); !asked && !strings.Contains(key, "/keys/") || strings.Contains(data, "PRIVATE") {
			t.Errorf("%s: %s", key, data)
		}
	}
}

// TestRotateKey: a new key is not in use before a root names it; then it is what
// keys answers.
func TestRotateKey(t *testing.T) {
	w := published(t)
	before := ids(w.keysOf(scripts))
	w.now = w.now.Add(time.Hour)
	if _, err := w.handle(`{"action":"rotate-key","collection":"` + scripts + `","role":"snapshot"}`); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, ids(w.keysOf(scripts))); diff != "" {
		t.Errorf("in use already:\n%s", diff)
	}
	key, err := w.owner.RotateKey(t.Context(), tuf.RoleSnapshot)
	if err != nil {
		t.Fatal(err)
	}
	before["snapshot"] = key.ID()
	for range 2 {
		if diff := cmp.Diff(before, ids(w.keysOf(scripts))); diff != "" {
			t.Error(diff)
		}
		w.restart()
	}
	w.publish("b", "2")
	w.wantSound()
}

// TestKeysRace: two first uses at once end with keys that the signer holds.
func TestKeysRace(t *testing.T) {
	w := newWorld(t)
	other := *w
	other.restart()
	var group sync.WaitGroup
	for _, s := range []*lambda.Signer{w.signer, other.signer, w.signer, other.signer} {
		group.Go(func() {
			if _, err := s.Handle(t.Context(), []byte(keysEvent)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("a", "1")
	w.wantSound()
}

// TestHostileKeys is what somebody with access to the inbox could put in place
// of a key. The signer signs with none of it.
func TestHostileKeys(t *testing.T) {
	other := newWorld(t)
	others := other.keysOf("example.com/other")[tuf.RoleTimestamp]
	theirs := contents(t, other.private)[repo.OnlineKeyKey("example.com/other", tuf.RoleTimestamp, others.ID())]
	for _, tt := range []struct {
		name string
		edit func(own string) string
		says string
	}{
		{"empty", func(string) string { return "" }, "unexpected EOF"},
		{"not JSON", func(string) string { return "hello" }, "read"},
		{"null", func(string) string { return "null" }, "null where an object belongs"},
		{"null key", func(s string) string { return strings.Replace(s, `"keyval":`, `"keyval":null,"x":`, 1) }, "null"},
		{"a name twice", func(s string) string { return strings.Replace(s, `{`, `{"role":"timestamp",`, 1) }, "duplicate"},
		{"a name in another case", func(s string) string { return strings.Replace(s, `"sealed"`, `"Sealed"`, 1) }, "only in case"},
		{"unknown name", func(s string) string { return strings.Replace(s, `{`, `{"x":1,`, 1) }, "x"},
		{"trailing bytes", func(s string) string { return s + "{}" }, "after the end"},
		{"too large", func(s string) string { return s + strings.Repeat(" ", 40<<10) }, "larger than allowed"},
		{"another role", func(s string) string { return strings.Replace(s, `"role":"timestamp"`, `"role":"snapshot"`, 1) }, "role"},
		{"another's", func(string) string { return theirs }, "of the collection"},
		{"another's, relabelled", func(string) string {
			return strings.Replace(theirs, "example.com/other", scripts, 1)
		}, "has the ID"},
		{"another's seal", func(s string) string { return reseal(t, s, theirs) }, "does not open"},
		{"a seal that is cut", func(s string) string { return reseal(t, s, `{"sealed":"AQAB"}`) }, "cut short"},
		{"no private half", func(s string) string { return reseal(t, s, `{"sealed":""}`) }, "private half"},
		{"two private halves", func(s string) string { return strings.Replace(s, `{`, `{"kms":"arn",`, 1) }, "private half"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := published(t)
			w.service.made = merge(w.service.made, other.service.made)
			id := w.keysOf(scripts)[tuf.RoleTimestamp].ID()
			name := repo.OnlineKeyKey(scripts, tuf.RoleTimestamp, id)
			submission, _ := w.leave("b", "2")
			hostile := storage.NewMemory()
			for key, data := range contents(t, w.private) {
				if key == name {
					data = tt.edit(data)
				}
				w.put(hostile, key, data)
			}
			before := contents(t, w.public)
			w.restartWith(w.public, hostile)
			answer, err := w.handle(commitEvent(submission))
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s %v, want one line with %q", answer, err, tt.says)
			}
			if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
				t.Errorf("the public store changed:\n%s", diff)
			}
		})
	}
}

func merge(a, b map[string][]byte) map[string][]byte {
	for k, v := range b {
		a[k] = v
	}
	return a
}

// reseal puts the sealed half of one object into another.
func reseal(t *testing.T, into, from string) string {
	t.Helper()
	var a, b map[string]any
	if err := errors.Join(json.Unmarshal([]byte(into), &a), json.Unmarshal([]byte(from), &b)); err != nil {
		t.Fatal(err)
	}
	a["sealed"] = b["sealed"]
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// kms holds P-256 keys by ARN.
type kms map[string]crypto.Signer

func (k kms) SignDigest(_ context.Context, arn string, digest []byte) ([]byte, error) {
	return k[arn].Sign(rand.Reader, digest, crypto.SHA256)
}

func (k kms) PublicKey(_ context.Context, arn string) ([]byte, error) {
	return x509.MarshalPKIXPublicKey(k[arn].Public())
}

// TestKMSKeys publishes with keys that never leave a service.
func TestKMSKeys(t *testing.T) {
	w := newWorld(t)
	service := kms{}
	for _, arn := range []string{"arn:snapshot", "arn:timestamp", "arn:next", "arn:other"} {
		key, err := keys.Generate(keys.ECDSA)
		if err != nil {
			t.Fatal(err)
		}
		service[arn] = key
	}
	own := map[string][]string{"snapshot": {"arn:snapshot"}, "timestamp": {"arn:timestamp"}}
	arns := lambda.ARNs{scripts: own, "example.com/other": {"snapshot": {"arn:other"}}}
	w.signer.Keys = lambda.KMSKeys{Service: service, ARNs: arns}
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("a", "1")
	w.wantSound()
	if k := w.keysOf(scripts)["timestamp"]; k.Scheme != tuf.SchemeECDSA {
		t.Errorf("%+v", k)
	}
	w.wantRefused(`{"action":"keys","collection":"example.com/third"}`, "there is no snapshot key")

	// The operator puts a new key before the old one.
	own["timestamp"] = []string{"arn:next", "arn:timestamp"}
	if _, err := w.owner.RotateKey(t.Context(), tuf.RoleTimestamp); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.signer.Keys = lambda.KMSKeys{Service: service, ARNs: arns}
	w.publish("b", "2")
	w.wantSound()

	// As long as there is no other one, none can take its place.
	w.wantRefused(`{"action":"rotate-key","collection":"`+scripts+`","role":"timestamp"}`, "was in use before")

	// An object that names another collection's key is no way to use it.
	_, err := w.signer.Keys.Open(t.Context(), &lambda.Key{Role: "snapshot", Collection: scripts, KMS: "arn:other"})
	if err == nil || !strings.Contains(err.Error(), "not configured") {
		t.Errorf("another's key: %v", err)
	}
}

// TestCreateBelow is which names a prefix allows.
func TestCreateBelow(t *testing.T) {
	for _, tt := range []struct {
		below string
		name  string
		ok    bool
	}{
		{"", "example.com/a", false},
		{"example.com", "example.com", true},
		{"example.com", "example.com/a/b", true},
		{"example.com", "example.com.evil/a", false},
		{"example.com", "example.common", false},
		{"example.com/", "example.com/a", true},
		{"example.com/", "example.com", false},
		{"example.com/team-", "example.com/team-a", true},
		{"example.com/team-", "example.com/teams", false},
		{"example.org example.com/a", "example.com/a", true},
		{"example.org  example.com/a", "example.net", false},
	} {
		if err := lambda.CreateBelow(strings.Split(tt.below, " ")...)(tt.name); (err == nil) != tt.ok {
			t.Errorf("below %q, %q: %v", tt.below, tt.name, err)
		}
	}
}

// TestPassphraseKeys is the signer outside AWS.
func TestPassphraseKeys(t *testing.T) {
	w := newWorld(t)
	p, err := sealed.NewPassphrase([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	w.signer.Keys = lambda.SealedKeys{Sealer: p}
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("a", "1")
	w.wantSound()
}

// rotatedKey is the ID of the answer to rotate-key.
func (w *world) rotatedKey(role string) string {
	w.t.Helper()
	answer, err := w.handle(`{"action":"rotate-key","collection":"` + scripts + `","role":"` + role + `"}`)
	if err != nil {
		w.t.Fatal(err)
	}
	var a lambda.KeyAnswer
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		w.t.Fatal(err)
	}
	return a.Key.ID()
}

// TestRotateKeyAgain: to ask again gives the same key, until a root names it;
// what a root has named once never comes back.
func TestRotateKeyAgain(t *testing.T) {
	w := published(t)
	seen := map[string]bool{ids(w.keysOf(scripts))["snapshot"]: true}
	for range 3 {
		w.now = w.now.Add(time.Hour)
		key := w.rotatedKey("snapshot")
		w.restart()
		if again := w.rotatedKey("snapshot"); again != key {
			t.Errorf("asked again: %s, before %s", again, key)
		}
		if seen[key] {
			t.Errorf("key %s has been in use before", key)
		}
		seen[key] = true
		made, err := w.owner.RotateKey(t.Context(), tuf.RoleSnapshot)
		if err != nil {
			t.Fatal(err)
		}
		if made.ID() != key {
			t.Errorf("the root names %s, not %s", made.ID(), key)
		}
	}
}

// TestKeysNotOurs: what does not open is not offered, and no root may name it.
func TestKeysNotOurs(t *testing.T) {
	w := published(t)
	id := w.rotatedKey("timestamp")
	name := repo.OnlineKeyKey(scripts, tuf.RoleTimestamp, id)
	hostile := storage.NewMemory()
	for key, data := range contents(t, w.private) {
		if key == name {
			data = reseal(t, data, `{"sealed":"AQAB"}`)
		}
		w.put(hostile, key, data)
	}
	w.put(hostile, repo.OnlineKeysDir(scripts, tuf.RoleTimestamp)+"junk.json", "junk")
	w.put(hostile, repo.OnlineKeysDir(scripts, tuf.RoleTimestamp)+"large.json", strings.Repeat(" ", 40<<10))
	w.restartWith(w.public, hostile)
	if w.rotatedKey("timestamp") == id {
		t.Error("a key that does not open is offered")
	}
	w.wantLogged("not a key of this signer")
}

// TestKeysOfANewCollection: the same for the first keys, and for a first root
// that names such a key.
func TestKeysOfANewCollection(t *testing.T) {
	w := newWorld(t)
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := ids(w.keysOf(scripts))["timestamp"]
	hostile := storage.NewMemory()
	for key, data := range contents(t, w.private) {
		if strings.Contains(key, id) {
			data = reseal(t, data, `{"sealed":"AQAB"}`)
		}
		w.put(hostile, key, data)
	}
	w.restartWith(w.public, hostile)
	w.owner.Inbox = hostile
	_, err := w.owner.Publish(t.Context(), map[string]string{"a": "1"})
	if err == nil || !strings.Contains(err.Error(), "not one that the signer holds") {
		t.Errorf("a root with a key that does not open: %v", err)
	}
	if ids(w.keysOf(scripts))["timestamp"] == id {
		t.Error("a key that does not open is offered")
	}
}

// TestKeysWithoutEnd: no role gets more than a hundred keys.
func TestKeysWithoutEnd(t *testing.T) {
	w := published(t)
	for n := range 99 {
		w.put(w.private, fmt.Sprintf("%sjunk%d.json", repo.OnlineKeysDir(scripts, tuf.RoleSnapshot), n), "junk")
	}
	w.wantRefused(`{"action":"rotate-key","collection":"`+scripts+`","role":"snapshot"}`, "has 100 keys, and gets no more")
	if _, err := w.handle(`{"action":"rotate-key","collection":"` + scripts + `","role":"snapshot"}`); err == nil || !strings.Contains(err.Error(), "delete all but ") {
		t.Errorf("%v, which does not say what to delete", err)
	}
}

// TestKeyUnread: a key that is written, and cannot be read again, is not told.
func TestKeyUnread(t *testing.T) {
	w := newWorld(t)
	broken := storagetest.NewFaults(w.private, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "GET" && strings.Contains(r.Key, "/keys/") {
			return storagetest.Lost
		}
		return storagetest.None
	})
	w.restartWith(w.public, broken.Store())
	if answer, err := w.handle(keysEvent); !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestOpenedOnce: a key that is open is not opened again, whoever asks for it.
func TestOpenedOnce(t *testing.T) {
	e := newEstate(storage.NewMemory(), storage.NewMemory())
	if err := e.add(t.Context(), scripts, nil); err != nil {
		t.Fatal(err)
	}
	if n := e.keys.opened.Load(); n != 2 {
		t.Errorf("two keys were opened %d times", n)
	}
	for range 3 {
		if _, err := e.signer.Handle(t.Context(), []byte(keysEvent)); err != nil {
			t.Fatal(err)
		}
	}
	if n := e.keys.opened.Load(); n != 2 {
		t.Errorf("asked for, they were opened %d times", n)
	}
}

// TestKeysGone: that the keys of a collection are gone is told and counted, and
// the run does not fail for it.
func TestKeysGone(t *testing.T) {
	w := published(t)
	for key := range contents(t, w.private) {
		if strings.Contains(key, "/keys/") {
			w.remove(key)
		}
	}
	w.restart()
	w.now = w.now.Add(8 * day)
	if c := w.counts(refreshAll); c.Keyless != 1 || c.Failed != 0 || len(c.Errors) != 1 {
		t.Errorf("%+v", c)
	}
	w.wantLogged(`"level":"WARN","msg":"not refreshed: the keys are gone from the inbox"`)
}
