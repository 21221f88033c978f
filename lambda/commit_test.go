package lambda_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// TestCommit: the answer is the receipt, once, whoever asks again.
func TestCommit(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	answer, err := w.handle(commitEvent(submission))
	if err != nil {
		t.Fatal(err)
	}
	var got repo.Receipt
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	want := repo.Receipt{Collection: scripts, Submission: id, Committed: w.now, Versions: map[string]int64{"targets": 2, "snapshot": 2, "timestamp": 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&want, w.receipt(id)); diff != "" {
		t.Error(diff)
	}
	w.wantWaiting(0)
	w.wantRefused(commitEvent(submission), "not in the inbox")
	w.wantSound()
}

// TestNoDelete: where nothing may be deleted, the receipt says what is answered.
func TestNoDelete(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	w.restartWith(w.public, struct{ storage.Store }{w.private})
	first, err := w.handle(commitEvent(submission))
	if err != nil {
		t.Fatal(err)
	}
	w.wantWaiting(1)
	w.now = w.now.Add(time.Hour)
	if again, err := w.handle(commitEvent(submission)); err != nil || again != first {
		t.Errorf("asked again: %s, %v, want %s", again, err, first)
	}
	if n := strings.Count(w.metrics.String(), `"Commits":1`); n != 1 {
		t.Errorf("%d commits counted, want 1", n)
	}
}

// TestRefusedForGood: where nothing may be deleted, what was refused stays so after
// garbage collection has been through the inbox, whatever it lacked then.
func TestRefusedForGood(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	sum := sha256.Sum256([]byte("2"))
	key := repo.TargetKey(scripts, "b", hex.EncodeToString(sum[:]))
	public := w.newStore()
	for k, content := range contents(t, w.public) {
		if k != key {
			w.put(public, k, content)
		}
	}
	w.public = public
	w.restartWith(public, struct{ storage.Store }{w.private})
	if _, err := w.handle(commitEvent(submission)); err != nil {
		t.Fatal(err)
	}
	w.put(public, key, "2")
	for range 40 {
		w.now = w.now.Add(24 * time.Hour)
		w.counts(schedule)
	}
	box := repo.Inbox{Store: w.private, Collection: scripts}
	before := w.now.Add(-repo.DefaultKeep)
	found, err := box.Garbage(t.Context(), before)
	if err == nil {
		_, err = box.Remove(t.Context(), found, before, func() {})
	}
	if err != nil || len(found) == 0 {
		t.Fatalf("%d objects are garbage: %v", len(found), err)
	}
	if c := w.counts(schedule); c.Committed > 0 {
		t.Errorf("what was refused has been committed: %+v", c)
	}
	if r := w.receipt(id); r.Refused == nil {
		t.Errorf("its receipt says %+v", r)
	}
}

// TestAnswerLost: a commit that was cut off before its receipt is found to be
// done, not refused as stale.
func TestAnswerLost(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	faults := storagetest.NewFaults(w.private, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "PUT" {
			return storagetest.Lost
		}
		return storagetest.None
	})
	w.restartWith(w.public, faults.Store())
	if answer, err := w.handle(commitEvent(submission)); err == nil {
		t.Fatalf("answer %s, but there is no receipt", answer)
	}
	w.restart()
	if c := w.counts(schedule); c.Committed != 1 {
		t.Errorf("%+v", c)
	}
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("refused: %+v", r.Refused)
	}
	w.wantSound()
}

