package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// This file is what a signer does not do where it cannot know enough.

// failing is a store that loses the requests of a method for keys with a prefix.
func failing(s storage.Store, method, prefix string) storage.Store {
	return storagetest.NewFaults(s, func(r storagetest.Request) storagetest.Fault {
		if r.Method == method && strings.HasPrefix(r.Key, prefix) {
			return storagetest.Lost
		}
		return storagetest.None
	}).Store()
}

// TestRenewOfNothing: a timestamp is renewed of what is published only.
func TestRenewOfNothing(t *testing.T) {
	newWorld(t).wantRefused(`{"action":"renew","collection":"example.com/none"}`, "example.com/none is not published")
}

// TestCosignRefused: to whoever asks with a root that is none, or from a version
// that is not the published one, or for keys of others, nothing is signed.
func TestCosignRefused(t *testing.T) {
	w := published(t)
	ask := func(root, snapshot []byte) string {
		text, err := json.Marshal(lambda.Request{Action: lambda.ActionCosign, Collection: scripts, Root: root, Snapshot: snapshot})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	w.wantRefused(ask([]byte("{}"), []byte("{}")), "not cosigned: submission refused: root: ")
	w.wantRefused(ask(w.owner.Root(), []byte("{}")), "not cosigned: ")
	root, err := tuf.Parse[tuf.Root](w.owner.Root(), repo.MaxRoot)
	if err != nil {
		t.Fatal(err)
	}
	root.Signed.Version, root.Signed.Publisher.Parent = 2, forge.Sum("another")
	ring := forge.Ring{}
	stale := forge.Signed(t, ring, root.Signed, ring.Generate(t).ID()).Bytes()
	w.wantRefused(ask(stale, []byte("{}")), "not cosigned: "+(&repo.StaleError{Role: tuf.RoleRoot}).Error())
}

// TestRefreshWithoutRoot: a collection with a timestamp and no first root is
// damaged.
func TestRefreshWithoutRoot(t *testing.T) {
	w := published(t)
	w.now = w.now.Add(16 * day)
	w.public = w.copyOf(w.public, func(key, data string) (string, bool) { return data, !strings.HasSuffix(key, ".root.json") })
	w.remove(repo.PublishedKey(scripts))
	w.restart()
	answer, err := w.handle(refreshScripts)
	if !errors.As(err, new(*repo.VerifyError)) || !strings.Contains(err.Error(), "verify 1.root.json: ") {
		t.Errorf("%s %v", answer, err)
	}
}

// TestCommitWithoutTimestamp: where timestamp.json is gone, a submission is not
// taken for the first.
func TestCommitWithoutTimestamp(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	w.public = w.copyOf(w.public, func(key, data string) (string, bool) { return data, key != repo.TimestampKey(scripts) })
	w.restart()
	before := contents(t, w.public)
	answer, err := w.handle(commitEvent(submission))
	if !errors.As(err, new(*repo.VerifyError)) || !strings.Contains(err.Error(), "timestamp.json: it is gone") {
		t.Errorf("%s %v", answer, err)
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Error(diff)
	}
}

// halting is a store whose timestamp.json ends in an error.
type halting struct{ *storage.Memory }

var errHalt = errors.New("halt")

func (h halting) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := h.Memory.Get(ctx, key)
	if err == nil && key == repo.TimestampKey(scripts) {
		obj.Body = io.NopCloser(io.MultiReader(io.LimitReader(obj.Body, 10), errReader{}))
	}
	return obj, err
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errHalt }

// TestTimestampCutOff: an answer that ends in an error is not what is published.
func TestTimestampCutOff(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	w.restartWith(halting{w.copyOf(w.public, everything).(*storage.Memory)}, w.private)
	if answer, err := w.handle(commitEvent(submission)); !errors.Is(err, errHalt) || !strings.Contains(err.Error(), "read timestamp.json: ") {
		t.Errorf("%s %v", answer, err)
	}
}

// TestSeenMalformed: a note that cannot be read does not pass for none.
func TestSeenMalformed(t *testing.T) {
	for _, text := range []string{"", "{}"} {
		w := published(t)
		submission, _ := w.leave("b", "2")
		w.remove(repo.PublishedKey(scripts))
		w.put(w.private, repo.PublishedKey(scripts), text)
		w.restart()
		if answer, err := w.handle(commitEvent(submission)); err == nil || !strings.Contains(err.Error(), "read "+repo.PublishedKey(scripts)+": ") {
			t.Errorf("%q: %s %v", text, answer, err)
		}
	}
}

