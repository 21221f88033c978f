package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"publisher/trust"
)

// TestBesidePublish: while a publish sits at a prompt, with the collection
// locked, a refresh does its work, and a reset waits: what it would take back is
// about to be published.
func TestBesidePublish(t *testing.T) {
	readable(t)
	c := trust.Open(os.Getenv("PUBLISHER_TRUST_DIR")).Collection(testCollection)
	if r := runWith(t, t.Context(), nil, "remove", testCollection, "install.sh"); r.code != exitOK {
		t.Fatal(r.err)
	}
	unlock, err := c.Lock(t.Context(), func() { t.Error("somebody else has the lock") })
	if err != nil {
		t.Fatal(err)
	}
	if r := runWith(t, within(t, time.Minute), nil, "refresh", testCollection, "--force"); r.code != exitOK {
		t.Errorf("refresh beside a publish: exit %d: %s", r.code, r.err)
	}
	for _, what := range []string{"--all", "-n=0"} {
		r := runWith(t, within(t, time.Second), nil, "reset", testCollection, what)
		if r.code != exitInterrupted || !strings.Contains(r.err, "waiting for another publisher command") {
			t.Errorf("reset %s beside a publish: exit %d: %s", what, r.code, r.err)
		}
	}
	if staged, err := c.Changelist().List(); len(staged) != 1 {
		t.Errorf("staged: %v, %v", staged, err)
	}
	unlock()
	if r := runWith(t, t.Context(), nil, "reset", testCollection, "--all"); r.code != exitOK {
		t.Errorf("reset after the publish: %s", r.err)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