// TestTwoAtOnce: instances that know nothing of each other answer everything
// once, and nothing is lost.
func TestTwoAtOnce(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	second, stale := w.leave("c", "3") // from the same version: one of them is too late
	other := *w
	other.restart()
	var group sync.WaitGroup
	for _, s := range []*lambda.Signer{w.signer, other.signer, w.signer} {
		for _, event := range []string{schedule, commitEvent(submission), commitEvent(second)} {
			group.Go(func() {
				var refused *lambda.RefusedError
				if _, err := s.Handle(t.Context(), []byte(event)); err != nil && !errors.As(err, &refused) {
					t.Errorf("%s: %v", event, err)
				}
			})
		}
	}
	group.Wait()
	w.wantWaiting(0)
	w.wantSound()
	a, b := w.receipt(id), w.receipt(stale)
	if (a.Refused == nil) == (b.Refused == nil) {
		t.Errorf("receipts %+v and %+v, want one that was too late", a, b)
	}
	for _, r := range []*repo.Receipt{a, b} {
		if r.Refused != nil && (r.Refused.Kind == "rejected" || !strings.Contains(r.Refused.Hint, "publisher publish "+scripts)) {
			t.Errorf("refused as %+v", r.Refused)
		}
	}
}

// TestGenesis is what a first publication through the signer must have.
func TestGenesis(t *testing.T) {
	sum := func(data []byte) string { h := sha256.Sum256(data); return hex.EncodeToString(h[:]) }
	for _, tt := range []struct {
		name  string
		setup func(w *world)
		says  string // of the rejection; empty for none
	}{
		{"as it should be", func(*world) {}, ""},
		{"hash that is configured", func(w *world) {
			want := sum(w.owner.Root())
			w.signer.Genesis = func(string) (string, bool) { return want, true }
		}, ""},
		{"hash of another", func(w *world) {
			w.signer.Genesis = func(c string) (string, bool) { return strings.Repeat("0", 64), c == scripts }
		}, "not 0000"},
		{"nothing may be created", func(w *world) { w.signer.Create = nil }, "no collections are created here"},
		{"names that may not", func(w *world) { w.signer.Create = lambda.CreateBelow("example.org") }, "only those below example.org"},
		{"keys that are not held", func(w *world) {
			for key := range contents(w.t, w.private) {
				if strings.Contains(key, "/keys/timestamp/") {
					info, err := storage.Stat(w.t.Context(), w.private, key)
					if err == nil {
						err = w.private.(storage.Deleter).Delete(w.t.Context(), key, info.Version)
					}
					if err != nil {
						w.t.Fatal(err)
					}
				}
			}
		}, "is not one that the signer holds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.owner.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			tt.setup(w)
			_, err := w.owner.Publish(t.Context(), map[string]string{"a": "1"})
			if tt.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				w.wantSound()
				return
			}
			var rejection *repo.Rejection
			if !errors.As(err, &rejection) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want a rejection with %q", err, tt.says)
			}
			for key := range contents(t, w.public) {
				if !strings.Contains(key, "/targets/") { // the owner's own upload
					t.Errorf("%s was written", key)
				}
			}
		})
	}
}

// TestGenesisOfAnother: a published root that is not the configured one is not
// trusted, by no action.
func TestGenesisOfAnother(t *testing.T) {
	w := published(t)
	w.restart()
	w.signer.Genesis = func(string) (string, bool) { return strings.Repeat("0", 64), true }
	submission, _ := w.leave("b", "2")
	w.now = w.now.Add(10 * 24 * time.Hour)
	for _, event := range []string{keysEvent, commitEvent(submission), refreshAll} {
		if answer, err := w.handle(event); err == nil || !strings.Contains(err.Error(), "not 0000") {
			t.Errorf("%s: %s, %v", event, answer, err)
		}
	}
	w.wantWaiting(1)
}

// TestUnpublished: submissions for a collection that is not there are refused
// with a receipt.
func TestUnpublished(t *testing.T) {
	w := newWorld(t)
	if _, err := w.handle(keysEvent); err != nil {
		t.Fatal(err)
	}
	box := repo.Inbox{Store: w.private, Collection: scripts}
	sub := &repo.Submission{Collection: scripts, Files: map[string][]byte{"targets": []byte("{}")}}
	if err := box.Leave(t.Context(), ulidA, sub); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(schedule); c.Refused != 1 {
		t.Errorf("%+v", c)
	}
	if r := w.receipt(sub.ID()); r.Refused == nil || !strings.Contains(r.Refused.Error, "nothing is published") || r.Refused.Hint == "" {
		t.Errorf("%+v", r.Refused)
	}
	w.wantWaiting(0)
}

