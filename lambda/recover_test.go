package lambda_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"

	"publisher/internal/forge"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
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
	ts, err := tuf.Parse[tuf.Timestamp]([]byte(contents(t, w.public)[repo.TimestampKey(scripts)]), repo.MaxTimestamp)
	if err != nil {
		t.Fatal(err)
	}
	if n := ts.Signed.Version; n > 1_000_000 {
		t.Errorf("timestamp %d", n)
	}
}
