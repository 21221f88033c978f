package main

import (
	"errors"
	"testing"
)

func TestParseOnline(t *testing.T) {
	for raw, want := range map[string]signerRef{
		"lambda:signer": {function: "signer"},
		"lambda:arn:aws:lambda:eu-central-1:123456789012:function:signer:live": {function: "arn:aws:lambda:eu-central-1:123456789012:function:signer:live"},
		"lambda:s?region=eu-central-1":                                         {function: "s", region: "eu-central-1"},
		"lambda:s?endpoint=https://host/path":                                  {function: "s", endpoint: "https://host/path"},
		"lambda:s?endpoint=http://127.0.0.1:4444":                              {function: "s", endpoint: "http://127.0.0.1:4444"},
		"lambda:s?endpoint=http://[::1]:4444":                                  {function: "s", endpoint: "http://[::1]:4444"},
		"lambda:s?endpoint=http://localhost:4444&region=x":                     {function: "s", endpoint: "http://localhost:4444", region: "x"},
		"lambda:s?endpoint=unix:///run/s":                                      {function: "s", endpoint: "unix:///run/s"},
		"lambda:s?endpoint=http%3A%2F%2F127.0.0.1%3A1&endpoint=https://h":      {function: "s", endpoint: "https://h"},
	} {
		if got, err := parseOnline(raw); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", raw, got, err, want)
		}
	}
	for _, raw := range []string{
		"", "lambda", "lambda:", "lambda:?region=x", "signer", "https://host", "lambda://signer", "lambda:a b",
		"lambda:s?endpoint=http://example.com", "lambda:s?endpoint=http://10.0.0.1:4444", "lambda:s?endpoint=http://0.0.0.0:4444",
		"lambda:s?endpoint=http://localhost.example.com", "lambda:s?endpoint=http://", "lambda:s?endpoint=https://",
		"lambda:s?endpoint=ftp://127.0.0.1", "lambda:s?endpoint=unix://host/run", "lambda:s?endpoint=unix:", "lambda:s?endpoint=127.0.0.1:4444",
		"lambda:s?endpoint=%zz", "lambda:s?zone=1", "lambda:s?endpoint=:",
	} {
		_, err := parseOnline(raw)
		var told *cliError
		if !errors.As(err, &told) || told.code != exitUsage || told.hint == "" {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// TestFailureOf: what the signer says of an error is told as ours is.
func TestFailureOf(t *testing.T) {
	for _, row := range []struct {
		payload, text, hint string
		code                int
	}{
		{`{"errorMessage":"no; hint: do this","errorType":"Refused"}`, "the signer: no", "do this", exitFailed},
		{`{"errorMessage":"verify 1.root.json: bad","errorType":"Verification"}`, "the signer: verify 1.root.json: bad", "run the same command again; the log of the signer tells more", exitVerification},
		{`{"errorMessage":"keys are being replaced; it goes on at 2026-01-02T03:04:05Z","errorType":"Grace"}`, "keys are being replaced; it goes on at 2026-01-02T03:04:05Z", "run the same command again after that time", exitConflict},
		{`{"errorMessage":"Task timed out after 3.00 seconds"}`, "the signer: Task timed out after 3.00 seconds", "run the same command again; the log of the signer tells more", exitFailed},
		{`{"errorMessage":"target \"a\" is being removed","errorType":"Collected"}`, `the signer: target "a" is being removed`, collectedHint, exitConflict},
		{`<html>`, "the signer: it failed without a word", "run the same command again; the log of the signer tells more", exitFailed},
	} {
		err := failureOf([]byte(row.payload))
		code, hint := diagnose(err)
		if err.Error() != row.text || hint != row.hint || code != row.code {
			t.Errorf("%s: %q, hint %q, exit code %d", row.payload, err, hint, code)
		}
	}
}

func TestCheckApart(t *testing.T) {
	for _, row := range []struct {
		store, inbox string
		ok           bool
	}{
		{"s3://a", "s3://b", true}, {"s3://a/x", "s3://a/y", true}, {"s3://a/x", "s3://a/x-inbox", true}, {"file:///a", "s3://a", true},
		{"s3://a", "s3://a", false}, {"s3://a", "s3://a/inbox", false}, {"s3://a/x", "s3://a", false}, {"s3://a/x", "s3://a/x/y", false},
		{"file:///srv", "file:///srv/", false}, {"file:///srv/tuf", "file:///srv/tuf/inbox", false}, {"file:///", "file:///inbox", false},
		{"minio://h/b/p", "minio://h/b/p/q", false}, {"minio://h/b/p", "minio://h/c/p", true},
	} {
		if err := checkApart(row.store, row.inbox); (err == nil) != row.ok {
			t.Errorf("%s beside %s: %v", row.store, row.inbox, err)
		}
	}
}