// TestMalformed is manifests that are no submissions. Each gets a receipt, save
// one too large to be read at all, which is put aside.
func TestMalformed(t *testing.T) {
	for _, tt := range []struct{ name, manifest, says string }{
		{"not JSON", "hello", "manifest"},
		{"empty", "", "manifest"},
		{"null", "null", "manifest"},
		{"null part", `{"collection":"` + scripts + `","parts":{"targets":null}}`, "manifest"},
		{"another collection", `{"collection":"example.com/other","parts":{}}`, "example.com/other"},
		{"not a hash", `{"collection":"` + scripts + `","parts":{"targets":"../../x"}}`, "not a hash"},
		{"part missing", `{"collection":"` + scripts + `","parts":{"targets":"` + strings.Repeat("0", 64) + `"}}`, "not in the inbox"},
		{"unknown member", `{"collection":"` + scripts + `","parts":{},"force":true}`, "force"},
		{"50 MB", strings.Repeat("x", 50<<20), "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := published(t)
			before := contents(t, w.public)
			w.put(w.private, submissionKey(ulidA), tt.manifest)
			answer, err := w.handle(commitEvent(ulidA))
			if err != nil || !strings.Contains(answer, tt.says) || !strings.Contains(answer, `"hint"`) || len(answer) > 1000 {
				t.Errorf("answer %.2000s %v, want a refusal with %q", answer, err, tt.says)
			}
			if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
				t.Errorf("the public store changed:\n%s", diff)
			}
			w.wantWaiting(0)
			if len(tt.manifest) > 1<<20 {
				if contents(t, w.private)[repo.QuarantineKey(scripts, ulidA)] == "" {
					t.Error("it is not put aside")
				}
				return
			}
			sum := sha256.Sum256([]byte(tt.manifest))
			w.receipt(hex.EncodeToString(sum[:]))
		})
	}
}

// TestLarge: parts that are each small enough, and too much together.
func TestLarge(t *testing.T) {
	w := published(t)
	files := map[string][]byte{}
	for i := range 5 {
		files[fmt.Sprint("role", i)] = []byte(fmt.Sprint(i, strings.Repeat("x", 8<<20)))
	}
	sub := &repo.Submission{Collection: scripts, Files: files}
	if err := (repo.Inbox{Store: w.private, Collection: scripts}).Leave(t.Context(), ulidA, sub); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(schedule); c.Refused != 1 {
		t.Errorf("%+v", c)
	}
	if r := w.receipt(sub.ID()); r.Refused == nil || !strings.Contains(r.Refused.Error, "too large") {
		t.Errorf("%+v", r.Refused)
	}
	w.wantWaiting(0)
}

// panics is a Keys, or parts of a store, with a fault in the program.
type panics struct{ lambda.Keys }

func (panics) Open(context.Context, *lambda.Key) (signature.Signer, error) {
	panic("nil pointer\nor so")
}

// statPanics fails where repo works in goroutines of its own, in which a panic
// ends the process.
type statPanics struct{ storage.Store }

func (statPanics) Stat(context.Context, string) (storage.Info, error) { panic("nil pointer\nor so") }

