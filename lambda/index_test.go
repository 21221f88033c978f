package lambda_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"publisher/lambda"
	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// flooded is collections of which the first has an inbox full of submissions
// that are none, and the last one that is.
func flooded(t *testing.T, junk int) (e *estate, last string, id string) {
	t.Helper()
	e = newEstate(storage.NewMemory(), storage.NewMemory())
	for _, name := range []string{"a", "b", "c"} {
		if err := e.add(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := range junk {
		put(t, e.private.Store(), repo.SubmissionKey("a", fmt.Sprintf("%026d", n)), "junk")
		put(t, e.private.Store(), repo.PartKey("a", fmt.Sprintf("%064d", n)), "junk")
	}
	sub := &repo.Submission{Collection: "c", Files: map[string][]byte{"targets": []byte("{}")}}
	if err := (repo.Inbox{Store: e.private.Store(), Collection: "c"}).Leave(t.Context(), ulidA, sub); err != nil {
		t.Fatal(err)
	}
	return e, "c", sub.ID()
}

func put(t *testing.T, s storage.Store, key, content string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, strings.NewReader(content), storage.Absent); err != nil {
		t.Fatal(err)
	}
}

// TestFlood: an inbox that sorts before all others, filled by who may write
// there, keeps none of them from being refreshed and swept, and costs what a
// run may spend on one.
func TestFlood(t *testing.T) {
	e, last, id := flooded(t, 3000)
	if _, _, err := e.sweep(t.Context(), schedule); err != nil { // also looks for collections, once
		t.Fatal(err)
	}
	if r, err := (repo.Inbox{Store: e.private.Store(), Collection: last}).Receipt(t.Context(), id); err != nil || r.Refused == nil {
		t.Errorf("the last inbox: %+v, %v", r, err)
	}
	e.now = e.now.Add(16 * day)
	counts, cost, err := e.sweep(t.Context(), schedule)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Refreshed != 3 || counts.Refused != 100 || !counts.Unfinished {
		t.Errorf("%+v", counts)
	}
	// The index, three inboxes, what was asked for and attempts; a flooded inbox is
	// not listed to its end.
	if cost.Private.Lists != 6 {
		t.Errorf("%d listings\n%s", cost.Private.Lists, strings.Join(e.private.Log(), "\n"))
	}
	if got, most := cost.total(), 100*8+3*5+2; got > most {
		t.Errorf("%d requests, at most %d expected", got, most)
	}
}

// TestFloodIsDrained: run by run, whatever waits is answered.
func TestFloodIsDrained(t *testing.T) {
	e, _, _ := flooded(t, 250)
	for range 3 {
		if _, _, err := e.sweep(t.Context(), schedule); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range (repo.Inbox{Store: e.private.Store(), Collection: "a"}).Waiting(t.Context()) {
		t.Errorf("%s still waits, %v", name, err)
	}
}

// TestRefreshListsNoInbox: what it costs to find out that nothing is due has
// nothing to do with what was ever left or answered.
func TestRefreshListsNoInbox(t *testing.T) {
	e, _, _ := flooded(t, 3000)
	for range 2 {
		if _, _, err := e.sweep(t.Context(), refreshAll); err != nil {
			t.Fatal(err)
		}
	}
	want := bill{Public: storagetest.Counts{Reads: 3}, Private: storagetest.Counts{Reads: 2, Lists: 1}}
	if _, got, err := e.sweep(t.Context(), refreshAll); err != nil || got != want {
		t.Errorf("%+v %v, want %+v\n%s", got, err, want, strings.Join(e.private.Log(), "\n"))
	}
}

// TestIndexOfBefore: collections from before there was an index are found by
// their keys, once, and again when somebody asks for it.
func TestIndexOfBefore(t *testing.T) {
	w := published(t)
	w.remove(repo.KnownKey(scripts))
	for _, walked := range []bool{false, true} {
		if walked {
			w.remove(repo.KnownKey(scripts))
			if c := w.counts(refreshAll); c.Collections != 0 {
				t.Errorf("%+v, but it was looked for already", c)
			}
			w.remove(repo.ProgressKey("walked"))
		}
		if c := w.counts(refreshAll); c.Collections != 1 {
			t.Errorf("%+v", c)
		}
		if all := contents(t, w.private); all[repo.KnownKey(scripts)] == "" || all[repo.ProgressKey("walked")] == "" {
			t.Error("it is not in the index, or that is not noted")
		}
	}
}

// TestNoNotes: a signer that may not write notes yet does its work without.
func TestNoNotes(t *testing.T) {
	w := newWorld(t)
	w.restartWith(w.public, deny{w.private})
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("a", "1")
	_, id := w.leave("b", "2")
	if c := w.counts(schedule); c.Collections != 1 || c.Committed != 1 {
		t.Errorf("%+v", c)
	}
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
	w.wantLogged("note not written")
}

// deny is a store whose policy is from before the signer had notes.
type deny struct{ storage.Store }

func (d deny) Put(ctx context.Context, key string, body io.ReadSeeker, prev storage.Version) (storage.Version, error) {
	if strings.HasPrefix(key, repo.SignerDir) {
		return "", fmt.Errorf("put %s: %w", key, fs.ErrPermission)
	}
	return d.Store.Put(ctx, key, body, prev)
}

func (d deny) Stat(ctx context.Context, key string) (storage.Info, error) {
	return d.Store.(storage.Stater).Stat(ctx, key)
}

func (d deny) Delete(ctx context.Context, key string, prev storage.Version) error {
	return d.Store.(storage.Deleter).Delete(ctx, key, prev)
}

// TestTurns: runs that have no time for all of it go on where the one before
// stopped, so that all have their turn.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(storage.NewMemory(), storage.NewMemory())
		const all = 10
		for n := range all {
			if err := e.add(t.Context(), fmt.Sprint("c", n), nil); err != nil {
				t.Fatal(err)
			}
		}
		slow := &slowStore{Store: e.public.Store(), each: time.Second}
		e.signer = &lambda.Signer{
			Public: slow, Private: e.private.Store(), Keys: e.keys, Concurrency: 1,
			Now: func() time.Time { return e.now },
		}
		seen := map[string]bool{}
		for run := 0; len(seen) < all; run++ {
			if run == 3 {
				t.Fatalf("after %d runs only %v were looked at", run, seen)
			}
			slow.seen = seen
			ctx, cancel := context.WithTimeout(t.Context(), lambda.DefaultMargin+4*time.Second-time.Millisecond)
			answer, err := e.signer.Handle(ctx, []byte(refreshAll))
			cancel()
			if err != nil || !strings.Contains(string(answer), `"unfinished":true`) {
				t.Fatalf("%s %v", answer, err)
			}
		}
	})
}

