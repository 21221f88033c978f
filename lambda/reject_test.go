package lambda_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"publisher/internal/forge"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// scene is a collection whose online keys the signer has made, as package forge
// sees it. Nothing is published.
func (w *world) scene() forge.Scene {
	w.t.Helper()
	s := forge.Scene{T: w.t, Store: w.public, Ring: forge.Ring{}, Now: w.now}
	g := repo.Genesis{Collection: scripts, Keys: map[string][]tuf.Key{}}
	for role, key := range w.keysOf(scripts) {
		g.Keys[role] = []tuf.Key{key}
	}
	for _, role := range []string{tuf.RoleRoot, tuf.RoleTargets} {
		g.Keys[role] = []tuf.Key{s.Ring.Generate(w.t)}
	}
	root, err := repo.NewRoot(w.t.Context(), g, s.Ring, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Root = root.Bytes()
	return s
}

// copied is another world with the same objects, and a signer that knows
// nothing of them.
func (w *world) copied(t *testing.T) *world {
	t.Helper()
	c := *w
	c.t = t
	for _, s := range []*storage.Store{&c.public, &c.private} {
		m := c.newStore()
		for key, content := range contents(t, *s) {
			c.put(m, key, content)
		}
		*s = storagetest.Immutable(t, m)
	}
	c.restart()
	return &c
}

// deliver leaves a submission in the inbox and has the signer look at it.
func (w *world) deliver(sub *repo.Submission) *repo.Receipt {
	w.t.Helper()
	name := ulid.Make().String()
	if err := (repo.Inbox{Store: w.private, Collection: scripts}).Leave(w.t.Context(), name, sub); err != nil {
		w.t.Fatal(err)
	}
	return w.ask(name)
}

// ask is the signer's answer to a submission.
func (w *world) ask(name string) *repo.Receipt {
	w.t.Helper()
	answer, err := w.handle(commitEvent(name))
	if err != nil {
		w.t.Fatal(err)
	}
	r := &repo.Receipt{}
	if err := json.Unmarshal([]byte(answer), r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// family publishes what the rows are about through the signer.
func family(t *testing.T) (*world, forge.Scene) {
	t.Helper()
	w := newWorld(t)
	s := w.scene()
	s.Family(func(sub *repo.Submission) error { return w.deliver(sub).Err() })
	return w, s
}

// wantRejected wants everything that a refusal promises: its own message and a
// hint, in the answer and in the one receipt, nothing published, nothing left to
// do.
func (w *world) wantRejected(sub *repo.Submission, says string) {
	w.t.Helper()
	public, private := contents(w.t, w.public), contents(w.t, w.private)
	got := w.deliver(sub)
	if got.Refused == nil {
		w.t.Fatal("it was published")
	}
	if err := got.Err(); !strings.Contains(err.Error(), says) || got.Refused.Hint == "" {
		w.t.Errorf("refused with %q, hint %q, without %q", err, got.Refused.Hint, says)
	}
	if diff := cmp.Diff(w.receipt(sub.ID()), got); diff != "" {
		w.t.Errorf("receipt and answer differ: %s", diff)
	}
	if c := w.counts(schedule); c.Committed+c.Refused+c.Failed > 0 {
		w.t.Errorf("the sweep after it: %+v", c)
	}
	if diff := cmp.Diff(public, contents(w.t, w.public)); diff != "" {
		w.t.Errorf("the public store changed: %s", diff)
	}
	w.wantWaiting(0)
	w.wantAdded(private, sub)
}

// wantAdded wants nothing in the inbox but what there was, the parts, one
// receipt, and a note that the inbox was looked through.
func (w *world) wantAdded(before map[string]string, sub *repo.Submission) {
	w.t.Helper()
	for key := range contents(w.t, w.private) {
		p, _ := repo.ParsePrivate(key)
		if _, old := before[key]; old || p.Kind == "parts" || key == repo.ReceiptKey(scripts, sub.ID()) || key == repo.ProgressKey("walked") {
			continue
		}
		w.t.Errorf("there is %s in the inbox", key)
	}
}

// TestReject: what commit refuses, the signer refuses.
func TestReject(t *testing.T) {
	w, s := family(t)
	for _, row := range slices.Concat(forge.All(), forge.Extra()) {
		t.Run(row.Name, func(t *testing.T) {
			w, s := w.copied(t), s
			s.T, s.Store = t, w.public
			f := forge.New(s)
			row.Break(f)
			f.Upload()
			w.wantRejected(f.Submission(), inboxSays(row))
		})
	}
}

// inboxSays is what is said of a row, by the inbox if that finds it before
// commit has a look.
func inboxSays(row forge.Row) string {
	switch row.Name {
	case "Notary: a file that is too large":
		return "its part is too large"
	case "empty":
		return "it has no parts"
	}
	return row.Want
}

// TestAccept: what the rows break is published as it is.
func TestAccept(t *testing.T) {
	w, s := family(t)
	f := forge.New(s)
	f.Upload()
	if err := w.deliver(f.Submission()).Err(); err != nil {
		t.Fatal(err)
	}
	w.wantPublished(s.Root, "old", "new", "ci/new", "ci/deep/new")
}

// wantPublished wants a sound collection with these targets.
func (w *world) wantPublished(root []byte, names ...string) {
	w.t.Helper()
	c := &repo.Checker{Source: w.public, Collection: scripts, Trusted: root, Now: w.now, Deep: true}
	found, err := c.Check(w.t.Context())
	if err != nil || len(found.Problems) > 0 || found.Targets != len(names) {
		w.t.Errorf("check: %+v, %v, want %d targets", found, err, len(names))
	}
}

// TestRejectFirst: what cannot be a first publication, and who may not have one.
func TestRejectFirst(t *testing.T) {
	published, s := family(t)
	s.Store = published.public
	rows := append(forge.First(),
		forge.Row{Name: "root for another collection", Break: func(f *forge.Forge) {
			f.At("root", "x-publisher")["collection"] = "example.com/other"
		}, Want: `belongs to the collection "example.com/other"`},
		forge.Row{Name: "root that is none", Break: func(f *forge.Forge) {
			f.Edit = func(sub *repo.Submission) { sub.Files["root"] = []byte("{}") }
		}, Want: "is missing"},
		forge.Row{Name: "a snapshot key beside the signer's", Break: func(f *forge.Forge) {
			role := f.At("root", "roles", "snapshot")
			role["keyids"] = append(role["keyids"].([]any), f.Key(f.At("root", "keys")))
		}, Want: "is not one that the signer holds"},
		forge.Row{Name: "a timestamp key of somebody else", Break: func(f *forge.Forge) {
			f.Hand("timestamp", f.Key(f.At("root", "keys")))
		}, Want: "is not one that the signer holds"},
		forge.Row{Name: "a timestamp key that is a path", Break: func(f *forge.Forge) {
			f.At("root", "roles", "timestamp")["keyids"] = []any{"../snapshot/" + f.At("root", "roles", "snapshot")["keyids"].([]any)[0].(string)}
		}, Want: "is not one that the signer holds"},
		forge.Row{Name: "the snapshot key as timestamp key", Break: func(f *forge.Forge) {
			f.Hand("timestamp", f.At("root", "roles", "snapshot")["keyids"].([]any)[0].(string))
		}, Want: "is not one that the signer holds"},
	)
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			w, s := published.copied(t), s
			s.T = t
			f := forge.New(s)
			w.public = storagetest.Immutable(t, w.newStore())
			w.remove(repo.PublishedKey(scripts))
			w.restart()
			f.Unpublish(w.public)
			row.Break(f)
			f.Upload()
			w.wantRejected(f.Submission(), inboxSays(row))
		})
	}
}

