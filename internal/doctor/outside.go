package doctor

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// outside is what a puller would meet. Without an answer to the first check there
// are none to the others. Redirects come last: they are seen in the answers to
// all others.
var outside = []check{
	{"reachable", needsAddress, reachable},
	{"next root", needsAddress, nextRoot},
	{"missing is not remembered", needsAddress, negativeCache},
	{"timestamp is not cached", needsServed, timestampCache},
	{"edge is up to date", needsBothSides, staleEdge},
	{"the rest is cached", needsURL, immutableCache},
	{"bytes are as signed", needsURL, sameBytes},
	{"compression", needsURL, compression},
	{"CORS", needsServed, cors},
	{"TLS", needsAddress, transportSecurity},
	{"plus signs", needsURL, plusSigns},
	{"slashes as %2F", needsURL, escapedSlashes},
	{"clock of the server", needsAddress, serverClock},
	{"listings", needsAddress, listings},
	{"nobody may write", needsAddress, anonymousWrites},
	{"inbox is not served", needsInboxAndAddress, inboxServed},
	{"redirects", needsAddress, redirects},
}

// needsServed is for checks of what is served, whether it verifies or not.
func needsServed(p *Patient) string {
	if why := needsAddress(p); why != "" {
		return why
	}
	return needsPublished(p)
}

func needsBothSides(p *Patient) string {
	if why := needsServed(p); why != "" {
		return why
	}
	return needsPlace(p)
}

func needsInboxAndAddress(p *Patient) string {
	if why := needsAddress(p); why != "" {
		return why
	}
	return needsInbox(p)
}

func needsURLAndStore(p *Patient) string {
	if why := needsURL(p); why != "" {
		return why
	}
	return needsStore(p)
}

// reachable: the server answers, whatever it says.
func reachable(ctx context.Context, p *Patient, f *findings) error {
	_, err := p.get(ctx, escaped(repo.TimestampKey(p.Collection)))
	if err == nil {
		return doubled(ctx, p, f)
	}
	if ctx.Err() != nil {
		return err
	}
	p.unreachable = fmt.Sprintf("%s does not answer: %v", hostOf(p.Base), err)
	f.add(Error, p.unreachable, "nobody can update", "look at the URL, its DNS name, its certificate and the server: curl -v "+p.Base)
	return nil
}

// doubled finds a URL that ends with the name of the collection, which clients add:
// nothing is served there, and all of it without that end.
func doubled(ctx context.Context, p *Patient, f *findings) error {
	base := strings.TrimRight(p.Base, "/")
	above, ends := strings.CutSuffix(base, "/"+escaped(p.Collection))
	if !ends {
		return nil
	}
	key := escaped(repo.SlotKey(p.Collection, tuf.RoleRoot, 1))
	here, err := p.get(ctx, key)
	if err != nil || here.status == http.StatusOK {
		return err
	}
	at := &Patient{Base: above, Client: p.Client, Patience: p.Patience}
	there, err := at.get(ctx, key)
	if err != nil || there.status != http.StatusOK {
		return err
	}
	p.unreachable = fmt.Sprintf("the URL %s ends with the name of the collection, which clients add themselves", base)
	f.add(Error, p.unreachable, "they ask for "+base+"/"+key+", which is not there", "publisher doctor "+p.Collection+" --url "+above+", and correct it where it is set: publisher trust set "+p.Collection+" --url "+above)
	return nil
}

const whyNextRoot = "clients look for the next root at every update, and end that search on 404 alone"

// nextRoot: what is not there is 404.
func nextRoot(ctx context.Context, p *Patient, f *findings) error {
	a, err := p.askNext(ctx)
	if err != nil {
		return err
	}
	switch {
	case a.status == http.StatusNotFound, a.status/100 == 3:
	case a.status == http.StatusForbidden:
		f.add(Error, "the next root, which is not there yet, is answered with 403", whyNextRoot+": go-tuf and others fail",
			"let the server's credentials list the bucket (s3:ListBucket), so that it can tell what is missing from what is forbidden")
	case a.status == http.StatusOK:
		f.add(Error, "something is served in place of the next root, which is not there", whyNextRoot+": all of them fail",
			"serve 404 for what is missing, no page")
	default:
		f.add(Error, fmt.Sprintf("the next root, which is not there yet, is answered with %d", a.status), whyNextRoot, "serve 404 for what is missing")
	}
	return nil
}