// TestSeenNeverOlder: of two signers that publish one behind the other, the first
// one's note does not replace the second one's.
func TestSeenNeverOlder(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	done := false
	faults := storagetest.NewFaults(w.private, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "PUT" && r.Key == repo.PublishedKey(scripts) && !done {
			done = true
			other := *w
			other.restart()
			other.owner = w.owner.Colleague()
			other.owner.Invoke = other.signer.Handle
			other.publish("c", "3")
		}
		return storagetest.None
	})
	w.restartWith(w.public, faults.Store())
	if answer, err := w.handle(commitEvent(submission)); err != nil {
		t.Fatalf("%s %v", answer, err)
	}
	if note := contents(t, w.private)[repo.PublishedKey(scripts)]; note != `{"root":1,"timestamp":3}` || !done {
		t.Errorf("the note says %s", note)
	}
}

// TestReceiptUnread: as long as nobody can tell whether a submission is answered,
// it is not committed.
func TestReceiptUnread(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	before := contents(t, w.public)
	w.restartWith(w.public, failing(w.private, "GET", scripts+"/receipts/"))
	if answer, err := w.handle(commitEvent(submission)); !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("%s %v", answer, err)
	}
	if diff := cmp.Diff(before, contents(t, w.public)); diff != "" {
		t.Error(diff)
	}
}

// TestListsFail: what could not be listed is counted as failed.
func TestListsFail(t *testing.T) {
	for prefix, says := range map[string]string{scripts + "/submissions/": "list " + scripts, "": "look through the inbox for collections"} {
		w := published(t)
		w.restartWith(w.public, storagetest.NewFaults(w.private, func(r storagetest.Request) storagetest.Fault {
			if r.Method == "LIST" && r.Key == prefix {
				return storagetest.Lost
			}
			return storagetest.None
		}).Store())
		if answer, err := w.handle(schedule); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %s %v", prefix, answer, err)
		}
	}
}

// TestSubmissionWithoutKeys: a submission of a collection whose keys are gone is told so, and
// not that a newer root names others.
func TestSubmissionWithoutKeys(t *testing.T) {
	w := published(t)
	submission, id := w.leave("b", "2")
	w.private = w.copyOf(w.private, func(key, data string) (string, bool) {
		return data, !strings.HasPrefix(key, repo.OnlineKeysDir(scripts, tuf.RoleSnapshot)) && !strings.HasPrefix(key, repo.OnlineKeysDir(scripts, tuf.RoleTimestamp))
	})
	w.restart()
	if answer, err := w.handle(commitEvent(submission)); err != nil {
		t.Fatalf("%s %v", answer, err)
	}
	if r := w.receipt(id); r.Refused == nil || !strings.Contains(r.Refused.Error, "the signer does not hold enough of its keys") {
		t.Errorf("%+v", r)
	}
}

// TestKeyNotWritten: a key that could not be stored is not told to anybody.
func TestKeyNotWritten(t *testing.T) {
	w := newWorld(t)
	w.restartWith(w.public, failing(w.private, "PUT", repo.OnlineKeysDir(scripts, tuf.RoleSnapshot)))
	if answer, err := w.handle(`{"action":"keys","collection":"` + scripts + `"}`); !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("%s %v", answer, err)
	}
}

// misdated is a store of which one kind of answer has the wrong date.
type misdated struct {
	*storage.Memory
	get, stat time.Duration
}

func (m misdated) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := m.Memory.Get(ctx, key)
	obj.Date = m.Now().Add(m.get)
	return obj, err
}

func (m misdated) Stat(ctx context.Context, key string) (storage.Info, error) {
	info, err := m.Memory.Stat(ctx, key)
	info.Date = m.Now().Add(m.stat)
	return info, err
}

// TestClockOfEachAnswer: whichever answer has a date that is off, nothing is
// signed.
func TestClockOfEachAnswer(t *testing.T) {
	for name, off := range map[string]misdated{"Get": {get: 6 * time.Minute}, "Stat": {stat: -6 * time.Minute}} {
		w := published(t)
		submission, _ := w.leave("b", "2")
		off.Memory = w.copyOf(w.public, everything).(*storage.Memory)
		before := contents(t, off.Memory)
		w.restartWith(off, w.private)
		if answer, err := w.handle(commitEvent(submission)); !errors.As(err, new(*lambda.ClockError)) {
			t.Errorf("%s: %s %v", name, answer, err)
		}
		if got := contents(t, off.Memory); got[repo.TimestampKey(scripts)] != before[repo.TimestampKey(scripts)] {
			t.Errorf("%s: it is published", name)
		}
	}
}

// TestScheduleOfOthers: what only looks like the schedule is none.
func TestScheduleOfOthers(t *testing.T) {
	w := published(t)
	w.wantRefused(`{"source":"elsewhere","detail-type":"Scheduled Event"}`, fmt.Sprintf("source %q", "elsewhere"))
}
