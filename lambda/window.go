package lambda

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Windows are the times at which signatures are renewed that are due and not
// urgent yet, in UTC. Without any, all times are.
type Windows []window

// window is a stretch of some days, in minutes after the midnight at which they
// begin. It may end on the day after.
type window struct {
	days       [7]bool // by time.Weekday
	begin, end int
}

const dayMinutes = 24 * 60

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindows reads windows with commas between them: 02:00-05:00, or sat
// 22:00-04:00, or mon-fri 00:00-06:00. One that ends before it begins ends on
// the day after. An empty text has none.
func ParseWindows(text string) (Windows, error) {
	var all Windows
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" && strings.TrimSpace(text) == "" {
			return nil, nil
		}
		w, err := parseWindow(one)
		if err != nil {
			return nil, fmt.Errorf("%q: %w: want 02:00-05:00 or mon-fri 22:00-04:00, in UTC", one, err)
		}
		all = append(all, w)
	}
	return all, nil
}

func parseWindow(text string) (w window, err error) {
	days, times, found := strings.Cut(text, " ")
	if !found {
		days, times = "sun-sat", text
	}
	if w.days, err = parseDays(days); err != nil {
		return w, err
	}
	begin, end, found := strings.Cut(times, "-")
	if !found {
		return w, fmt.Errorf("%q is not a stretch of time", times)
	}
	if w.begin, err = parseMinute(begin); err != nil {
		return w, err
	}
	if w.end, err = parseMinute(end); err != nil {
		return w, err
	}
	if w.begin == w.end || w.begin == dayMinutes {
		return w, fmt.Errorf("%q is no time at all", times)
	}
	if w.end < w.begin {
		w.end += dayMinutes
	}
	return w, nil
}

// parseDays reads a day, or the first and the last of several.
func parseDays(text string) (days [7]bool, err error) {
	first, last, several := strings.Cut(text, "-")
	if !several {
		last = first
	}
	from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
	if from < 0 || to < 0 {
		return days, fmt.Errorf("%q is not a day, as mon is, nor several, as mon-fri are", text)
	}
	for day := from; ; day = (day + 1) % 7 {
		days[day] = true
		if day == to {
			return days, nil
		}
	}
}

// parseMinute reads HH:MM, up to 24:00.
func parseMinute(text string) (int, error) {
	if text == "24:00" {
		return dayMinutes, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of day", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// open reports whether one is at this time.
func (all Windows) open(now time.Time) bool {
	now = now.UTC()
	minute, today := now.Hour()*60+now.Minute(), now.Weekday()
	for _, w := range all {
		yesterday := (today + 6) % 7
		if w.days[today] && w.begin <= minute && minute < w.end || w.days[yesterday] && minute+dayMinutes < w.end {
			return true
		}
	}
	return len(all) == 0
}
