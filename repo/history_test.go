package repo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// pastWorld is a world with some history, an hour between one publish and the next.
func pastWorld(t *testing.T) *world {
	w := newWorld(t)
	for _, step := range []func(){
		func() { w.mustPublish(add("a", "1"), add("b", "1")) },
		func() { w.mustPublish(add("a", "2"), remove("b"), add("c", "1")) },
		func() { w.mustRefresh() },
		func() { w.delegate(tuf.RoleTargets, "ci", "ci/*", "ci/*/*") },
		func() { w.delegate("ci", "ci.deep", "ci/deep/*") },
		func() { w.mustPublish(in("ci.deep", add("ci/deep/x", "1")), add("d", "1")) },
		func() {
			if _, err := handOver(t, w, w); err != nil {
				t.Fatal(err)
			}
		},
		func() { w.mustPublish(remove("d")) },
	} {
		step()
		w.now = w.now.Add(time.Hour)
	}
	return w
}

func (w *world) mustRefresh() {
	w.t.Helper()
	if _, err := w.refresh(true); err != nil {
		w.t.Fatal(err)
	}
}

// history is what is told of the past, in lines, the newest first.
func (w *world) history(source storage.Getter) ([]string, *repo.History, error) {
	w.t.Helper()
	l := &repo.Loader{Source: source, Collection: collection, Cache: w.newCache(), Now: w.now}
	v, err := l.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	h := v.History()
	var lines []string
	for r, err := range h.All(w.t.Context()) {
		if err != nil {
			return lines, h, err
		}
		if err := h.Read(w.t.Context(), r); err != nil {
			return lines, h, err
		}
		lines = append(lines, revisionLines(w, r)...)
	}
	return lines, h, nil
}

func revisionLines(w *world, r *repo.Revision) []string {
	line := fmt.Sprintf("snapshot %d", r.Snapshot)
	if r.Snapshot == 0 {
		line = fmt.Sprintf("root %d", r.Root)
	}
	line += fmt.Sprintf(" at %s", r.Time.Format("15:04"))
	for say, is := range map[string]bool{
		" refresh": r.Refresh(), " cut": r.Cut, " not stored": !r.Stored, " problem": r.Problem != "",
		" unsigned": r.Snapshot != 0 && len(r.Signers) == 0,
	} {
		if is {
			line += say
		}
	}
	lines := []string{line}
	for _, c := range r.Changes {
		line := fmt.Sprintf("  %s %d->%d by %d: +%v ~%v -%v", c.Role, c.From, c.To, len(c.Signers), c.Added, c.Changed, c.Removed)
		for _, d := range c.Roles {
			line += fmt.Sprintf(" %s(+%d -%d)", d.Role, len(d.KeysAdded), len(d.KeysRemoved))
		}
		if c.Gone {
			line += " gone"
		}
		if c.Unjudged {
			line += " unjudged"
		}
		if c.Problem != "" {
			line += " " + c.Problem
		}
		lines = append(lines, line)
	}
	return lines
}

// whole is the history of pastWorld.
var whole = []string{
	"snapshot 8 at 19:00",
	"  targets 4->5 by 1: +[] ~[] -[d]",
	"root 2 at 18:00",
	"  root 1->2 by 1: +[] ~[] -[] snapshot(+1 -1) timestamp(+1 -1)",
	"snapshot 7 at 18:00 refresh",
	"snapshot 6 at 17:00",
	"  targets 3->4 by 1: +[d] ~[] -[]",
	"  ci.deep 1->2 by 1: +[ci/deep/x] ~[] -[]",
	"snapshot 5 at 16:00",
	"  ci 1->2 by 1: +[] ~[] -[] ci.deep(+1 -0)",
	"  ci.deep 0->1 by 1: +[] ~[] -[]",
	"snapshot 4 at 15:00",
	"  targets 2->3 by 1: +[] ~[] -[] ci(+1 -0)",
	"  ci 0->1 by 1: +[] ~[] -[]",
	"snapshot 3 at 14:00 refresh",
	"snapshot 2 at 13:00",
	"  targets 1->2 by 1: +[c] ~[a] -[b]",
	"snapshot 1 at 12:00",
	"  targets 0->1 by 1: +[a b] ~[] -[]",
	"root 1 at 12:00",
	"  root 0->1 by 1: +[] ~[] -[] root(+1 -0) snapshot(+1 -0) targets(+1 -0) timestamp(+1 -0)",
}

