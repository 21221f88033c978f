// Package transport makes the HTTP transport of all drivers: one that gives up
// on a peer that says nothing, and keeps plain HTTP on this machine.
package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Patience is how long a connection may be silent in both directions before
// its request fails.
const Patience = 20 * time.Second

// New returns a transport with the proxies of the environment and patience as
// in Configure. conf may be nil.
func New(conf *tls.Config, patience time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = conf
	Configure(t, patience)
	return t
}

// Configure has a transport give up on silent peers. It also keeps it from
// decompressing: what a store holds is what its hash is of.
func Configure(t *http.Transport, patience time.Duration) {
	t.DisableCompression = true
	t.MaxIdleConnsPerHost = 32
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &impatient{c, patience}, nil
	}
}

// An impatient connection fails when nothing moves. Progress in either
// direction renews the time for both: a long upload waits for no answer
// meanwhile, and http.Transport reads while it writes.
type impatient struct {
	net.Conn
	patience time.Duration
}

func (c *impatient) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatient) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Loopback reports whether host (without port) is this machine.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// CheckURL refuses everything but https, and http on this machine.
func CheckURL(u *url.URL) error {
	switch {
	case u.Host == "":
		return fmt.Errorf("%q has no host", u.Redacted())
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%q: unknown scheme, want https", u.Redacted())
	case !Loopback(u.Hostname()):
		return fmt.Errorf("%q: plain http is for this machine only, want https", u.Redacted())
	}
	return nil
}