// TestPanic: a submission that the signer fails on is refused and put aside, and
// the signer lives on.
func TestPanic(t *testing.T) {
	for name, breakIt := range map[string]func(w *world){
		"keys":            func(w *world) { w.signer.Keys = panics{w.signer.Keys} },
		"store, parallel": func(w *world) { w.signer.Public = statPanics{w.public} },
	} {
		t.Run(name, func(t *testing.T) {
			w := published(t)
			submission, id := w.leave("b", "2")
			before := contents(t, w.public)
			w.restart()
			breakIt(w)
			if c := w.counts(schedule); c.Refused != 1 {
				t.Errorf("%+v", c)
			}
			r := w.receipt(id)
			if r.Refused == nil || strings.Contains(r.Refused.Error+r.Refused.Hint, "\n") || strings.Contains(r.Refused.Error, "nil pointer") {
				t.Errorf("receipt %+v, want a refusal without internals", r.Refused)
			}
			aside := repo.QuarantineKey(scripts, submission)
			if _, ok := contents(t, w.private)[aside]; !ok {
				t.Errorf("%s is not there", aside)
			}
			w.wantLogged("goroutine ") // the stack
			if !strings.Contains(w.metrics.String(), `"Quarantined":1`) {
				t.Errorf("not counted:\n%s", w.metrics)
			}
			if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
				t.Errorf("the public store changed:\n%s", diff)
			}
			w.restart()
			w.publish("c", "3")
			w.wantWaiting(0)
			w.wantSound()
		})
	}
}

// TestPanicInRefresh is one collection's affair.
func TestPanicInRefresh(t *testing.T) {
	w := published(t)
	w.now = w.now.Add(8 * 24 * time.Hour)
	w.restart()
	w.signer.Keys = panics{w.signer.Keys}
	if answer, err := w.handle(refreshAll); err == nil || !strings.Contains(err.Error(), "1 failed: refresh "+scripts+": internal error") {
		t.Errorf("%s %v", answer, err)
	}
}

// TestServiceDown: a key service that is out of order is nobody's fault.
func TestServiceDown(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	w.restart()
	w.service.err = errors.New("ThrottlingException")
	for _, event := range []string{commitEvent(submission), schedule} {
		if answer, err := w.handle(event); err == nil || !strings.Contains(err.Error(), "Throttling") {
			t.Errorf("%s: %s %v", event, answer, err)
		}
	}
	w.wantWaiting(1)
	w.service.err = nil
	w.counts(schedule)
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
}

// TestTargetsOutOfReach: that a target cannot be looked at says nothing against
// the submission.
func TestTargetsOutOfReach(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	faults := storagetest.NewFaults(w.public, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "STAT" && strings.Contains(r.Key, "/targets/") {
			return storagetest.Lost
		}
		return storagetest.None
	})
	w.restartWith(faults.Store(), w.private)
	if answer, err := w.handle(commitEvent(submission)); !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("%s %v", answer, err)
	}
	w.wantWaiting(1)
	w.restart()
	w.counts(schedule)
	if r := w.receipt(id); r.Refused != nil {
		t.Errorf("%+v", r.Refused)
	}
}

// TestForeignKeys: of a collection whose keys somebody else holds, submissions
// are refused, and it is not refreshed.
func TestForeignKeys(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	empty := storage.NewMemory()
	for key, data := range contents(t, w.private) {
		// The collection is found, with keys of before, and with nothing of this root.
		if key != repo.PublishedKey(scripts) {
			w.put(empty, strings.NewReplacer("/keys/snapshot/", "/keys/snapshot/0", "/keys/timestamp/", "/keys/timestamp/0").Replace(key), data)
		}
	}
	w.restartWith(w.public, empty)
	w.now = w.now.Add(8 * 24 * time.Hour)
	if c := w.counts(refreshAll); c.Collections != 1 || c.Refreshed != 0 {
		t.Errorf("%+v", c)
	}
	w.wantLogged("somebody else's")
	if _, err := w.handle(commitEvent(submission)); err != nil {
		t.Fatal(err)
	}
	w.private = empty
	if r := w.receipt(id); r.Refused == nil || !strings.Contains(r.Refused.Error, "not this signer") {
		t.Errorf("%+v", r)
	}
}

