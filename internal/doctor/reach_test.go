package doctor_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"publisher/internal/doctor"
	"publisher/storage"
)

// away is a store that answers nothing but what ends so, with this, after a while.
type away struct {
	*storage.Memory
	but    string
	answer func(context.Context) error
	lists  bool
}

func denied(context.Context) error { return fmt.Errorf("%w: no AWS credentials", fs.ErrPermission) }

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s away) Get(ctx context.Context, key string) (storage.Object, error) {
	if s.but != "" && strings.HasSuffix(key, s.but) {
		return s.Memory.Get(ctx, key)
	}
	return storage.Object{}, s.answer(ctx)
}

func (s away) Stat(ctx context.Context, key string) (storage.Info, error) {
	if s.but != "" && strings.HasSuffix(key, s.but) {
		return s.Memory.Stat(ctx, key)
	}
	return storage.Info{}, s.answer(ctx)
}

func (s away) Put(ctx context.Context, _ string, _ io.ReadSeeker, _ storage.Version) (storage.Version, error) {
	return storage.Absent, s.answer(ctx)
}

func (s away) List(ctx context.Context, prefix string) iter.Seq2[storage.Entry, error] {
	if s.lists {
		return s.Memory.List(ctx, prefix)
	}
	return func(yield func(storage.Entry, error) bool) { yield(storage.Entry{}, s.answer(ctx)) }
}

// TestAway: of a store that does not answer, or not these credentials, there is one
// finding, and what can be seen from outside is looked at.
func TestAway(t *testing.T) {
	for name, row := range map[string]struct {
		answer   func(context.Context) error
		what, do string
	}{
		"denied": {denied, "the store s3://public cannot be read: permission denied: no AWS credentials", "publisher doctor https://127.0.0.1"},
		"hangs":  {hang, "the store s3://public cannot be read: no answer within 2s", "look at the server"},
		"gone":   {func(context.Context) error { return storage.ErrNoStore }, "the store s3://public cannot be read: the store does not exist", "publisher trust set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t)
			w.outsideToo()
			w.p.Patience = 4 * time.Second
			w.p.Store, w.p.Inbox = away{Memory: w.store, answer: row.answer}, away{Memory: w.inbox, answer: row.answer}
			r, err := w.p.Examine(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0].What, row.what) || !strings.Contains(r.Findings[0].Do, row.do) {
				t.Errorf("found %+v", r.Findings)
			}
			for _, check := range []string{"next root", "bytes are as signed", "promises", "signer answers"} {
				if !slices.Contains(r.Passed, check) {
					t.Errorf("%s is not among %q", check, r.Passed)
				}
			}
			w.serve = reset
			w.p.Base = ""
			if r, err = w.p.Examine(t.Context()); err != nil || len(r.Findings) != 1 || r.Findings[0].Check != "store answers" {
				t.Errorf("without a URL: %+v, %v", r.Findings, err)
			}
		})
	}
}

// TestInboxAway: nor does an inbox hide what is wrong with the store.
func TestInboxAway(t *testing.T) {
	w := newWard(t)
	w.p.Inbox = away{Memory: w.inbox, answer: denied}
	w.p.Store = onlyProbes{w.store, "timestamp.json"}
	r, err := w.p.Examine(t.Context())
	if err != nil || !slices.EqualFunc(r.Findings, []string{"inbox answers", "metadata is the signer's"}, func(f doctor.Finding, check string) bool { return f.Check == check }) {
		t.Errorf("found %+v, %v", r.Findings, err)
	}
}

// TestHangs: a store that stops to answer is given up, and the examination ends.
func TestHangs(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.p.Patience = 3 * time.Second
	w.p.Store = away{Memory: w.store, but: ".root.json", answer: hang}
	began := time.Now()
	r, err := w.p.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool {
		return strings.Contains(f.What, "s3://public: timeout: not done after 3s")
	}) {
		t.Errorf("found %+v", r.Findings)
	}
	if !slices.ContainsFunc(r.Skipped, func(s doctor.Skipped) bool {
		return s.Why == "the store s3://public does not answer any more"
	}) {
		t.Errorf("skipped %+v", r.Skipped)
	}
}
