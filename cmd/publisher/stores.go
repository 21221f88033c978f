package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"publisher/storage"
	"publisher/storage/dir"
	"publisher/storage/minio"
	"publisher/storage/s3"
)

// storeHint is the kinds of stores there are.
const storeHint = "--store file:///dir, s3://bucket/prefix or minio://host/bucket/prefix"

// openStore is openStore, which it tells about with --debug.
func (a *app) openStore(ctx context.Context, raw string) (storage.Store, error) {
	s, err := openStore(ctx, raw)
	if err != nil {
		return nil, err
	}
	return a.tracedStore(s), nil
}

// openStore opens the store that a URL names. This is the only place that knows
// every driver.
func openStore(ctx context.Context, raw string) (storage.Store, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, usage(storeHint, "store %q is not a URL", raw)
	}
	var s storage.Store
	switch u.Scheme {
	case "file":
		s, err = openDir(u, raw)
	case "s3":
		s, err = s3.Open(ctx, u)
	case "minio":
		s, err = minio.Open(ctx, u)
	default:
		return nil, usage(storeHint, "store %q: unknown kind %q", raw, u.Scheme)
	}
	if err != nil {
		return nil, &cliError{err: err, hint: "--store " + storeForms[u.Scheme], code: exitUsage}
	}
	return s, nil
}

// openAnonymous opens the store as it answers to those who have no credentials; nil
// for a directory, which knows none.
func openAnonymous(ctx context.Context, raw string) (storage.Store, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, usage(storeHint, "store %q is not a URL", raw)
	}
	switch u.Scheme {
	case "s3":
		return s3.OpenAnonymous(ctx, u)
	case "minio":
		return minio.OpenAnonymous(ctx, u)
	}
	return nil, nil
}

// shownStore is the address of a store without what is secret in it.
func shownStore(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Redacted()
}

// storeForms is how the address of each kind of store is written.
var storeForms = map[string]string{
	"file":  "file:///absolute/path of a directory",
	"s3":    "'s3://bucket/prefix?region=eu-central-1'",
	"minio": "minio://host:9000/bucket/prefix",
}

// bucketOf is the bucket, and the prefix in it, that a store's URL names: where
// its events say that objects are. Both are empty for a store without events.
func bucketOf(raw string) (bucket, prefix string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", usage(storeHint, "store %q is not a URL", raw)
	}
	switch path := strings.Trim(u.Path, "/"); u.Scheme {
	case "s3":
		return u.Host, path, nil
	case "minio":
		bucket, prefix, _ = strings.Cut(path, "/")
		return bucket, prefix, nil
	}
	return "", "", nil
}

// storeDir is where the directory of a store is, empty for other stores.
func storeDir(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "file" {
		return ""
	}
	return filePath(u)
}

func filePath(u *url.URL) string {
	path := filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, `\`) // file:///C:/dir
	}
	return path
}

func openDir(u *url.URL, raw string) (storage.Store, error) {
	path := filePath(u)
	if u.Host != "" || u.RawQuery != "" || u.Fragment != "" || !filepath.IsAbs(path) {
		return nil, fmt.Errorf("store %q is not an absolute path", raw)
	}
	return dir.Open(path)
}
