package lambda

import (
	"fmt"
	"sync"
)

// Counts is what a run did.
type Counts struct {
	Collections int      `json:"collections"` // looked at, to refresh
	Refreshed   int      `json:"refreshed"`
	Waiting     int      `json:"waiting,omitzero"` // due, and left for a window
	Committed   int      `json:"committed"`
	Refused     int      `json:"refused"`
	Failed      int      `json:"failed"`              // left for another run
	Lost        int      `json:"lost,omitzero"`       // times that what was published was found to be gone
	Keyless     int      `json:"keyless,omitzero"`    // not refreshed, as the keys that the root names are gone
	Ignored     int      `json:"ignored,omitzero"`    // records of events that are none of ours
	Errors      []string `json:"errors,omitempty"`    // of the first that failed
	Unfinished  bool     `json:"unfinished,omitzero"` // time was up: another run does the rest
}

// tally is Counts that several goroutines add to.
type tally struct {
	mu     sync.Mutex
	counts Counts
	first  string // that failed
}

const maxErrors = 10

func (t *tally) add(to func(*Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to(&t.counts)
}

func (t *tally) failed(doing string, err error) {
	t.add(func(c *Counts) {
		if c.Failed++; c.Failed == 1 {
			t.first = doing + ": " + err.Error()
		}
		c.say(doing + ": " + err.Error())
	})
}

// lost is named beside what failed, and nothing fails for it.
func (t *tally) lost(collection string, err error) {
	t.add(func(c *Counts) {
		c.Lost++
		c.say("lost " + collection + ": " + err.Error())
	})
}

func (c *Counts) say(text string) {
	if len(c.Errors) < maxErrors {
		c.Errors = append(c.Errors, text)
	}
}

func (t *tally) unfinished() { t.add(func(c *Counts) { c.Unfinished = true }) }

// err is for those who look at nothing else: a machine that tries again, an
// alarm.
func (t *tally) err() error {
	if t.counts.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%d failed: %s", t.counts.Failed, t.first)
}
