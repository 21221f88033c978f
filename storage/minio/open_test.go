package minio

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// where is an address as a test compares it.
type where struct {
	Host, Bucket, Prefix, Region string
	Secure                       bool
	Key, Secret                  string
}

func TestParse(t *testing.T) {
	home := t.TempDir()
	conf := `{"version": "10", "aliases": {
		"play": {"url": "https://play.example.com", "accessKey": "file", "secretKey": "s1", "api": "S3v4"},
		"plain": {"url": "http://example.com", "accessKey": "x", "secretKey": "y"}}}`
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MC_CONFIG_DIR", home)
	t.Setenv("MC_HOST_home", "http://env:s2@127.0.0.1:9000")
	t.Setenv("MC_HOST_broken", "127.0.0.1:9000 top secret")
	t.Setenv("MINIO_ROOT_USER", "root")
	t.Setenv("MINIO_ROOT_PASSWORD", "s3")
	for _, tt := range []struct {
		url  string
		want where
		says string // of the error
	}{
		{url: "minio://localhost:9000/b", want: where{"localhost:9000", "b", "", "us-east-1", false, "root", "s3"}},
		{url: "minio://[::1]:9000/b", want: where{"[::1]:9000", "b", "", "us-east-1", false, "root", "s3"}},
		{url: "minio://example.com/b/p/q/?region=r", want: where{"example.com", "b", "p/q", "r", true, "root", "s3"}},
		{url: "minio://localhost/b?secure=true", want: where{"localhost", "b", "", "us-east-1", true, "root", "s3"}},
		{url: "minio://play/b/p", want: where{"play.example.com", "b", "p", "us-east-1", true, "file", "s1"}},
		{url: "minio://home/b", want: where{"127.0.0.1:9000", "b", "", "us-east-1", false, "env", "s2"}},
		{url: "minio://example.com/b?secure=false", says: "plain http"},
		{url: "minio://play/b?secure=false", says: "plain http"},
		{url: "minio://plain/b", says: "plain http"},
		{url: "minio://broken/b", says: "MC_HOST_broken"},
		{url: "minio://unknown/b", says: "no alias"},
		{url: "minio://localhost", says: "no bucket"},
		{url: "minio:///b", says: "want minio://"},
		{url: "minio://user:secret@localhost/b", says: "want minio://"},
		{url: "minio://localhost/b/a//b", says: "invalid prefix"},
		{url: "minio://localhost/b?secure=perhaps", says: "secure=perhaps"},
		{url: "minio://localhost/b?endpoint=x", says: `unknown parameter "endpoint"`},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		a, err := parse(u)
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v, want %q", tt.url, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		keys, err := a.creds.GetWithContext(&credentials.CredContext{})
		if err != nil {
			t.Fatal(err)
		}
		got := where{a.host, a.bucket, a.prefix, a.region, a.secure, keys.AccessKeyID, keys.SecretAccessKey}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s:\n%s", tt.url, diff)
		}
	}
}

func TestBrokenConfig(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MC_CONFIG_DIR", home)
	if _, err := parse(&url.URL{Scheme: "minio", Host: "alias", Path: "/b"}); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("a broken configuration: %v", err)
	}
}

// TestAnonymous: what is asked without credentials is not signed, whatever there is.
func TestAnonymous(t *testing.T) {
	t.Setenv("MC_CONFIG_DIR", t.TempDir())
	t.Setenv("MINIO_ROOT_USER", "root")
	t.Setenv("MINIO_ROOT_PASSWORD", "secret")
	var said []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said = append(said, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	s, err := OpenAnonymous(t.Context(), &url.URL{Scheme: "minio", Host: strings.TrimPrefix(server.URL, "http://"), Path: "/bucket"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Get(t.Context(), "k"); !errors.Is(err, fs.ErrPermission) || len(said) == 0 || said[0] != "" {
		t.Errorf("%v, signed with %q", err, said)
	}
}
