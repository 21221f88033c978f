package repo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"publisher/repo"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// newAgainWorld is one in which "again" was published once, and has lain in the
// store as garbage for long.
func newAgainWorld(t *testing.T) *world {
	w := newGarbageWorld(t)
	w.mustPublish(add("first", "first"))
	w.mustPublish(add("again", "again"))
	w.mustPublish(remove("again"))
	w.days(33)
	return w
}

var againKey = repo.TargetKey(collection, "again", sum("again"))

// markAgain leaves the mark of a collection that removes "again".
func (w *world) markAgain() {
	w.put(w.store, repo.GarbageKey(collection), fmt.Sprintf(`{"collection":%q,"keys":[%q]}`, collection, againKey))
}

// TestPublishBesideCollection: whenever garbage collection takes what a publish has
// found in the store, the publish comes through by itself.
func TestPublishBesideCollection(t *testing.T) {
	for at, collected := 0, true; collected; at++ {
		w := newAgainWorld(t)
		collected = false
		store, other := w.store, w.with(t, w.store, w.newCache())
		w.store = w.onRequest(at+1, func() storagetest.Fault {
			collected = true
			if _, err := other.collect(); err != nil {
				t.Errorf("collect at request %d: %v", at, err)
			}
			return storagetest.None
		}).Store()
		if _, err := w.publish(add("again", "again")); err != nil {
			t.Errorf("publish beside a collection at request %d: %v", at, err)
		}
		w.store = store
		w.mustBeClean()
		if w.targets()["again"] == "" {
			t.Errorf("collection at request %d: the target is lost", at)
		}
		if !collected && at < 6 {
			t.Fatalf("a publish makes %d requests", at)
		}
	}
}

// TestPublishOutlastsCollection waits for a collection that is under way, and sends
// what that has removed.
func TestPublishOutlastsCollection(t *testing.T) {
	w := newAgainWorld(t)
	w.markAgain()
	p, pauses := w.publisher(), 0
	p.Pause = func(_ context.Context, going *repo.CollectedError, d time.Duration) error {
		if going.Name != "again" || !going.Since.Equal(w.now) || d <= 0 {
			t.Errorf("paused for %v because of %v", d, going)
		}
		if pauses++; pauses == 3 {
			w.mustCollect()
		}
		return nil
	}
	if _, err := p.Publish(t.Context(), []repo.Change{add("again", "again")}); err != nil || pauses != 3 {
		t.Errorf("after %d pauses: %v", pauses, err)
	}
	w.mustBeClean()
}

