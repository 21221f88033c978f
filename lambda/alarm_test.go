package lambda_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"publisher/lambda"
)

// TestClockAlarm: whatever a function is asked whose clock is off, a line of
// the log has what the Terraform module's filter counts.
func TestClockAlarm(t *testing.T) {
	phrase := clockPhrase(t)
	for _, only := range []string{lambda.Publishing, lambda.Refreshing} {
		w := published(t)
		submission, _ := w.leave("b", "2")
		events := []string{schedule}
		if only == lambda.Publishing {
			events = append(events, commitEvent(submission))
		}
		off, bad := w.newStore(), w.newStore()
		off.Date = func() time.Time { return w.now.Add(time.Hour) }
		for key, content := range contents(t, w.public) {
			w.put(off, key, content)
			w.put(bad, key, content[:len(content)/2])
		}
		for _, event := range events {
			w.restartWith(off, w.private)
			w.signer.Only = only
			if answer, err := w.handle(event); err == nil {
				t.Errorf("%s: %s, want an error", event, answer)
			}
			if !strings.Contains(w.log.String(), phrase) {
				t.Errorf("%s: the module looks for %q in\n%s", event, phrase, w.log)
			}
		}
		// What is wrong with something else is not counted.
		w.restartWith(bad, w.private)
		for _, event := range events {
			w.handle(event)
		}
		if log := w.log.String(); !strings.Contains(log, "ERROR") || strings.Contains(log, phrase) {
			t.Errorf("the clock is right: the module looks for %q in\n%s", phrase, log)
		}
	}
}

// TestAlarmMetrics: the module has alarms on what the signer counts, by the names
// that it counts under.
func TestAlarmMetrics(t *testing.T) {
	text := alarms(t)
	for _, pattern := range []string{
		`(?m)^  namespace = "` + lambda.Namespace + `"$`, `"` + lambda.MetricExpiry + `"`,
		`(?m)^    ` + lambda.MetricFailures + ` += \{ periods`, `(?m)^    ` + lambda.MetricLost + ` += \{ periods`, `(?m)^    ` + lambda.MetricQuarantined + ` += \{ periods`,
	} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("terraform/alarms.tf has no %s", pattern)
		}
	}
}

func alarms(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../terraform/alarms.tf")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clockPhrase is what the filter of the clock looks for: words in quotes are
// found as they stand, wherever in a line.
func clockPhrase(t *testing.T) string {
	t.Helper()
	text := alarms(t)
	_, filter, _ := strings.Cut(text, `resource "aws_cloudwatch_log_metric_filter" "clock" {`)
	pattern := regexp.MustCompile(`(?m)^  pattern += ("\\"[a-z ]+\\"")$`).FindStringSubmatch(filter)
	if pattern == nil {
		t.Fatalf("the filter of the clock looks for no words in quotes:\n%.500s", filter)
	}
	phrase, err := strconv.Unquote(pattern[1])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(phrase, `"`)
}
