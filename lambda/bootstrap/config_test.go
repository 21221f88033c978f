package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/lambda"
)

const (
	arnA = "arn:aws:kms:eu-central-1:123456789012:key/aaaaaaaa-1111-2222-3333-444444444444"
	arnB = "arn:aws:kms:eu-central-1:123456789012:key/bbbbbbbb-1111-2222-3333-444444444444"
	arnC = "arn:aws:kms:us-east-1:123456789012:alias/publisher/c"
	arnD = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-dddd"
)

var sum = strings.Repeat("0", 64)

// good is an environment with everything.
func good() map[string]string {
	return map[string]string{
		envStore:       "s3://public/some/prefix?region=eu-central-1",
		envInbox:       "s3://inbox/in/?region=eu-central-1",
		envKeys:        "sealed:kms:" + arnA,
		envCreate:      "example.com, example.org/team-",
		envGenesis:     "example.com/a=" + sum,
		envFunction:    "publish",
		envConcurrency: "8",
		envWindow:      "02:00-05:00, sat 00:00-24:00",
		envMetrics:     "example.com/a, example.com/b",
	}
}

// isolate keeps the machine's own AWS configuration out.
func isolate(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
}

func TestOpen(t *testing.T) {
	isolate(t)
	env := good()
	s, err := open(t.Context(), func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if s.Bucket != "inbox" || s.Prefix != "in" || s.Only != lambda.Publishing || s.Concurrency != 8 || len(s.Windows) != 2 || s.Public == nil || s.Private == nil || s.Keys == nil {
		t.Errorf("%+v", s)
	}
	if s.Create("example.com/x") != nil || s.Create("example.org/team-x") != nil || s.Create("example.net/x") == nil {
		t.Error("it does not create what it is told to")
	}
	if !s.Measure("example.com/b") || s.Measure("example.com/c") {
		t.Error("it measures what it is not told to")
	}
	if got, ok := s.Genesis("example.com/a"); got != sum || !ok {
		t.Errorf("genesis %q %v", got, ok)
	}
	if _, ok := s.Genesis("example.com/b"); ok {
		t.Error("there is a genesis of a collection that is not configured")
	}
}

// TestOpenLeast is what may be left out.
func TestOpenLeast(t *testing.T) {
	isolate(t)
	env := map[string]string{envStore: "s3://public?region=x", envInbox: "s3://inbox?region=x", envKeys: "awskms:collection=example.com/a,snapshot=" + arnA + ",timestamp=" + arnB}
	s, err := open(t.Context(), func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if s.Only != "" || s.Concurrency != lambda.DefaultConcurrency || s.Windows != nil || s.Measure != nil || s.Create("example.com/a") == nil {
		t.Errorf("%+v", s)
	}
}

// TestOpenRefuses: it does not start with a value that it cannot use, and says
// which.
func TestOpenRefuses(t *testing.T) {
	isolate(t)
	for _, tt := range []struct{ name, value, says string }{
		{envStore, "", "s3://bucket/prefix"},
		{envStore, "file:///tmp", "s3://bucket/prefix"},
		{envStore, "s3://public?region=x&acl=public", "acl"},
		{envStore, "s3://%zz", "%zz"},
		{envInbox, "", "s3://bucket/prefix"},
		{envInbox, "s3://inbox", "AWS_REGION"},
		{envInbox, "s3://inbox?region=x&endpoint=http://example.com", "plain http"},
		{envInbox, "s3://public?region=x", "another bucket"},
		{envInbox, "s3://public/some/prefix?region=x", "another bucket"},
		{envInbox, "s3://public/some/prefix/inbox?region=x", "another bucket"},
		{envInbox, "s3://public/some?region=x", "another bucket"},
		{envKeys, "", "sealed:kms:ARN"},
		{envKeys, "sealed:passphrase-file=/x", "sealed:kms:ARN"},
		{envKeys, "sealed:kms:", "not the ARN"},
		{envKeys, "sealed:kms:alias/x", "not the ARN"},
		{envKeys, "awskms:snapshot=" + arnA + ",timestamp=" + arnB, "collection=NAME"},
		{envKeys, "awskms:collection=../x,snapshot=" + arnA + ",timestamp=" + arnB, "collection=NAME"},
		{envKeys, "awskms:collection=example.com/a,snapshot=" + arnA, "timestamp=ARN"},
		{envKeys, "awskms:collection=example.com/a,snapshot=" + arnA + ",timestamp=x", "not the ARN"},
		{envKeys, "awskms:collection=example.com/a,snapshot=" + arnA + ",timestamp=" + arnA, "there twice"},
		{envKeys, "awskms:collection=example.com/a,root=" + arnA, "unknown"},
		{envKeys, "awskms:collection=a,snapshot=" + arnA + ",timestamp=" + arnB + ";collection=b,snapshot=" + arnC + ",timestamp=" + arnA, "there twice"},
		{envKeys, "awskms:collection=a,snapshot=" + arnA + ",timestamp=" + arnB + ";collection=a,snapshot=" + arnC + ",timestamp=" + arnD, "there twice"},
		{envKeys, "awskms:collection=a,collection=b,snapshot=" + arnA + ",timestamp=" + arnB, "semicolon"},
		{envCreate, "../x", "not a collection name"},
		{envCreate, "example.com,UPPER", "not a collection name"},
		{envCreate, "*", "not a collection name"},
		{envGenesis, "example.com/a", "SHA-256"},
		{envGenesis, "example.com/a=" + strings.Repeat("A", 64), "SHA-256"},
		{envGenesis, "../x=" + sum, "not a collection name"},
		{envGenesis, "a=" + sum + ",a=" + strings.Repeat("1", 64), "there twice"},
		{envFunction, "both", "publish or refresh"},
		{envConcurrency, "0", "from 1 to"},
		{envConcurrency, "many", "from 1 to"},
		{envConcurrency, "1000", "from 1 to"},
		{envWindow, "02:00", "not a stretch of time"},
		{envWindow, "25:00-26:00", "not a time of day"},
		{envWindow, "2:00-5:00", "not a time of day"},
		{envWindow, "02:00-02:00", "no time at all"},
		{envWindow, "24:00-02:00", "no time at all"},
		{envWindow, "someday 02:00-05:00", "not a day"},
		{envWindow, "02:00-05:00,", "not a stretch of time"},
		{envWindow, ",", "not a stretch of time"},
		{envMetrics, "example.com/*", "not a collection name"},
	} {
		env := good()
		env[tt.name] = tt.value
		_, err := open(t.Context(), func(name string) string { return env[name] })
		if err == nil || !strings.HasPrefix(err.Error(), tt.name+": ") || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s=%s: %v, want one line that names it, with %q", tt.name, tt.value, err, tt.says)
		}
	}
}

func TestParseARNs(t *testing.T) {
	got, err := parseARNs("collection=a,snapshot=" + arnA + ",timestamp=" + arnB + ",snapshot=" + arnC + ";collection=b/c,timestamp=" + arnD + ",snapshot=arn:aws-cn:kms:cn-north-1:123456789012:key/x")
	if err != nil {
		t.Fatal(err)
	}
	want := lambda.ARNs{
		"a":   {"snapshot": {arnA, arnC}, "timestamp": {arnB}},
		"b/c": {"snapshot": {"arn:aws-cn:kms:cn-north-1:123456789012:key/x"}, "timestamp": {arnD}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s, err := openSigning(t.Context(), got)
	if err != nil {
		t.Fatal(err)
	}
	for arn := range maps.Keys(s) {
		if region, _ := regionOf(arn); s[arn].Options().Region != region {
			t.Errorf("%s is asked for in %s", arn, s[arn].Options().Region)
		}
	}
	if len(s) != 5 {
		t.Errorf("%d clients, want 5", len(s))
	}
	if _, err := s.SignDigest(t.Context(), "arn:other", nil); err == nil {
		t.Error("it signs with a key that is not configured")
	}
}
