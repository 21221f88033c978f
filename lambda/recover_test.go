package lambda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/internal/forge"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage/storagetest"
)

// thief signs with the signer's own keys.
type thief struct{ w *world }

// Signer implements repo.Keyring.
func (t thief) Signer(ctx context.Context, role, keyID string) (signature.Signer, error) {
	var k lambda.Key
	data := contents(t.w.t, t.w.private)[repo.OnlineKeyKey(scripts, role, keyID)]
	if err := json.Unmarshal([]byte(data), &k); err != nil {
		return nil, err
	}
	return t.w.signer.Keys.Open(ctx, &k)
}

// TestRecover: somebody has opened the signer's keys, and announced a version of
// timestamp that none can follow. New keys bring the versions down again, for the
// signer that has seen it, and for one that starts later.
func TestRecover(t *testing.T) {
	w := published(t)
	w.publish("b", "2")
	if err := forge.Announce(t.Context(), w.public, scripts, thief{w}, forge.Highest); err != nil {
		t.Fatal(err)
	}
	if answer, err := w.handle(keysEvent); err != nil {
		t.Fatalf("%s, %v", answer, err)
	}
	if _, err := w.owner.Publish(t.Context(), map[string]string{"c": "3"}); err == nil || !strings.Contains(err.Error(), "no version can follow") {
		t.Errorf("a publish on top of it: %v", err)
	}
	if err := w.owner.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("c", "3")
	w.wantSound()
	w.restart()
	w.publish("d", "4")
	w.wantSound()
	w.wantTimestampBelow(1_000_000)
}

// wantTimestampBelow wants the versions of timestamp to have fallen.
func (w *world) wantTimestampBelow(most int64) {
	w.t.Helper()
	ts, err := tuf.Parse[tuf.Timestamp]([]byte(contents(w.t, w.public)[repo.TimestampKey(scripts)]), repo.MaxTimestamp)
	if err != nil {
		w.t.Fatal(err)
	}
	if n := ts.Signed.Version; n >= most {
		w.t.Errorf("timestamp %d", n)
	}
}

// followed is a world where a thief has announced a version of timestamp that no
// honest one reaches, and the signer has published on top of it, and noted that.
func followed(t *testing.T) *world {
	t.Helper()
	w := published(t)
	if err := forge.Announce(t.Context(), w.public, scripts, thief{w}, 1<<33); err != nil {
		t.Fatal(err)
	}
	w.publish("b", "2")
	if note := contents(t, w.private)[repo.PublishedKey(scripts)]; !strings.Contains(note, fmt.Sprint(1<<33+1)) {
		t.Fatalf("noted: %s", note)
	}
	return w
}

// TestRecoverCrash: a recovery is interrupted at any request, and done again, by
// the instance that has seen the high version and by one that starts later.
func TestRecoverCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long under the race detector")
	}
	for _, fault := range []storagetest.Fault{storagetest.Lost, storagetest.Killed} {
		reached := true
		for n := 1; reached; n++ {
			t.Run(fmt.Sprintf("request %d %v", n, fault), func(t *testing.T) {
				reached = false
				w := followed(t)
				reached = w.interruptRecovery(n, fault)
				if fault == storagetest.Killed {
					w.restart()
				}
				if err := w.owner.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.publish("c", "3")
				w.restart()
				w.publish("d", "4")
				w.wantSound()
				w.wantTimestampBelow(1_000_000)
			})
		}
	}
}

// interruptRecovery recovers with one request to the signer's stores broken, if
// there are that many.
func (w *world) interruptRecovery(n int, fault storagetest.Fault) (reached bool) {
	w.t.Helper()
	count := 0
	hook := func(storagetest.Request) storagetest.Fault {
		if count++; count != n {
			return storagetest.None
		}
		reached = true
		return fault
	}
	public, private := w.public, w.private
	w.public, w.private = storagetest.NewFaults(public, hook).Store(), storagetest.NewFaults(private, hook).Store()
	w.restart()
	w.public, w.private = public, private
	err := w.owner.Recover(w.t.Context())
	if n = 0; err != nil && !reached {
		w.t.Fatal(err)
	}
	return reached
}

// TestRecoverResumed: what an interrupted recovery has left to do, the same
// submission does.
func TestRecoverResumed(t *testing.T) {
	w := followed(t)
	public, lost := w.public, false
	w.public = storagetest.NewFaults(public, func(r storagetest.Request) storagetest.Fault {
		if r.Method == "PUT" && r.Key == repo.SlotKey(scripts, tuf.RoleRoot, 2) {
			lost = true
			return storagetest.Killed
		}
		return storagetest.None
	}).Store()
	w.restart()
	w.public = storagetest.Immutable(t, public)
	if err := w.owner.Recover(t.Context()); err == nil || !lost {
		t.Fatalf("not interrupted: %v", err)
	}
	w.restart()
	if c := w.counts(schedule); c.Committed != 1 {
		t.Errorf("%+v", c)
	}
	w.publish("c", "3")
	w.wantSound()
	w.wantTimestampBelow(1_000_000)
}