// TestPublishGivesUpOnCollection: one that does not end is waited for for a while,
// one that has died not at all, and who is interrupted waits no more.
func TestPublishGivesUpOnCollection(t *testing.T) {
	w := newAgainWorld(t)
	w.markAgain()
	p, pauses, total := w.publisher(), 0, time.Duration(0)
	p.Pause = func(_ context.Context, _ *repo.CollectedError, d time.Duration) error {
		pauses, total = pauses+1, total+d
		return nil
	}
	publish := func(ctx context.Context) error {
		pauses = 0
		_, err := p.Publish(ctx, []repo.Change{add("again", "again")})
		return err
	}
	var going *repo.CollectedError
	if err := publish(t.Context()); !errors.As(err, &going) || pauses == 0 || total < time.Minute || total > 5*time.Minute {
		t.Errorf("after %d pauses, %v together: %v", pauses, total, err)
	}
	p.Pause = func(context.Context, *repo.CollectedError, time.Duration) error { return context.Canceled }
	if err := publish(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	since := w.now.Format(time.RFC3339)
	w.now = w.now.Add(time.Hour)
	p.Pause = func(context.Context, *repo.CollectedError, time.Duration) error {
		t.Error("it waits for a collection that began an hour ago")
		return nil
	}
	if err := publish(t.Context()); !errors.As(err, &going) || !strings.HasSuffix(err.Error(), "being removed by garbage collection, since "+since) {
		t.Error(err)
	}
}

// TestPublishWaitsByItself: without anybody to do it for them, a publish waits by a
// timer, and no longer than it is let.
func TestPublishWaitsByItself(t *testing.T) {
	w := newAgainWorld(t)
	w.markAgain()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := w.publisher()
	commit, commits, before := p.Commit, 0, cancel
	p.Commit = func(ctx context.Context, base *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		receipt, err := commit(ctx, base, sub)
		commits++
		before()
		return receipt, err
	}
	if _, err := p.Publish(ctx, []repo.Change{add("again", "again")}); !errors.Is(err, context.Canceled) || commits != 1 {
		t.Errorf("interrupted after %d commits: %v", commits, err)
	}
	before = func() {
		if commits == 2 {
			w.mustCollect()
		}
	}
	if _, err := p.Publish(t.Context(), []repo.Change{add("again", "again")}); err != nil {
		t.Errorf("after %d commits: %v", commits, err)
	}
	w.mustBeClean()
}

// byReceipt is a commit by receipts, as that of an online signer: what is refused
// once stays refused.
type byReceipt struct {
	w   *world
	box repo.Inbox
	ids []string
}

func (a *byReceipt) commit(ctx context.Context, _ *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
	a.ids = append(a.ids, sub.ID())
	r, err := a.box.Receipt(ctx, sub.ID())
	if errors.Is(err, fs.ErrNotExist) {
		receipt, commitErr := a.w.committer().Commit(ctx, nil, sub)
		if r, err = repo.Answered(sub, receipt, commitErr); err == nil {
			r, err = a.box.Answer(ctx, r)
		}
	}
	if err != nil {
		return nil, err
	}
	return r, r.Err()
}

// TestPublishSendsWhatVanished: where a receipt says that a target has vanished it
// is sent again, with another submission: the first one stays refused.
func TestPublishSendsWhatVanished(t *testing.T) {
	w := newAgainWorld(t)
	a := &byReceipt{w: w, box: repo.Inbox{Store: storage.NewMemory(), Collection: collection}}
	p := w.publisher()
	p.Store = w.store // which has no memory of what was sent
	lose := 2
	p.Commit = func(ctx context.Context, base *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		if lose--; lose >= 0 {
			w.lose(w.store, againKey)
		}
		return a.commit(ctx, base, sub)
	}
	done, err := p.Publish(t.Context(), []repo.Change{add("again", "again")})
	if err != nil || done.Receipt == nil {
		t.Fatalf("after %d submissions: %v", len(a.ids), err)
	}
	if len(a.ids) != 3 || a.ids[0] == a.ids[1] || a.ids[1] == a.ids[2] {
		t.Errorf("submitted were %q", a.ids)
	}
	w.mustBeClean()
	lose = 100
	_, err = p.Publish(t.Context(), []repo.Change{remove("again"), add("other", "again")})
	if err != nil {
		t.Fatal(err) // of "other" nothing is lost
	}
}

// TestPublishGivesUpOnVanished: what cannot be sent again, or vanishes again and
// again, is told.
func TestPublishGivesUpOnVanished(t *testing.T) {
	w := newAgainWorld(t)
	commits := 0
	missing := func(ctx context.Context, base *repo.View, sub *repo.Submission) (*repo.Receipt, error) {
		commits++
		return nil, &repo.Rejection{Role: "targets", Reason: &repo.MissingError{Name: "again"}}
	}
	p := w.publisher()
	p.Commit = missing
	_, err := p.Publish(t.Context(), []repo.Change{add("again", "again")})
	var gone *repo.MissingError
	if !errors.As(err, &gone) || commits < 2 || commits > 20 {
		t.Errorf("after %d commits: %v", commits, err)
	}
	commits = 0
	there := add("again", "again")
	there.Source = "" // said to be in the store
	if _, err := p.Publish(t.Context(), []repo.Change{there}); !errors.As(err, &gone) || commits != 1 {
		t.Errorf("without its bytes, after %d commits: %v", commits, err)
	}
}
