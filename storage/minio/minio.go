// Package minio stores objects in a bucket of MinIO, or of a server that speaks
// its protocol, through MinIO's own client library.
package minio

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"publisher/storage"
	"publisher/storage/internal/s3api"
	"publisher/storage/internal/transport"
)

// Open returns the store at minio://host[:port]/bucket/prefix, or at
// minio://alias/bucket/prefix for an alias of the mc command (MC_HOST_alias, or
// its configuration file). It makes no request.
//
// Credentials are those of the alias, or else MINIO_ROOT_USER and
// MINIO_ROOT_PASSWORD, MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or AWS_*. A host is
// reached by https, this machine by http; the query can override:
//
//	secure=true       https on this machine too
//	region=name       the region to sign for, us-east-1 by default
//
// The store is a storage.Stater and a storage.Deleter.
func Open(_ context.Context, u *url.URL) (storage.Store, error) {
	return open(u, transport.Patience)
}

// OpenAnonymous returns the same store as it answers to those who have no
// credentials.
func OpenAnonymous(_ context.Context, u *url.URL) (storage.Store, error) {
	addr, err := parse(u)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	addr.creds = credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
	return addr.open(u, transport.Patience)
}

func open(u *url.URL, patience time.Duration) (storage.Store, error) {
	addr, err := parse(u)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	return addr.open(u, patience)
}

func (a *address) open(u *url.URL, patience time.Duration) (storage.Store, error) {
	options := minio.Options{
		Creds:      a.creds,
		Secure:     a.secure,
		Region:     a.region,
		Transport:  newRenewing(func() *http.Transport { return transport.New(nil, patience) }),
		MaxRetries: 5,
	}
	core, err := minio.NewCore(a.host, &options)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	options.MaxRetries = 1
	once, err := minio.New(a.host, &options)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	return storage.Prefix(s3api.New(&api{core, once, a.bucket}, a.bucket), a.prefix), nil
}

// address is where a URL leads, and how.
type address struct {
	host, bucket, prefix, region string
	secure                       bool
	creds                        *credentials.Credentials
}

func parse(u *url.URL) (a address, err error) {
	if u.Scheme != "minio" || u.Host == "" || u.User != nil {
		return a, fmt.Errorf("want minio://host:port/bucket/prefix or minio://alias/bucket/prefix")
	}
	a.bucket, a.prefix, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch {
	case a.bucket == "":
		return a, fmt.Errorf("no bucket: want minio://%s/bucket", u.Host)
	case a.prefix != "" && !storage.ValidKey(a.prefix):
		return a, fmt.Errorf("invalid prefix %q", a.prefix)
	}
	a.host, a.region = u.Host, "us-east-1"
	a.secure = !transport.Loopback(u.Hostname())
	a.creds = credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvMinio{}, &credentials.EnvAWS{}})
	if err := a.useAlias(u.Host); err != nil {
		return a, err
	}
	return a, a.override(u.RawQuery)
}

// useAlias follows an alias of that name. A name that can be no host has to be
// one.
func (a *address) useAlias(name string) error {
	target, err := findAlias(name)
	switch {
	case err != nil:
		return err
	case target == nil && strings.ContainsAny(name, ".:") || target == nil && name == "localhost":
		return nil
	case target == nil:
		return fmt.Errorf("%s is no alias of mc, and no host:port", name)
	}
	if err := transport.CheckURL(target.url); err != nil {
		return fmt.Errorf("alias %s: %w", name, err)
	}
	a.host, a.secure = target.url.Host, target.url.Scheme == "https"
	a.creds = credentials.NewStaticV4(target.accessKey, target.secretKey, target.token)
	return nil
}

func (a *address) override(rawQuery string) error {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return err
	}
	for name, values := range query {
		value := values[len(values)-1]
		switch name {
		case "region":
			a.region = value
		case "secure":
			secure, err := strconv.ParseBool(value)
			if err != nil {
				return fmt.Errorf("secure=%s: want true or false", value)
			}
			if a.secure && !secure && !transport.Loopback((&url.URL{Host: a.host}).Hostname()) {
				return fmt.Errorf("secure=%s: plain http is for this machine only", value)
			}
			a.secure = secure
		default:
			return fmt.Errorf("unknown parameter %q: want region or secure", name)
		}
	}
	return nil
}
