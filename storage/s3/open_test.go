package s3

import (
	"net/url"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		url, env string // env is AWS_ENDPOINT_URL_S3
		says     string // of the error; empty for none
	}{
		{"s3://bucket?region=eu-central-1", "", ""},
		{"s3://bucket/some/prefix/?region=eu-central-1", "", ""},
		{"s3://bucket?endpoint=https://example.com", "", ""},
		{"s3://bucket?endpoint=http://127.0.0.1:9000&path_style=false", "", ""},
		{"s3://bucket", "http://localhost:9000", ""},
		{"s3://bucket", "", "AWS_REGION"},
		{"s3://bucket", "http://example.com", "plain http"},
		{"s3://bucket?endpoint=http://example.com", "", "plain http"},
		{"s3://bucket?endpoint=example.com", "", "no host"},
		{"s3://bucket?region=x&acl=public-read", "", `unknown parameter "acl"`},
		{"s3://bucket?region=x&path_style=maybe", "", "path_style=maybe"},
		{"s3://bucket?region=x&a=%zz", "", "%zz"},
		{"s3://bucket/a//b?region=x", "", "invalid prefix"},
		{"s3://bucket/../b?region=x", "", "invalid prefix"},
		{"s3:///prefix?region=x", "", "s3://bucket/prefix"},
		{"s3://key:secret@bucket?region=x", "", "s3://bucket/prefix"},
		{"minio://bucket?region=x", "", "s3://bucket/prefix"},
	} {
		for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
			t.Setenv(name, "")
		}
		t.Setenv("AWS_CONFIG_FILE", "/dev/null")
		t.Setenv("AWS_ENDPOINT_URL_S3", tt.env)
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), u)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.url, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v shows the secret", err)
		}
	}
}
