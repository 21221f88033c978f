package lambda_test

import (
	"strings"
	"testing"
	"time"

	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// TestWindows: what is due is renewed within the windows, what is urgent at all
// times.
func TestWindows(t *testing.T) {
	// Timestamps last 14 days, and are due in a week, at noon of a Sunday.
	begin := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	at := func(day, hour, minute int) time.Duration {
		return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC).Sub(begin)
	}
	for _, tt := range []struct {
		windows string
		after   time.Duration
		want    bool
	}{
		{"", 0, true},
		{"02:00-05:00", at(29, 13, 0), false},
		{"02:00-05:00", at(30, 1, 59), false},
		{"02:00-05:00", at(30, 2, 0), true},
		{"02:00-05:00", at(30, 4, 59), true},
		{"02:00-05:00", at(30, 5, 0), false},
		{"mon 02:00-05:00", at(30, 2, 0), true},
		{"tue-sun 02:00-05:00", at(30, 2, 0), false},
		{"tue-sun 02:00-05:00,mon 02:00-03:00", at(30, 2, 0), true},
		{"sun 22:00-04:00", at(30, 3, 59), true},
		{"sun 22:00-04:00", at(30, 4, 0), false},
		{"mon 22:00-04:00", at(30, 3, 0), false},
		{"sat-mon 00:00-24:00", at(30, 23, 59), true},
		{"fri-sat 00:00-24:00", at(30, 0, 0), false},
		// A quarter of 14 days is three and a half.
		{"fri 00:00-00:01", 84*time.Hour - time.Minute, false},
		{"fri 00:00-00:01", 84 * time.Hour, true},
	} {
		e := newEstate(storage.NewMemory(), storage.NewMemory())
		if err := e.add(t.Context(), scripts, nil); err != nil {
			t.Fatal(err)
		}
		e.restart()
		var err error
		if e.signer.Windows, err = lambda.ParseWindows(tt.windows); err != nil {
			t.Fatal(err)
		}
		e.now = begin.Add(tt.after)
		for _, event := range []string{schedule, refreshAll} {
			c, _, err := e.sweep(t.Context(), event)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.want && (c.Refreshed != 0 || c.Waiting != 1) || tt.want && event == schedule && (c.Refreshed != 1 || c.Waiting != 0) {
				t.Errorf("%q at %s: %+v", tt.windows, e.now, c)
			}
		}
		if c, _, err := e.sweep(t.Context(), `{"action":"refresh","collection":"`+scripts+`"}`); err != nil || c.Refreshed == 1 == tt.want {
			t.Errorf("%q at %s, asked by name: %+v %v", tt.windows, e.now, c, err)
		}
	}
}

// TestWindowsOfSnapshot: a snapshot that is about to expire is urgent, however
// long the timestamp lasts.
func TestWindowsOfSnapshot(t *testing.T) {
	e := newEstate(storage.NewMemory(), storage.NewMemory())
	if err := e.add(t.Context(), scripts, repo.Lifetimes{tuf.RoleSnapshot: 4 * day}); err != nil {
		t.Fatal(err)
	}
	var err error
	if e.signer.Windows, err = lambda.ParseWindows("12:00-12:01"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{3*day - time.Hour, 0}, {3*day + time.Hour, 1}} {
		e.now = estateBegins.Add(tt.after)
		if c, _, err := e.sweep(t.Context(), schedule); err != nil || c.Refreshed != tt.want {
			t.Errorf("after %v: %+v %v", tt.after, c, err)
		}
	}
}

// TestWindowsRefused: what is no window is told apart from one that is.
func TestWindowsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"night":               `"night" is not a stretch of time`,
		"02:00-05:00,":        `"" is not a stretch of time`,
		"02:00-02:00":         `"02:00-02:00" is no time at all`,
		"24:00-02:00":         `"24:00-02:00" is no time at all`,
		"monday 02:00-05:00":  `"monday" is not a day`,
		"day-mon 02:00-05:00": `"day-mon" is not a day`,
		"mon-day 02:00-05:00": `"mon-day" is not a day`,
		"2:00-05:00":          `"2:00" is not a time of day`,
		"02:00-25:00":         `"25:00" is not a time of day`,
	} {
		_, err := lambda.ParseWindows(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), "want 02:00-05:00 or mon-fri 22:00-04:00, in UTC") {
			t.Errorf("%q: %v, not %s", text, err, want)
		}
	}
}