func TestHistory(t *testing.T) {
	w := pastWorld(t)
	lines, h, err := w.history(w.store)
	if err != nil || h.End != "" {
		t.Fatalf("%v, ends %q", err, h.End)
	}
	if diff := cmp.Diff(whole, lines); diff != "" {
		t.Error(diff)
	}
}

// altered is the store with objects changed or, for nil, removed.
func (w *world) altered(slots map[string][]byte) storage.Store {
	w.t.Helper()
	changed := storage.NewMemory()
	for e, err := range w.store.List(w.t.Context(), "") {
		if err != nil {
			w.t.Fatal(err)
		}
		data, _, err := storage.Read(w.t.Context(), w.store, e.Key, 1<<30)
		if err != nil {
			w.t.Fatal(err)
		}
		if instead, ok := slots[strings.TrimPrefix(e.Key, collection+"/metadata/")]; ok {
			data = instead
		}
		changed.Now = func() time.Time { return e.Modified }
		if data != nil {
			put(w.t, changed, e.Key, data)
		}
	}
	for name, data := range slots {
		if key := collection + "/metadata/" + name; data != nil {
			if _, err := changed.Stat(w.t.Context(), key); err != nil {
				put(w.t, changed, key, data)
			}
		}
	}
	return changed
}

func put(t *testing.T, s storage.Store, key string, data []byte) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, bytes.NewReader(data), storage.Absent); err != nil {
		t.Fatal(err)
	}
}

func (w *world) slot(name string) []byte {
	w.t.Helper()
	data, _, err := storage.Read(w.t.Context(), w.store, collection+"/metadata/"+name, 1<<30)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// TestHistorySkipsBurned: what no snapshot names is not history, also if it is
// a good snapshot of another past.
func TestHistorySkipsBurned(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	put(t, w.store, collection+"/metadata/2.snapshot.json", w.slot("1.snapshot.json"))
	put(t, w.store, collection+"/metadata/3.snapshot.json", []byte("an accident"))
	w.mustPublish(add("b", "1"))
	lines, _, err := w.history(w.store)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, "snapshot 4 at") || strings.Count(got, "snapshot ") != 2 {
		t.Errorf("history is\n%s", got)
	}
}