// TestDeadline: a run that has no time left does nothing and says so.
func TestDeadline(t *testing.T) {
	w := published(t)
	_, id := w.leave("b", "2")
	w.now = w.now.Add(8 * 24 * time.Hour)
	before := contents(t, w.public)
	ctx, cancel := context.WithTimeout(t.Context(), lambda.DefaultMargin-time.Second)
	defer cancel()
	hint := records(s3Record("inbox", submissionKey(ulidA), created))
	for _, event := range []string{schedule, refreshAll, hint} {
		answer, err := w.signer.Handle(ctx, []byte(event))
		if err != nil || !strings.Contains(string(answer), `"unfinished":true`) {
			t.Errorf("%s: %s %v", event, answer, err)
		}
	}
	answer, err := w.signer.Handle(ctx, []byte(records(queued("1", hint, 1))))
	if want := `{"batchItemFailures":[{"itemIdentifier":"1"}]}`; err != nil || string(answer) != want {
		t.Errorf("%s %v, want %s", answer, err, want)
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Errorf("the public store changed:\n%s", diff)
	}
	if c := w.counts(schedule); c.Committed != 1 || c.Refreshed != 1 || c.Unfinished {
		t.Errorf("with time: %+v", c)
	}
	w.receipt(id)
}

// TestClock: by a clock that is off nothing is signed.
func TestClock(t *testing.T) {
	for _, tt := range []struct {
		off time.Duration
		ok  bool
	}{{0, true}, {5 * time.Minute, true}, {-5 * time.Minute, true}, {5*time.Minute + time.Second, false}, {-time.Hour, false}} {
		for name, which := range map[string]func(w *world) storage.Store{
			"public":  func(w *world) storage.Store { return w.public },
			"private": func(w *world) storage.Store { return w.private },
		} {
			t.Run(fmt.Sprint(name, tt.off), func(t *testing.T) {
				w := published(t)
				submission, _ := w.leave("b", "2")
				dated := storage.NewMemory()
				dated.Date = func() time.Time { return w.now.Add(tt.off) }
				for key, data := range contents(t, which(w)) {
					w.put(dated, key, data)
				}
				if name == "public" {
					w.restartWith(dated, w.private)
				} else {
					w.restartWith(w.public, dated)
				}
				answer, err := w.handle(commitEvent(submission))
				var clock *lambda.ClockError
				if tt.ok && err != nil || !tt.ok && !errors.As(err, &clock) {
					t.Errorf("%s %v", answer, err)
				}
				if !tt.ok {
					w.wantWaiting(1)
				}
			})
		}
	}
}

// TestTampered: content that does not verify is not built upon; what waits is
// answered when it is repaired.
func TestTampered(t *testing.T) {
	for _, tt := range []struct{ name, key, content string }{
		{"garbage in timestamp.json", repo.TimestampKey(scripts), "garbage"},
		{"no timestamp.json", repo.TimestampKey(scripts), ""},
		{"no snapshot", repo.SlotKey(scripts, tuf.RoleSnapshot, 1), ""},
		{"no first root", repo.SlotKey(scripts, tuf.RoleRoot, 1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := published(t)
			w.leave("b", "2")
			w.now = w.now.Add(8 * 24 * time.Hour)
			bad := storage.NewMemory()
			for key, data := range contents(t, w.public) {
				if key == tt.key {
					data = tt.content
				}
				if data != "" {
					w.put(bad, key, data)
				}
			}
			w.restartWith(bad, w.private)
			if answer, err := w.handle(`{"action":"refresh","collection":"` + scripts + `"}`); err == nil {
				t.Errorf("refreshed: %s", answer)
			}
		})
	}
}

// TestForgedHint: what timestamp.json says of itself does not put a refresh off
// beyond its expiry.
func TestForgedHint(t *testing.T) {
	w := published(t)
	forged := storage.NewMemory()
	for key, data := range contents(t, w.public) {
		if key == repo.TimestampKey(scripts) {
			data = strings.Replace(data, `"refresh_after":"2026-`, `"refresh_after":"2099-`, 1)
		}
		w.put(forged, key, data)
	}
	w.restartWith(forged, w.private)
	w.now = w.now.Add(15 * 24 * time.Hour)
	var tampered *repo.VerifyError
	if answer, err := w.handle(`{"action":"refresh","collection":"` + scripts + `"}`); !errors.As(err, &tampered) {
		t.Errorf("%s %v, want a VerifyError", answer, err)
	}
}