// slowStore takes its time for each timestamp.json, and notes whose it was.
type slowStore struct {
	storage.Store
	each time.Duration
	seen map[string]bool
}

func (s *slowStore) Get(ctx context.Context, key string) (storage.Object, error) {
	if collection, ok := strings.CutSuffix(key, "/metadata/timestamp.json"); ok {
		time.Sleep(s.each)
		s.seen[collection] = true
	}
	return s.Store.Get(ctx, key)
}

// TestMadeUp: names that somebody makes up cost no run more than what a few of
// them do, come after all that is published, and are forgotten.
func TestMadeUp(t *testing.T) {
	const many = 1100
	e := newEstate(storage.NewMemory(), storage.NewMemory())
	for _, name := range []string{"a", "z"} {
		if err := e.add(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := e.sweep(t.Context(), schedule); err != nil {
		t.Fatal(err)
	}
	for n := range many {
		if _, err := e.signer.Handle(t.Context(), fmt.Appendf(nil, `{"action":"keys","collection":"flood%04d"}`, n)); err != nil {
			t.Fatal(err)
		}
	}
	asked := func() (n int) {
		for key := range contents(t, e.private.Store()) {
			if _, ok := repo.ParseAsked(key); ok {
				n++
			}
		}
		return n
	}
	if n := asked(); n != 1000 {
		t.Errorf("%d are noted", n)
	}
	e.now = e.now.Add(6 * day)
	counts, cost, err := e.sweep(t.Context(), schedule)
	if err != nil || counts.Collections != 2 || cost.total() > 10 || cost.Private.Lists > 2+100+3 {
		t.Errorf("%+v %+v %v", counts, cost, err)
	}
	if _, cost, err = e.sweep(t.Context(), refreshAll); err != nil || cost.total() > 5 || cost.Private.Lists != 1 {
		t.Errorf("%+v %v", cost, err)
	}
	e.now = e.now.Add(2 * day)
	for range 10 {
		if _, _, err := e.sweep(t.Context(), schedule); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked(); n != 0 {
		t.Errorf("%d are still noted", n)
	}
	if err := e.add(t.Context(), "flood0000", nil); err != nil {
		t.Errorf("what was asked for long ago cannot be published: %v", err)
	}
}

// TestFirstByItself: a first submission of which the event was lost is found,
// and the collection from then on.
func TestFirstByItself(t *testing.T) {
	w := newWorld(t)
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := contents(t, w.private); all[repo.AskedKey(scripts)] == "" || all[repo.KnownKey(scripts)] != "" {
		t.Error("it is taken for published, or forgotten")
	}
	_, id := w.leave("a", "1")
	w.restart()
	if c := w.counts(schedule); c.Committed != 1 {
		t.Errorf("%+v", c)
	}
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
	if c := w.counts(schedule); c.Collections != 1 {
		t.Errorf("%+v", c)
	}
	if all := contents(t, w.private); all[repo.AskedKey(scripts)] != "" || all[repo.KnownKey(scripts)] == "" {
		t.Error("it is not taken for published")
	}
}

// TestFoundFirst: what is published is noted before that: an instance that dies
// in between leaves nothing that nobody refreshes.
func TestFoundFirst(t *testing.T) {
	w := newWorld(t)
	if err := w.owner.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	submission, _ := w.leave("a", "1")
	w.die(submission)
	if contents(t, w.private)[repo.KnownKey(scripts)] == "" {
		t.Error("nothing is noted, and it would be published next")
	}
}

// TestWalkInParts: runs that have little time find everything in the end, and do
// what is due before they look.
func TestWalkInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(storage.NewMemory(), storage.NewMemory())
		for _, name := range []string{"a", "b", "c", "d"} {
			if err := e.add(t.Context(), name, nil); err != nil {
				t.Fatal(err)
			}
			if name != "d" {
				info, err := storage.Stat(t.Context(), e.private.Store(), repo.KnownKey(name))
				if err == nil {
					err = e.private.Store().(storage.Deleter).Delete(t.Context(), repo.KnownKey(name), info.Version)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		for n := range 5000 {
			put(t, e.private.Store(), repo.PartKey("a", fmt.Sprintf("%064d", n)), "junk")
			put(t, e.private.Store(), repo.ReceiptKey("b", fmt.Sprintf("%064d", n)), "junk")
		}
		slow := &slowList{Store: e.private.Store(), each: 10 * time.Millisecond}
		e.signer = &lambda.Signer{Public: e.public.Store(), Private: slow, Keys: e.keys, Now: func() time.Time { return e.now }}
		e.now = e.now.Add(20 * day)
		for run := 1; ; run++ {
			ctx, cancel := context.WithTimeout(t.Context(), lambda.DefaultMargin+10*time.Second)
			answer, err := e.signer.Handle(ctx, []byte(refreshAll))
			cancel()
			if err != nil || run == 1 && !strings.Contains(string(answer), `"refreshed":`) || run > 20 {
				t.Fatalf("run %d: %s %v", run, answer, err)
			}
			all := contents(t, e.private.Store())
			if all[repo.ProgressKey("walked")] != "" {
				for _, name := range []string{"a", "b", "c"} {
					if all[repo.KnownKey(name)] == "" {
						t.Errorf("%s was not found", name)
					}
				}
				break
			}
		}
		// Of 10,000 parts and receipts most were never listed.
		if slow.listed > 5000 {
			t.Errorf("%d objects were listed", slow.listed)
		}
	})
}

// slowList takes its time for each object that it lists.
type slowList struct {
	storage.Store
	each   time.Duration
	listed int
}

func (s *slowList) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		for e, err := range s.Store.List(ctx, prefix) {
			time.Sleep(s.each)
			s.listed++
			if !yield(e, err) {
				return
			}
		}
	}
}

// TestJunkNames: what is no submission does not keep any from being found.
func TestJunkNames(t *testing.T) {
	w := published(t)
	for n := range 2500 {
		w.put(w.private, repo.SubmissionsDir(scripts)+fmt.Sprintf("!!!%04d.json", n), "junk")
		w.put(w.private, repo.SubmissionsDir(scripts)+fmt.Sprintf("0!%04d.json", n), "junk")
	}
	w.leave("b", "2")
	if c := w.counts(schedule); c.Committed != 1 || c.Unfinished {
		t.Errorf("%+v", c)
	}
}