// TestHistoryRemoved: where garbage collection took something, that is told, and
// is no problem.
func TestHistoryRemoved(t *testing.T) {
	w := pastWorld(t)
	lines, h, err := w.history(w.altered(map[string][]byte{"3.snapshot.json": nil, "2.snapshot.json": nil, "3.targets.json": nil}))
	if err != nil {
		t.Fatal(err)
	}
	if h.End != "the snapshot before 4 was removed" {
		t.Errorf("history ends: %q", h.End)
	}
	want := append([]string{}, whole[:11]...)
	want[6] = "  targets 3->4 by 1: +[] ~[] -[] gone"
	// Who delegated to ci is no longer to be seen.
	want[9] = "  ci 1->2 by 0: +[] ~[] -[] ci.deep(+1 -0) unjudged"
	want[10] = "  ci.deep 0->1 by 0: +[] ~[] -[] unjudged"
	want = append(want, "snapshot 4 at 15:00 cut", whole[len(whole)-2], whole[len(whole)-1])
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

// TestHistoryTampered: what was changed afterwards is found.
func TestHistoryTampered(t *testing.T) {
	w := pastWorld(t)
	for _, c := range []struct {
		slot, with string // another slot's content
		problem    string // in a line, or the error
		broken     bool
	}{
		{"2.targets.json", "1.targets.json", "verify 2.targets.json: ", false},
		{"2.ci.deep.json", "1.ci.deep.json", "verify 2.ci.deep.json: ", false},
		{"3.snapshot.json", "2.snapshot.json", "verify 4.snapshot.json: the chain is broken: no snapshot has the hash of the one it was made from", true},
		{"1.snapshot.json", "2.snapshot.json", "verify 2.snapshot.json: the chain is broken", true},
		{"1.root.json", "2.root.json", "verify 1.root.json: it is not the root that was verified", true},
	} {
		store := w.altered(map[string][]byte{c.slot: w.slot(c.with)})
		lines, _, err := w.history(store)
		var bad *repo.VerifyError
		if errors.As(err, &bad) != c.broken {
			t.Errorf("%s: %v", c.slot, err)
		}
		if told := fmt.Sprint(strings.Join(lines, "\n"), err); !strings.Contains(told, c.problem) {
			t.Errorf("%s: %s is not in\n%s", c.slot, c.problem, told)
		}
		if !c.broken && len(lines) != len(whole) {
			t.Errorf("%s: history stops:\n%s", c.slot, strings.Join(lines, "\n"))
		}
	}
}

// TestHistoryForged: files that hang together and that keys without the right to
// do so have signed.
func TestHistoryForged(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	stranger := w.ring.Generate(t).ID()
	// The snapshot key is abused: it lists targets that the targets key never saw.
	s, err := tuf.Parse[tuf.Snapshot](w.slot("1.snapshot.json"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	targets, err := tuf.Parse[tuf.Targets](w.slot("1.targets.json"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	next := targets.Signed
	next.Version, next.Publisher.Parent = 2, targets.SHA256()
	forged := forge.Signed(t, w.ring, next, stranger)
	evil := s.Signed
	evil.Version, evil.Publisher.Parent = 2, s.SHA256()
	evil.Meta = map[string]tuf.MetaFile{"targets.json": forged.Meta()}
	second := forge.Signed(t, w.ring, evil, s.Signatures[0].KeyID)
	third := second.Signed
	third.Version, third.Publisher.Parent = 3, second.SHA256()
	last := forge.Signed(t, w.ring, third, s.Signatures[0].KeyID)
	ts, err := tuf.Parse[tuf.Timestamp](w.slot("timestamp.json"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	now := ts.Signed
	now.Version, now.Meta = 2, map[string]tuf.MetaFile{"snapshot.json": last.Meta()}
	store := w.altered(map[string][]byte{
		"2.targets.json": forged.Bytes(), "2.snapshot.json": second.Bytes(), "3.snapshot.json": last.Bytes(),
		"timestamp.json": forge.Signed(t, w.ring, now, ts.Signatures[0].KeyID).Bytes(),
	})
	lines, _, err := w.history(store)
	if want := "verify 2.targets.json: targets: 0 of 1 required signatures"; err != nil || !strings.Contains(strings.Join(lines, "\n"), want) {
		t.Errorf("no %s in\n%s\n%v", want, strings.Join(lines, "\n"), err)
	}
}

// timeless is a store that does not tell when an object was stored.
type timeless struct{ storage.Getter }

func (s timeless) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.Getter.Get(ctx, key)
	obj.Modified = time.Time{}
	return obj, err
}

// TestHistoryTimeless: where the store does not tell, expiry does.
func TestHistoryTimeless(t *testing.T) {
	w := pastWorld(t)
	lines, _, err := w.history(timeless{w.store})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, " ") && !strings.Contains(line, "not stored") {
			t.Errorf("%s", line)
		}
	}
	if got := lines[0]; got != "snapshot 8 at 19:00 not stored" {
		t.Errorf("it starts with %q", got)
	}
}

// TestHistoryRequests: one read for each snapshot and each changed role, and for
// roots.
func TestHistoryRequests(t *testing.T) {
	const publishes = 40
	w := newWorld(t)
	for n := range publishes {
		w.mustPublish(add(fmt.Sprint("t", n), "x"))
		w.now = w.now.Add(time.Minute)
	}
	counter := storagetest.NewCounter(w.store)
	if _, _, err := w.history(counter.Store()); err != nil {
		t.Fatal(err)
	}
	// timestamp and next root, newest snapshot twice; the end costs nothing.
	if n, most := counter.Counts().Reads, 2*publishes+6; n > most {
		t.Errorf("%d requests for %d publishes, at most %d", n, publishes, most)
	}
}

// TestHistoryForgedRoot: an old root key was stolen and makes another first
// root, which the second would follow as well.
func TestHistoryForgedRoot(t *testing.T) {
	w := pastWorld(t)
	root, err := tuf.Parse[tuf.Root](w.root, repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	other := root.Signed
	other.Expires = other.Expires.Add(time.Hour)
	store := w.altered(map[string][]byte{"1.root.json": forge.Signed(t, w.ring, other, root.Signatures[0].KeyID).Bytes()})
	w.root = w.slot("2.root.json") // what is trusted
	_, _, err = w.history(store)
	if want := "verify 1.root.json: the chain is broken: it is not the root that version 2 was made from"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// copied is a copy of a store, in which objects have the times of the copy.
type copied struct {
	storage.Getter
	at func(key string) time.Time
}

func (s copied) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.Getter.Get(ctx, key)
	obj.Modified = s.at(key)
	return obj, err
}

// atOnce and scrambled are the times of copies.
func atOnce(string) time.Time { return time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC) }

func scrambled(key string) time.Time {
	sum := sha256.Sum256([]byte(key))
	return atOnce(key).Add(time.Duration(sum[0]) * time.Hour)
}

// TestHistoryOfRotations: roots come in where they came in, and everything was
// signed by who could then, whatever is known of times.
func TestHistoryOfRotations(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	rotate := func(edit func(*repo.Rotation), roles ...string) {
		t.Helper()
		w.now = w.now.Add(time.Hour)
		r := repo.Rotation{Roles: map[string]repo.Signers{}, Grace: repo.DefaultGrace, After: w.view().Root().Signed.Version}
		for _, role := range roles {
			r.Roles[role] = repo.Signers{Keys: []tuf.Key{w.ring.Generate(t), w.ring.Generate(t)}, Threshold: 2}
		}
		edit(&r)
		if _, err := w.publisher().Rotate(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Hour)
	}
	publish := func(name string) { w.mustPublish(add(name, "1")) }
	nothing := func(*repo.Rotation) {}
	rotate(nothing, tuf.TopLevel...)
	publish("b")
	rotate(func(r *repo.Rotation) { r.OldKeyLost = true }, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)
	publish("c")
	rotate(func(r *repo.Rotation) { r.Lifetimes = repo.Lifetimes{tuf.RoleTargets: 100 * day, "ci": 30 * day} })
	publish("d")
	rotate(nothing, tuf.RoleTargets)
	publish("e")
	for name, source := range map[string]storage.Getter{
		"store": w.store, "timeless": timeless{w.store}, "copied": copied{w.store, atOnce}, "scrambled": copied{w.store, scrambled},
	} {
		lines, h, err := w.history(source)
		if err != nil || h.End != "" {
			t.Fatalf("%s: %v, ends %q\n%s", name, err, h.End, strings.Join(lines, "\n"))
		}
		told := strings.Join(lines, "\n")
		if strings.Contains(told, "problem") || strings.Contains(told, "verify") || strings.Contains(told, "unsigned") || strings.Contains(told, "by 0") {
			t.Errorf("%s: something is wrong in\n%s", name, told)
		}
		if name == "scrambled" {
			continue // a root may then stand on the wrong side of its own commit
		}
		var order []string
		for _, line := range lines {
			if what, _, ok := strings.Cut(line, " at "); ok {
				order = append(order, what)
			}
		}
		want := []string{
			"snapshot 9", "root 5", "snapshot 8", "snapshot 7", "root 4", "snapshot 6", "snapshot 5", "snapshot 4", "root 3",
			"snapshot 3", "root 2", "snapshot 2", "snapshot 1", "root 1",
		}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("%s: %s\n%s", name, diff, told)
		}
	}
}