// TestRejectGenesis: whose collections may start here is the configuration's
// say.
func TestRejectGenesis(t *testing.T) {
	for _, row := range []struct {
		name, says string
		configure  func(*lambda.Signer)
	}{
		{"nobody's", "no collections are created here", func(s *lambda.Signer) { s.Create = nil }},
		{"nobody's, by an empty list", "no collections are created here", func(s *lambda.Signer) { s.Create = lambda.CreateBelow() }},
		{"a name outside the policy", "only those below example.org are created here", func(s *lambda.Signer) { s.Create = lambda.CreateBelow("example.org") }},
		{"another root hash", "the one that is configured", func(s *lambda.Signer) {
			s.Genesis = func(string) (string, bool) { return forge.Sum("another"), true }
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.scene()
			row.configure(w.signer)
			w.wantRejected(s.First(map[string]string{"a": "1"}), row.says)
		})
	}
}

// TestRejectInbox: what is no submission, whatever its parts are. Its receipt is
// found by the hash of what lay there.
func TestRejectInbox(t *testing.T) {
	published, s := family(t)
	good := forge.New(s)
	part := []byte(good.Build("targets", good.Files["targets"]))
	hash := forge.Sum(string(part))
	manifest := func(parts string) string { return `{"collection":"` + scripts + `","parts":` + parts + `}` }
	many := map[string]string{}
	for n := range 257 {
		many[fmt.Sprint("r", n)] = hash
	}
	for _, row := range []struct{ name, manifest, says string }{
		{"not JSON", "{", "its manifest: "},
		{"an array", "[]", "its manifest: "},
		{"no collection", `{"parts":{}}`, "its manifest: "},
		{"no parts", `{"collection":"` + scripts + `"}`, "its manifest: "},
		{"a role of a long name", `{"collection":"` + scripts + `","parts":{"` + strings.Repeat("x", 200) + `":"` + strings.Repeat("0", 64) + `"}}`, "it names a role of 200 characters"},
		{"a collection of a long name", `{"collection":"` + strings.Repeat(`\u0001`, 9000) + `","parts":{}}`, "it is for the collection"},
		{"empty parts", `{"collection":"` + scripts + `","parts":{}}`, "it has no parts"},
		{"null parts", manifest("null"), "null where"},
		{"null hash", manifest(`{"targets":null}`), "null where"},
		{"a role twice", manifest(`{"targets":"` + hash + `","targets":"` + hash + `"}`), "duplicate object member name"},
		{"a second object", manifest("{}") + "{}", "after the end"},
		{"a field of nobody's", `{"collection":"` + scripts + `","parts":{},"renew":true}`, `unknown object member name "renew"`},
		{"another collection", `{"collection":"example.com/other","parts":{}}`, `it is for the collection "example.com/other"`},
		{"257 parts", manifest(forge.Encode(t, many)), "it has 257 parts, at most 256"},
		{"a hash in upper case", manifest(`{"targets":"` + strings.ToUpper(hash) + `"}`), "which is not a hash"},
		{"a short hash", manifest(`{"targets":"abcd"}`), "which is not a hash"},
		{"a path for a hash", manifest(`{"targets":"../keys/snapshot/x"}`), "which is not a hash"},
		{"a part that is missing", manifest(`{"targets":"` + forge.Sum("missing") + `"}`), "targets: its part is not in the inbox"},
		{"a part with another hash", manifest(`{"targets":"` + forge.Sum("other") + `"}`), "its part does not have the hash that is its name"},
		{"a root that is too large", manifest(`{"root":"` + forge.Sum("large") + `"}`), "root: its part is too large"},
		{"an unknown role", manifest(`{"mirrors/x":"` + hash + `"}`), `role name "mirrors/x"`},
		{"a top-level role in capitals", manifest(`{"Targets":"` + hash + `"}`), `role name "Targets"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := published.copied(t)
			w.put(w.private, repo.PartKey(scripts, hash), string(part))
			w.put(w.private, repo.PartKey(scripts, forge.Sum("other")), string(part))
			w.put(w.private, repo.PartKey(scripts, forge.Sum("large")), strings.Repeat(" ", repo.MaxRoot+1))
			public, private := contents(t, w.public), contents(t, w.private)
			w.put(w.private, submissionKey(ulidA), row.manifest)
			got := w.ask(ulidA)
			if err := got.Err(); err == nil || !strings.Contains(err.Error(), row.says) || got.Refused.Hint == "" {
				t.Errorf("refused with %v, %+v, without %q", err, got.Refused, row.says)
			}
			id := forge.Sum(row.manifest)
			if diff := cmp.Diff(w.receipt(id), got); diff != "" {
				t.Errorf("receipt and answer differ: %s", diff)
			}
			if diff := cmp.Diff(public, contents(t, w.public)); diff != "" {
				t.Errorf("the public store changed: %s", diff)
			}
			w.wantWaiting(0)
			after := contents(t, w.private)
			maps.DeleteFunc(after, func(key, _ string) bool { return key == repo.ReceiptKey(scripts, id) })
			if diff := cmp.Diff(private, after); diff != "" {
				t.Errorf("the inbox changed beyond a receipt: %s", diff)
			}
		})
	}
}

// TestReplay: a submission that was published before has its receipt by its ID,
// under another name too. Where that is gone, or the manifest is another one, it
// is answered with what was published, and nothing is published again.
func TestReplay(t *testing.T) {
	w, s := family(t)
	f := forge.New(s)
	f.Upload()
	sub := f.Submission()
	first := w.deliver(sub)
	if err := first.Err(); err != nil {
		t.Fatal(err)
	}
	before := contents(t, w.public)
	if diff := cmp.Diff(first, w.deliver(sub)); diff != "" {
		t.Errorf("the same submission again: %s", diff)
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Errorf("the public store changed: %s", diff)
	}
	w.wantWaiting(0)

	// The same files in another manifest are another submission.
	delete(sub.Files, "root")
	delete(sub.Files, "ci")
	again := &repo.Submission{Collection: scripts, Files: sub.Files}
	top, err := s.View().Role(t.Context(), "targets")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(top.Bytes(), sub.Files["targets"]) {
		t.Fatal("targets is not what was published")
	}
	next := forge.Blank(s)
	forge.Take(next, "targets", forge.Successor(top, w.now), top)
	if err := w.deliver(next.Submission()).Err(); err != nil {
		t.Fatal(err)
	}
	before = contents(t, w.public)
	if got := w.deliver(again); got.Refused != nil || got.Versions["targets"] != first.Versions["targets"] {
		t.Errorf("after others: %+v", got)
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Errorf("the public store changed: %s", diff)
	}
	w.wantWaiting(0)
}

// TestTakenName: a first publication of a name that another collection has.
func TestTakenName(t *testing.T) {
	w, s := family(t)
	root, err := tuf.Parse[tuf.Root](s.Root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	another := root.Signed
	another.Expires = another.Expires.Add(-time.Hour)
	s.Root = forge.Signed(t, s.Ring, another, another.Roles[tuf.RoleRoot].KeyIDs...).Bytes()
	sub := s.First(nil)
	w.wantRejected(sub, "published already, under another root")
	if got := w.receipt(sub.ID()).Refused; got.Kind != "published" || !strings.Contains(got.Hint, "publisher trust add "+scripts) {
		t.Errorf("%+v", got)
	}
}