// maxHops is how many roots that are not known here are followed.
const maxHops = 32

// askNext asks for the first root that is not there: after the newest one that
// is known to verify, and those that follow from it.
func (p *Patient) askNext(ctx context.Context) (*answer, error) {
	root, err := p.newestRoot()
	if err != nil {
		return nil, err
	}
	for range maxHops {
		a, err := p.get(ctx, escaped(repo.SlotKey(p.Collection, tuf.RoleRoot, root.Signed.Version+1)))
		if err != nil || a.status != http.StatusOK {
			return a, err
		}
		next, err := tuf.Parse[tuf.Root](a.body, repo.MaxRoot)
		if err != nil || !follows(root, next) {
			return a, nil
		}
		root = next
	}
	return nil, moot(fmt.Sprintf("more than %d new roots are served", maxHops))
}

// newestRoot is that of the view, or else the trusted one.
func (p *Patient) newestRoot() (*tuf.File[tuf.Root], error) {
	if p.view != nil {
		return p.view.Root(), nil
	}
	root, err := tuf.Parse[tuf.Root](p.Trusted, repo.MaxRoot)
	if err != nil {
		return nil, fmt.Errorf("read trusted root: %w", err)
	}
	return root, nil
}

// follows reports whether clients go on from root to next; TUF specification,
// section 5.3.4 and 5.3.5.
func follows(root, next *tuf.File[tuf.Root]) bool {
	signed := func(by *tuf.File[tuf.Root]) bool {
		return next.Verify(tuf.RoleRoot, by.Signed.Roles[tuf.RoleRoot], by.Signed.Keys) == nil
	}
	return next.Signed.Version == root.Signed.Version+1 && signed(root) && signed(next)
}

// What to do about caches that keep too much.
const (
	dontKeep404       = "set the time for which errors are cached to 0 (error_caching_min_ttl in CloudFront, proxy_cache_valid without 404 in nginx)"
	dontKeepTimestamp = "serve timestamp.json with Cache-Control: no-cache, and have caches pass it on"
)

// negativeCache: nobody remembers that the next root is missing.
func negativeCache(ctx context.Context, p *Patient, f *findings) error {
	var last *answer
	for range 3 {
		a, err := p.askNext(ctx)
		if err != nil {
			return err
		}
		last = a
	}
	if last.status != http.StatusNotFound && last.status != http.StatusForbidden {
		return nil
	}
	keep, known := last.fresh()
	if last.cached() || known && keep > 0 {
		f.add(Error, "the answer that the next root is missing is cached",
			"after a rotation clients go on with the old root, and refuse what the new keys sign", dontKeep404)
	}
	return nil
}

// maxTimestampAge is how old a timestamp may come out of a cache at most.
const maxTimestampAge = time.Minute

// timestampCache: timestamp.json is always the newest.
func timestampCache(ctx context.Context, p *Patient, f *findings) error {
	path := escaped(repo.TimestampKey(p.Collection))
	var last *answer
	for range 3 {
		a, err := p.get(ctx, path)
		if err != nil {
			return err
		}
		last = a
	}
	if f.unserved(p, last) || last.status/100 == 3 {
		return nil
	}
	keep, known := last.fresh()
	const do = dontKeepTimestamp
	switch {
	case last.cached():
		f.add(Error, "timestamp.json comes out of a cache", "what was published is seen late, and an expired timestamp is served although there is a new one", do)
	case !known:
		f.add(Error, "timestamp.json has no Cache-Control", "caches on the way keep it for as long as they like", do)
	case keep > maxTimestampAge:
		f.add(Error, fmt.Sprintf("timestamp.json may be cached for %v", keep), "what was published is seen that late", do)
	}
	return nil
}

// unserved reports an answer to the request for timestamp.json that is none.
// Redirects have a check of their own.
func (f *findings) unserved(p *Patient, a *answer) bool {
	if a.status == http.StatusOK || a.status/100 == 3 {
		return false
	}
	f.add(Error, fmt.Sprintf("timestamp.json is answered with %d", a.status), "no client can update",
		"look at what "+hostOf(p.Base)+" serves, and from which bucket or directory")
	return true
}

// askEdges is how often timestamp.json is asked for: several edges may take turns.
const askEdges = 5

