package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"publisher/repo"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 8 << 20

// An answer is what the server said.
type answer struct {
	path   string // as asked for, escaped
	status int
	header http.Header
	body   []byte
	cut    bool // there was more
	tls    *tls.ConnectionState
}

// get asks for a path below the base, escaped as given.
func (p *Patient) get(ctx context.Context, path string, header ...string) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(p.Base, "/")+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	a := answer{path: path, status: resp.StatusCode, header: resp.Header, body: body, tls: resp.TLS}
	if a.cut = len(body) > maxAnswer; a.cut {
		a.body = body[:maxAnswer]
	}
	p.seen = append(p.seen, answer{path: a.path, status: a.status, header: a.header})
	return &a, nil
}

// escaped is a key as clients write it into a URL.
func escaped(key string) string {
	u := url.URL{Path: key}
	return strings.TrimPrefix(u.EscapedPath(), "./")
}

// age is for how long a cache says to have kept the answer.
func (a *answer) age() time.Duration {
	d, _ := seconds(a.header.Get("Age"))
	return d
}

// seconds reads a delta-seconds of RFC 9111: section 1.2.2 takes what is too large
// for 2^31.
func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(min(n, 1<<31)) * time.Second, true
}

// revalidated is how caches say that they asked the server whether what they have
// is still the newest: CloudFront, then Squid and Akamai.
var revalidated = strings.NewReplacer("refreshhit", "", "refresh_hit", "")

// cached reports whether the answer came out of a cache, as far as that says so.
func (a *answer) cached() bool {
	if a.age() > 0 {
		return true
	}
	for _, name := range []string{"X-Cache", "X-Cache-Status", "Cf-Cache-Status", "X-Proxy-Cache"} {
		if strings.Contains(revalidated.Replace(strings.ToLower(a.header.Get(name))), "hit") {
			return true
		}
	}
	return false
}

// fresh is for how long caches may keep the answer without asking; known is
// false if it does not say.
func (a *answer) fresh() (d time.Duration, known bool) {
	for directive := range strings.SplitSeq(a.header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-cache", "no-store":
			return 0, true
		case "max-age", "s-maxage":
			if told, ok := seconds(strings.Trim(value, `"`)); ok {
				d, known = max(d, told), true
			}
		}
	}
	return d, known
}

// A sample is a published object, and what it contains.
type sample struct {
	key  string
	name string // as people call it
	data []byte // nil if it is not known
	size int64
}

// is reports whether these bytes may be the sample.
func (s *sample) is(data []byte) bool {
	return int64(len(data)) == s.size && (s.data == nil || bytes.Equal(data, s.data))
}

// has reports whether the answer is the sample, as far as it was read.
func (a *answer) has(s sample) bool {
	if a.cut {
		return s.size > int64(len(a.body)) && (s.data == nil || bytes.HasPrefix(s.data, a.body))
	}
	return s.is(a.body)
}

// samples is one object of each kind.
func (p *Patient) samples(ctx context.Context) ([]sample, error) {
	v, c := p.view, p.Collection
	root, snapshot := v.Root(), v.Snapshot
	all := []sample{
		{repo.SlotKey(c, "root", root.Signed.Version), "root", root.Bytes(), int64(len(root.Bytes()))},
		{repo.SlotKey(c, "snapshot", snapshot.Signed.Version), "snapshot", snapshot.Bytes(), int64(len(snapshot.Bytes()))},
	}
	if t := v.Targets["targets"]; t != nil {
		all = append(all, sample{repo.SlotKey(c, "targets", t.Signed.Version), "targets", t.Bytes(), int64(len(t.Bytes()))})
	}
	targets, err := v.List(ctx)
	if err != nil || len(targets) == 0 {
		return all, err
	}
	least := targets[0]
	for _, t := range targets {
		if t.Length < least.Length && t.Length > 0 {
			least = t
		}
	}
	key, err := v.Key(least)
	return append(all, sample{key, "target " + strconv.Quote(least.Name), nil, least.Length}), err
}