// TestMetrics: each line is CloudWatch's embedded metric format, and tells the
// expiry of every top-level role.
func TestMetrics(t *testing.T) {
	w := published(t)
	roles := map[string]float64{}
	for line := range strings.Lines(w.metrics.String()) {
		var m struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
			Collection, Role string
			SecondsToExpiry  float64
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m.AWS.Timestamp != w.now.UnixMilli() || m.AWS.CloudWatchMetrics[0].Namespace != lambda.Namespace || m.Collection != scripts {
			t.Errorf("%s", line)
		}
		if m.Role != "" {
			roles[m.Role] = m.SecondsToExpiry
		}
	}
	const day = 24 * 3600
	if diff := cmp.Diff(map[string]float64{"root": 730 * day, "targets": 365 * day, "snapshot": 30 * day, "timestamp": 14 * day}, roles); diff != "" {
		t.Error(diff)
	}
}

// TestMeasure: others than those that are measured are watched all the same.
func TestMeasure(t *testing.T) {
	for measured, want := range map[string]bool{scripts: true, "example.com/other": false} {
		w := published(t)
		w.restart()
		watched := 0
		w.signer.Measure = func(collection string) bool { return collection == measured }
		w.signer.Watch = func(lambda.Metric) { watched++ }
		w.now = w.now.Add(8 * 24 * time.Hour)
		if _, err := w.handle(`{"action":"refresh"}`); err != nil {
			t.Fatal(err)
		}
		if got := w.metrics.String() != ""; got != want || watched == 0 {
			t.Errorf("of %s measured it writes metrics: %t, %d are watched", measured, got, watched)
		}
	}
}

// TestGenesisRefusedIsForgotten: a root that was refused with its submission is
// not where trust in the name starts, in this instance or in another.
func TestGenesisRefusedIsForgotten(t *testing.T) {
	w := newWorld(t)
	squatter := w.newOwner(scripts)
	for _, o := range []interface{ Create(context.Context) error }{squatter, w.owner} {
		if err := o.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sub := &repo.Submission{Collection: scripts, Files: map[string][]byte{"root": squatter.Root(), "targets": []byte("{}")}}
	if err := (repo.Inbox{Store: w.private, Collection: scripts}).Leave(t.Context(), ulidA, sub); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(schedule); c.Refused != 1 {
		t.Errorf("%+v", c)
	}
	if all := contents(t, w.public); len(all) != 0 {
		t.Errorf("something was written: %v", all)
	}
	w.publish("a", "1")
	w.wantSound()
}

// listPanics fails where nothing is known yet of what it is about.
type listPanics struct{ storage.Store }

func (listPanics) List(context.Context, string) iter.Seq2[storage.Entry, error] { panic("no list") }

// TestPanicOfARun is an error, and nothing more.
func TestPanicOfARun(t *testing.T) {
	w := published(t)
	w.restartWith(w.public, listPanics{w.private})
	if answer, err := w.handle(schedule); err == nil || err.Error() != "internal error: no list" {
		t.Errorf("%s %v", answer, err)
	}
	w.wantLogged("goroutine ")
}

// TestManyTargets: what takes a function too long is refused before it is begun,
// and half of it is not.
func TestManyTargets(t *testing.T) {
	w := published(t)
	many := map[string]string{}
	for n := range 20_001 {
		many[fmt.Sprintf("f/%05d", n)] = "x"
	}
	_, err := w.owner.Publish(t.Context(), many)
	var rejection *repo.Rejection
	if !errors.As(err, &rejection) || !strings.Contains(err.Error(), "20001 new targets, at most 20000") || !strings.Contains(err.Error(), "publisher reset "+scripts) {
		t.Errorf("%v", err)
	}
	for n := range 10_001 {
		delete(many, fmt.Sprintf("f/%05d", n))
	}
	if _, err := w.owner.Publish(t.Context(), many); err != nil {
		t.Errorf("%d targets: %v", len(many), err)
	}
}
