package lambda_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
	"publisher/storage"
)

// copyOf is a store with the objects that pass, each perhaps changed.
func (w *world) copyOf(s storage.Store, pass func(key, data string) (string, bool)) storage.Store {
	w.t.Helper()
	m := w.newStore()
	for key, data := range contents(w.t, s) {
		if data, ok := pass(key, data); ok {
			w.put(m, key, data)
		}
	}
	return m
}

func everything(_, data string) (string, bool) { return data, true }

const refreshScripts = `{"action":"refresh","collection":"` + scripts + `"}`

// TestRestoredStore: an instance that starts after the public store was restored
// from yesterday does not go on from there, until somebody has it forget what it
// published.
func TestRestoredStore(t *testing.T) {
	w := published(t)
	yesterday := w.copyOf(w.public, everything)
	w.publish("b", "2")
	w.public = yesterday
	w.restart()
	w.now = w.now.Add(16 * day)
	var tampered *repo.VerifyError
	if answer, err := w.handle(refreshScripts); !errors.As(err, &tampered) || !strings.Contains(err.Error(), "was there before") {
		t.Errorf("%s %v", answer, err)
	}
	submission, id, err := w.owner.Colleague().Leave(t.Context(), map[string]string{"c": "3"})
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, w.public)
	if answer, err := w.handle(commitEvent(submission)); !errors.As(err, &tampered) {
		t.Errorf("%s %v", answer, err)
	}
	if c := w.counts(schedule); c.Lost != 2 || c.Failed != 0 || c.Refreshed != 0 || !strings.Contains(strings.Join(c.Errors, "\n"), "lost "+scripts) {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Errorf("the public store changed: %s", diff)
	}
	w.wantWaiting(1)
	w.remove(repo.PublishedKey(scripts))
	w.restart()
	if c := w.counts(schedule); c.Lost != 0 || c.Refreshed != 1 {
		t.Errorf("%+v", c)
	}
	w.receipt(id)
}

// TestLost: a collection that was published and is gone is named, and the run
// goes on and does not fail. One that was not published yet is not even named.
func TestLost(t *testing.T) {
	gone := func(what ...string) func(key, data string) (string, bool) {
		return func(key, data string) (string, bool) {
			for _, suffix := range what {
				if strings.HasPrefix(key, scripts+"/metadata/") && strings.HasSuffix(key, suffix) {
					return "", false
				}
			}
			return data, true
		}
	}
	for _, tt := range []struct {
		name  string
		pass  func(key, data string) (string, bool)
		never bool // it was published
		lost  bool
	}{
		{"timestamp.json", gone("timestamp.json"), false, true},
		{"everything", gone(".json"), false, true},
		{"the first root", gone("1.root.json"), false, true},
		{"timestamp.json, never there", gone("timestamp.json"), true, false},
		{"everything, never there", gone(".json"), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := published(t)
			const other = "example.com/zoo"
			o := w.newOwner(other)
			if err := o.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := o.Publish(t.Context(), map[string]string{"a": "1"}); err != nil {
				t.Fatal(err)
			}
			w.restartWith(w.copyOf(w.public, tt.pass), w.private)
			if tt.never {
				w.remove(repo.PublishedKey(scripts))
			}
			w.now = w.now.Add(16 * day)
			c := w.counts(schedule)
			if c.Refreshed != 1 || c.Failed != 0 || (c.Lost == 1) != tt.lost || (len(c.Errors) == 1) != tt.lost {
				t.Errorf("%+v", c)
			}
			if got := strings.Contains(w.log.String(), "collection lost") && strings.Contains(w.metrics.String(), `"Lost":1`); got != tt.lost {
				t.Errorf("said to be lost: %v", got)
			}
		})
	}
}

// TestGenesisOfLost: nobody starts a collection again by accident that is gone.
func TestGenesisOfLost(t *testing.T) {
	w := published(t)
	w.public = w.newStore()
	w.restart()
	again := w.newOwner(scripts)
	if err := again.Create(t.Context()); err == nil || !strings.Contains(err.Error(), "was there before") {
		t.Errorf("%v", err)
	}
}

// TestNotes: what a note says is compared with what is there.
func TestNotes(t *testing.T) {
	for _, tt := range []struct{ name, note, says string }{
		{"as it is", `{"root":1,"timestamp":1}`, ""},
		{"a root that is gone", `{"root":2,"timestamp":1}`, "verify 2.root.json: it is gone"},
		{"a newer timestamp", `{"root":1,"timestamp":3}`, "verify timestamp.json: version 1, but version 3"},
		{"a newer timestamp below an older root", `{"root":0,"timestamp":3}`, ""},
		{"none", "", ""},
		{"not a note", `{"root":"1"}`, "read _signer/published/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := published(t)
			w.remove(repo.PublishedKey(scripts))
			if tt.note != "" {
				w.put(w.private, repo.PublishedKey(scripts), tt.note)
			}
			w.restart()
			w.now = w.now.Add(16 * day)
			answer, err := w.handle(refreshScripts)
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%s %v, want %q", answer, err, tt.says)
			}
		})
	}
}

// TestNotesGrow: each commit notes what it has published; a refresh does where
// nothing is noted; an older instance does not take it back.
func TestNotesGrow(t *testing.T) {
	w := published(t)
	want := func(note string) {
		t.Helper()
		if got := contents(t, w.private)[repo.PublishedKey(scripts)]; got != note {
			t.Errorf("noted: %s, want %s", got, note)
		}
	}
	want(`{"root":1,"timestamp":1}`)
	old := w.signer
	w.restart()
	w.publish("b", "2")
	want(`{"root":1,"timestamp":2}`)
	w.now = w.now.Add(16 * day)
	w.counts(refreshAll)
	want(`{"root":1,"timestamp":2}`) // that would be one write more for each
	w.remove(repo.PublishedKey(scripts))
	w.restart()
	w.now = w.now.Add(16 * day)
	w.counts(refreshAll)
	want(`{"root":1,"timestamp":4}`)
	w.publish("c", "3")
	want(`{"root":1,"timestamp":5}`)
	submission, _ := w.leave("d", "4")
	if _, err := old.Handle(t.Context(), []byte(commitEvent(submission))); err != nil {
		t.Fatal(err)
	}
	want(`{"root":1,"timestamp":6}`)
}

// TestTimestampTooLarge: what is too large to be a timestamp.json is refused with
// or without a note.
func TestTimestampTooLarge(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	w.restartWith(w.copyOf(w.public, func(key, data string) (string, bool) {
		if key == repo.TimestampKey(scripts) {
			data += strings.Repeat(" ", repo.MaxTimestamp)
		}
		return data, true
	}), w.private)
	if answer, err := w.handle(commitEvent(submission)); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("%s %v", answer, err)
	}
}
