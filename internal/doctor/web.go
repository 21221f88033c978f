package doctor

import (
	"bytes"
	"cmp"
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
)

// maxAnswer is how much of an answer is read that is not compared with anything.
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
	var a *answer
	err := p.ask(ctx, http.MethodGet, path, nil, maxAnswer, header, func(resp *http.Response) error {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		a = &answer{path: path, status: resp.StatusCode, header: resp.Header, body: body, tls: resp.TLS}
		if a.cut = len(body) > maxAnswer; a.cut {
			a.body = body[:maxAnswer]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// ask makes a request and hands the answer to use. The time for both is limited
// by how many bytes there may be. Once more is tried where a connection breaks:
// that happens.
func (p *Patient) ask(
	ctx context.Context, method, path string, body []byte, size int64, header []string, use func(*http.Response) error,
) error {
	limit := p.limit(size)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := p.request(limited, method, path, body, header, use)
	if err != nil && limited.Err() == nil {
		err = p.request(limited, method, path, body, header, use)
	}
	if limited.Err() != nil && ctx.Err() == nil { // what came until then may look whole
		return fmt.Errorf("%s /%s: not done after %v: %w", method, path, limit, limited.Err())
	}
	return err
}

func (p *Patient) request(ctx context.Context, method, path string, body []byte, header []string, use func(*http.Response) error) error {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(p.Base, "/")+"/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := use(resp); err != nil {
		return fmt.Errorf("read /%s: %w", path, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, answer{path: path, status: resp.StatusCode, header: resp.Header})
	return nil
}

// leastSpeed is how many bytes a second an answer must come at.
const leastSpeed = 64 << 10

// limit is how long an answer of so many bytes may take.
func (p *Patient) limit(size int64) time.Duration {
	return cmp.Or(p.Patience, time.Minute) + time.Duration(size/leastSpeed)*time.Second
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

// told is the headers by which a server tells caches how long to keep an answer:
// all of them, and those of a CDN (RFC 9213).
var told = []string{"Cache-Control", "CDN-Cache-Control", "Surrogate-Control"}

// fresh is for how long caches may serve the answer without asking first; known is
// false if it does not say.
func (a *answer) fresh() (d time.Duration, known bool) {
	for _, name := range told {
		if keep, ok := directives(strings.Join(a.header.Values(name), ",")); ok {
			d, known = max(d, keep), true
		}
	}
	if known {
		return d, true
	}
	return a.expires()
}

// directives reads a Cache-Control: RFC 9111, section 5.2.2, and RFC 5861, section 3.
func directives(text string) (d time.Duration, known bool) {
	var stale time.Duration
	for directive := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		n, ok := seconds(strings.Trim(value, `"`))
		switch {
		case name == "no-cache", name == "no-store":
			return 0, true
		case ok && (name == "max-age" || name == "s-maxage"):
			d, known = max(d, n), true
		case ok && name == "stale-while-revalidate":
			stale = n
		}
	}
	if stale > 0 {
		return d + stale, true
	}
	return d, known
}

// expires reads the older header; RFC 9111, section 5.3: what is no date is past.
func (a *answer) expires() (time.Duration, bool) {
	text := a.header.Get("Expires")
	if text == "" {
		return 0, false
	}
	at, err := http.ParseTime(text)
	date, errDate := http.ParseTime(a.header.Get("Date"))
	if err != nil || errDate != nil {
		return 0, true
	}
	return max(0, at.Sub(date)), true
}
