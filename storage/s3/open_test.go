package s3

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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

// TestNoCredentials wants to be told what to do, once, and by us: the SDK has
// warnings about the metadata service, too.
func TestNoCredentials(t *testing.T) {
	metadata := httptest.NewServer(http.NotFoundHandler())
	defer metadata.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.URL)
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	for _, name := range []string{"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	defer func(stderr *os.File) { os.Stderr = stderr }(os.Stderr)
	os.Stderr = out
	u, err := url.Parse("s3://bucket?endpoint=" + metadata.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), "k")
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE") {
		t.Errorf("%v, want fs.ErrPermission and what to do", err)
	}
	if said, err := os.ReadFile(out.Name()); err != nil || len(said) > 0 {
		t.Errorf("on stderr: %s, %v", said, err)
	}
}

// TestAnonymous: what is asked without credentials is not signed, whatever there is.
func TestAnonymous(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	var said []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said = append(said, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	u := &url.URL{Scheme: "s3", Host: "bucket", RawQuery: url.Values{"endpoint": {server.URL}}.Encode()}
	s, err := OpenAnonymous(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Get(t.Context(), "k"); !errors.Is(err, fs.ErrPermission) || len(said) == 0 || said[0] != "" {
		t.Errorf("%v, signed with %q", err, said)
	}
}

func TestEmptyCredentials(t *testing.T) {
	for _, tt := range []struct {
		found aws.Credentials
		err   error
		says  string // empty if they are taken
	}{
		{aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, nil, ""},
		{aws.Credentials{AccessKeyID: "key"}, nil, "(they are empty)"},
		{aws.Credentials{}, errors.New("as told"), "(as told)"},
	} {
		c := credentials{aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return tt.found, tt.err })}
		_, err := c.Retrieve(t.Context())
		if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, fs.ErrPermission) || !strings.HasSuffix(err.Error(), tt.says)) {
			t.Errorf("%v, want %q", err, tt.says)
		}
	}
}

// TestCredentialsInterrupted: that nobody waits for credentials does not make
// them missing.
func TestCredentialsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := credentials{aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("as told") })}
	if _, err := c.Retrieve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
