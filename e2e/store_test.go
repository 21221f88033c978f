package e2e

import (
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"publisher/internal/serve"
	"publisher/internal/testserver"
	"publisher/storage"
	"publisher/storage/dir"
)

// A store is where an owner publishes, and where everybody reads.
type store struct {
	url    string   // for --store
	env    []string // what publisher needs to write there
	public string   // where clients read, without a trailing slash
	keys   func(t *testing.T) []string
}

// A kind is a server, or none, and the driver that reaches it.
type kind struct {
	name string
	open func(t *testing.T) store
}

// kinds starts each server once, for all subtests of t.
func kinds(t *testing.T) []kind {
	versity := testserver.VersityGW(t)
	return []kind{
		{"directory", directory},
		{"versitygw by s3", func(t *testing.T) store { return throughS3(t, versity.NewBucket(t)) }},
		{"versitygw by minio", func(t *testing.T) store { return throughMinIO(t, versity.NewBucket(t)) }},
	}
}

func kindsMinIO(t *testing.T) []kind {
	server := testserver.MinIO(t)
	return []kind{
		{"s3", func(t *testing.T) store { return throughS3(t, server.NewBucket(t)) }},
		{"minio", func(t *testing.T) store { return throughMinIO(t, server.NewBucket(t)) }},
	}
}

// directory is a directory, served as publisher dev does.
func directory(t *testing.T) store {
	s, _ := directoryIn(t)
	return s
}

// directoryIn is directory, and its path.
func directoryIn(t *testing.T) (_ store, path string) {
	path = t.TempDir()
	s, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(serve.Handler(s))
	t.Cleanup(server.Close)
	return store{
		url:    (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(path), "/")}).String(),
		public: server.URL,
		keys:   func(t *testing.T) []string { return listed(t, s) },
	}, path
}

func listed(t *testing.T, s storage.Store) []string {
	t.Helper()
	var keys []string
	for entry, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, entry.Key)
	}
	return keys
}

// prefix is where in a bucket the collections are.
const prefix = "tuf/store 1"

// s3Address is a bucket that the s3 driver writes to.
func s3Address(s testserver.S3) store {
	query := url.Values{"region": {s.Region}, "endpoint": {s.Endpoint}, "path_style": {"true"}}
	u := url.URL{Scheme: "s3", Host: s.Bucket, Path: "/" + prefix, RawQuery: query.Encode()}
	return store{url: u.String(), env: []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey, "AWS_SESSION_TOKEN=" + s.Token}}
}

// minioAddress is a bucket that the minio driver writes to.
func minioAddress(s testserver.S3) store {
	u := url.URL{Scheme: "minio", Host: s.Host(), Path: "/" + s.Bucket + "/" + prefix}
	return store{url: u.String(), env: []string{"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey}}
}

func throughS3(t *testing.T, s testserver.S3) store { return public(t, s, s3Address(s)) }

func throughMinIO(t *testing.T, s testserver.S3) store { return public(t, s, minioAddress(s)) }

// public is a bucket that everybody can read.
func public(t *testing.T, s testserver.S3, at store) store {
	client := s.Client()
	publish(t, client, s.Bucket)
	at.public = inFrontOf(t, s.Endpoint) + "/" + s.Bucket + "/" + (&url.URL{Path: prefix}).EscapedPath()
	at.keys = func(t *testing.T) []string {
		t.Helper()
		var keys []string
		pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &s.Bucket})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range page.Contents {
				keys = append(keys, strings.TrimPrefix(aws.ToString(object.Key), prefix+"/"))
			}
		}
		return keys
	}
	return at
}

// publish lets everybody read the objects of a bucket. Amazon S3 wants
// s3:ListBucket besides to answer 404 in place of 403 for a missing one; the
// servers here do not.
func publish(t *testing.T, client *s3.Client, bucket string) {
	t.Helper()
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::%s/*"}]}`, bucket)
	if _, err := client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
		t.Fatalf("make %s public: %v", bucket, err)
	}
}

// inFrontOf passes requests on as they come: what clients see is the server's
// own HTTP, without a signature.
func inFrontOf(t *testing.T, endpoint string) string {
	upstream, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }})
	t.Cleanup(proxy.Close)
	return proxy.URL
}
