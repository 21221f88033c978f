package lambda_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"publisher/lambda"
	"publisher/repo"
)

const renewEvent = `{"action":"renew","collection":"` + scripts + `"}`

// TestRenew: whoever may invoke has a timestamp signed, not more often than every
// ten seconds, and nothing else.
func TestRenew(t *testing.T) {
	w := published(t)
	before := contents(t, w.public)
	var renewed, soon atomic.Int64
	for n := range 3 {
		w.now = w.now.Add(10 * time.Second)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				_, err := w.handle(renewEvent)
				var rest *repo.SoonError
				switch {
				case err == nil:
					renewed.Add(1)
				case errors.As(err, &rest) && lambda.NewFailure(err).Type == lambda.FailureSoon:
					soon.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		if renewed.Load() != int64(n+1) {
			t.Errorf("%d times renewed, want %d", renewed.Load(), n+1)
		}
	}
	after := contents(t, w.public)
	if len(after) != len(before) {
		t.Errorf("%d objects, there were %d", len(after), len(before))
	}
	if key := repo.TimestampKey(scripts); after[key] == before[key] {
		t.Error("timestamp.json is the old one")
	}
	if strings.Contains(w.log.String(), `"ERROR"`) {
		t.Errorf("that there was one just now is told as an error:\n%s", w.log)
	}
	w.publish("b", "2")
	w.wantSound()
}

// TestRenewExpired: what is due is signed again at any time.
func TestRenewExpired(t *testing.T) {
	w := published(t)
	w.now = w.now.Add(20 * day)
	if answer, err := w.handle(renewEvent); err != nil || !strings.Contains(answer, `"snapshot":2`) {
		t.Errorf("%s %v", answer, err)
	}
}

// TestRaceIsNoError: that a sweep answered a submission first is nothing to look
// after.
func TestRaceIsNoError(t *testing.T) {
	w := published(t)
	submission, _ := w.leave("b", "2")
	w.counts(schedule)
	w.wantRefused(commitEvent(submission), "not in the inbox")
	if strings.Contains(w.log.String(), `"ERROR"`) {
		t.Errorf("log:\n%s", w.log)
	}
	w.wantLogged("nothing to do")
}
