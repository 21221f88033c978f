// Package web reads collections from a web server, as any TUF client does.
package web

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"publisher/storage"
	"publisher/storage/internal/transport"
)

// A Store is the objects below one URL. It is a storage.Getter: the web can be
// read, not listed. Nothing it returns is to be believed before it is verified.
type Store struct {
	base     *url.URL
	client   *http.Client
	patience time.Duration
}

// An Option changes how Open connects.
type Option func(*options)

type options struct {
	plain    bool
	patience time.Duration
}

// AllowHTTP lets Open take an http address of another machine.
func AllowHTTP() Option { return func(o *options) { o.plain = true } }

// Open returns the objects below base, an https address, or an http address of
// this machine. It makes no request. conf may be nil. The proxies of the
// environment are used. A server that sends nothing of an object for 20 seconds is
// given up.
func Open(base string, conf *tls.Config, opts ...Option) (*Store, error) {
	o := options{patience: transport.Patience}
	for _, opt := range opts {
		opt(&o)
	}
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", base, err)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("open %s: %w: an address with a query or a fragment", u.Redacted(), fs.ErrInvalid)
	}
	if err := transport.CheckURL(u); err != nil && !(o.plain && u.Scheme == "http" && u.Host != "") {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	return &Store{u, &http.Client{
		Transport:     transport.New(conf, o.patience),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, o.patience}, nil
}

// Get implements storage.Getter. The Version is the ETag, if there is one.
// Redirects are refused: they lead away from the address that was given.
func (s *Store) Get(ctx context.Context, key string) (storage.Object, error) {
	obj, err := s.get(ctx, key)
	if err != nil {
		return storage.Object{}, fmt.Errorf("get %s from %s: %w", key, s.base.Redacted(), err)
	}
	return obj, nil
}

func (s *Store) get(ctx context.Context, key string) (storage.Object, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.Object{}, err
	}
	watch, ctx := newWatch(ctx, s.patience)
	resp, err := s.request(ctx, key)
	if err = watch.stop(err); err != nil {
		watch.end()
		return storage.Object{}, err
	}
	if err := check(resp); err != nil {
		resp.Body.Close()
		watch.end()
		return storage.Object{}, err
	}
	modified, _ := http.ParseTime(resp.Header.Get("Last-Modified")) // zero if it does not say
	return storage.Object{
		Body:     &watchedBody{resp.Body, watch},
		Size:     resp.ContentLength,
		Version:  storage.Version(resp.Header.Get("ETag")),
		Modified: modified,
	}, nil
}

func (s *Store) request(ctx context.Context, key string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(key), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	return s.client.Do(req)
}

// url escapes the key segment by segment. A "+" stays: in a path it is no
// space, and clients of all kinds send it so.
func (s *Store) url(key string) string {
	segments := strings.Split(key, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return s.base.String() + "/" + strings.Join(segments, "/")
}

func check(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%w (HTTP %s)", fs.ErrNotExist, resp.Status)
	case code == http.StatusForbidden, code == http.StatusUnauthorized:
		return fmt.Errorf("%w (HTTP %s)", fs.ErrPermission, resp.Status)
	case code/100 == 3:
		return fmt.Errorf("redirected to %q, which is refused (HTTP %s)", resp.Header.Get("Location"), resp.Status)
	case code != http.StatusOK:
		return fmt.Errorf("HTTP %s", resp.Status)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fmt.Errorf("the server sends the object encoded (%s), which was not asked for", enc)
	}
	return nil
}