// staleEdge: what is served is what the store has.
func staleEdge(ctx context.Context, p *Patient, f *findings) error {
	for range askEdges {
		data, _, err := storage.Read(ctx, p.store, repo.TimestampKey(p.Collection), repo.MaxTimestamp)
		if err != nil {
			return err
		}
		a, err := p.get(ctx, escaped(repo.TimestampKey(p.Collection)))
		if err != nil || f.unserved(p, a) || a.status != http.StatusOK {
			return err
		}
		if bytes.Equal(a.body, data) {
			continue
		}
		if err := p.compareTimestamps(f, a.body, data); err != nil || len(f.all) > 0 {
			return err
		}
	}
	return nil
}

// compareTimestamps tells why what is served is not what the store had before.
func (p *Patient) compareTimestamps(f *findings, served, stored []byte) error {
	there, err := tuf.Parse[tuf.Timestamp](stored, repo.MaxTimestamp)
	if err != nil {
		return fmt.Errorf("read timestamp.json of the store: %w", err)
	}
	here, err := tuf.Parse[tuf.Timestamp](served, repo.MaxTimestamp)
	switch {
	case err != nil:
		f.add(Error, "what is served as timestamp.json is none", "no client takes anything", "look at what "+hostOf(p.Base)+" serves")
	case here.Signed.Version > there.Signed.Version: // published meanwhile
	case here.Signed.Version == there.Signed.Version:
		f.add(Error, fmt.Sprintf("timestamp %d is served with other bytes than the store has", here.Signed.Version),
			"clients refuse it, or believe somebody else", "purge timestamp.json from the cache; if that does not help, find out who writes it")
	default:
		f.add(Error, fmt.Sprintf("timestamp %d is served, the store has %d", here.Signed.Version, there.Signed.Version),
			"pullers do not see what was published", "purge timestamp.json from the cache, and keep it out of it; or bring the mirror up to date: publisher mirror")
	}
	return nil
}

// soonExpires is when a certificate that nobody has renewed is a sign of trouble.
const soonExpires = 14 * 24 * time.Hour

func transportSecurity(ctx context.Context, p *Patient, f *findings) error {
	if u, err := url.Parse(p.Base); err == nil && u.Scheme != "https" {
		if ip := u.Hostname(); ip != "127.0.0.1" && ip != "::1" && ip != "localhost" {
			f.add(Error, "it is served over plain HTTP", "whoever is on the way can freeze clients at an old version, and see what they use", "serve it over HTTPS")
		}
		return nil
	}
	a, err := p.get(ctx, escaped(repo.TimestampKey(p.Collection)))
	if err != nil || a.tls == nil || len(a.tls.PeerCertificates) == 0 {
		return err
	}
	if left := a.tls.PeerCertificates[0].NotAfter.Sub(p.Now); left < soonExpires {
		f.add(Warning, fmt.Sprintf("the certificate of %s expires in %v", hostOf(p.Base), left.Round(time.Hour)), "then nobody can update", "renew it, and find out why nothing has")
	}
	return nil
}

func serverClock(ctx context.Context, p *Patient, f *findings) error {
	a, err := p.get(ctx, escaped(repo.TimestampKey(p.Collection)))
	if err != nil {
		return err
	}
	at, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return moot("the server does not say what time it is")
	}
	// A cached answer has the date of when it was made.
	at = at.Add(a.age())
	p.compareClocks(f, "the server "+hostOf(p.Base), at)
	return nil
}

func (p *Patient) compareClocks(f *findings, who string, there time.Time) {
	if d := p.Now.Sub(there); d.Abs() > repo.MaxSkew {
		p.clocks = append(p.clocks, there)
		f.add(Error, fmt.Sprintf("the clock here and that of %s are %v apart", who, d.Abs().Round(time.Second)),
			"what is signed is dated wrongly, and expiry is judged wrongly", "set the clock that is wrong (timedatectl status)")
	}
}

// redirects: no answer so far was one.
func redirects(_ context.Context, p *Patient, f *findings) error {
	for _, a := range p.seen {
		if a.status/100 == 3 {
			f.add(Error, fmt.Sprintf("/%s is redirected to %s", a.path, a.header.Get("Location")), "several TUF clients follow no redirects",
				"give clients the address that it leads to, or serve it here")
			return nil
		}
	}
	return nil
}
