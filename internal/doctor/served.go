package doctor

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"publisher/internal/parallel"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// This file asks for everything that is published as clients do: each role and
// root, and targets up to a bound, as it is and compressed.

// An object is something published, and what it contains.
type object struct {
	key  string
	name string // as people call it
	tuf.TargetFile
	peek bool // what is said of it is enough: there is too much to read
}

// served is how an object is served.
type served struct {
	object
	plain  reply
	zipped *reply // nil if that was not asked for
}

// A reply is an answer to a request for an object, compared with it.
type reply struct {
	status int
	header http.Header
	wrong  error // what is served is not what was signed
	err    error // the server did not get so far
}

// Bounds of what is asked for. Nothing but metadata and small targets is worth
// asking for twice.
const (
	maxSample  = 500
	maxDeep    = 100 << 20 // bytes of targets
	maxZipped  = 1 << 20
	maxRoots   = 100
	askAtOnce  = 8
	maxFailing = 20
)

// sample is how much of the targets is looked at, nil for all.
func (p *Patient) sample() *repo.Sample {
	if p.Deep {
		return nil
	}
	return &repo.Sample{Targets: maxSample, Bytes: maxDeep, Seed: p.Unique}
}

// crawl asks for what is published, once.
func (p *Patient) crawl(ctx context.Context) ([]served, error) {
	if p.served != nil {
		return p.served, nil
	}
	objects, err := p.objects(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]served, len(objects))
	var failing failures
	err = parallel.Each(ctx, askAtOnce, len(objects), func(ctx context.Context, i int) error {
		s := served{object: objects[i], plain: p.fetch(ctx, objects[i], "Accept-Encoding", "identity")}
		if s.plain.err == nil && !s.peek && s.Length <= maxZipped {
			zipped := p.fetch(ctx, objects[i], "Accept-Encoding", "gzip", "Origin", origin)
			s.zipped = &zipped
		}
		all[i] = s
		return failing.count(s)
	})
	if err != nil && !errors.Is(err, errFailing) {
		return nil, err
	}
	p.served = all
	return all, nil
}

// errFailing ends a crawl that nothing comes of.
var errFailing = errors.New("too much fails")

type failures struct {
	mu sync.Mutex
	n  int
}

func (f *failures) count(s served) error {
	if s.plain.err == nil && (s.zipped == nil || s.zipped.err == nil) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n++; f.n > maxFailing {
		return errFailing
	}
	return nil
}

// objects is what is published.
func (p *Patient) objects(ctx context.Context) ([]object, error) {
	all, err := p.roots(ctx)
	if err != nil {
		return nil, err
	}
	v := p.view
	all = append(all, p.metadata(tuf.RoleSnapshot, v.Snapshot.Signed.Version, v.Snapshot.Bytes()))
	for _, role := range slices.Sorted(maps.Keys(v.Targets)) {
		f := v.Targets[role]
		all = append(all, p.metadata(role, f.Signed.Version, f.Bytes()))
	}
	targets, err := p.targets(ctx)
	return append(all, targets...), err
}

// metadata is the object of a role.
func (p *Patient) metadata(role string, version int64, data []byte) object {
	return object{
		key: repo.SlotKey(p.Collection, role, version), name: repo.RoleToNotary(role),
		TargetFile: tuf.TargetFile{Length: int64(len(data)), Hashes: map[string]string{"sha256": sum(data)}},
	}
}

func sum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// roots is the newest of them: clients come with any. One that cannot be read is
// for another check to find.
func (p *Patient) roots(ctx context.Context) ([]object, error) {
	newest := p.view.Root().Signed.Version
	var all []object
	for n := max(1, newest-maxRoots+1); n <= newest; n++ {
		data, _, err := storage.Read(ctx, p.source(), repo.SlotKey(p.Collection, tuf.RoleRoot, n), repo.MaxRoot)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			all = append(all, p.metadata(tuf.RoleRoot, n, data))
		case !errors.Is(err, fs.ErrNotExist):
			return all, nil // and so may be the rest
		}
	}
	return all, nil
}

// targets is a sample of them.
func (p *Patient) targets(ctx context.Context) ([]object, error) {
	listed, err := p.listed(ctx)
	if err != nil {
		return nil, err
	}
	look, read := p.pick(listed)
	var all []object
	for _, key := range look {
		t := listed[key]
		all = append(all, object{key, "target " + strconv.Quote(t.Name), t.TargetFile, !read[key]})
	}
	return all, nil
}

// pick chooses among targets as a Checker with the same sample does.
func (p *Patient) pick(listed map[string]repo.Target) (look []string, read map[string]bool) {
	files := map[string]tuf.TargetFile{}
	for key, t := range listed {
		files[key] = t.TargetFile
	}
	s := p.sample()
	if s == nil {
		s = &repo.Sample{Targets: len(files), Bytes: math.MaxInt64}
	}
	return s.Pick(files)
}

// fetch asks for an object and compares it with what it should be.
func (p *Patient) fetch(ctx context.Context, o object, header ...string) reply {
	var r reply
	size := o.Length
	if o.peek {
		size = 0
	}
	r.err = p.ask(ctx, http.MethodGet, escaped(o.key), nil, size, header, func(resp *http.Response) error {
		r.status, r.header = resp.StatusCode, resp.Header
		if resp.StatusCode != http.StatusOK {
			return nil
		}
		var err error
		r.wrong, err = o.compare(resp, header[1])
		return err
	})
	return r
}

// compare reads an answer. The error is of the way to it.
func (o object) compare(resp *http.Response, accepted string) (wrong, err error) {
	var body io.Reader = resp.Body
	switch encoding := resp.Header.Get("Content-Encoding"); {
	case encoding == "", encoding == "identity":
		if o.peek {
			return o.announced(resp), nil
		}
	case encoding != accepted:
		return fmt.Errorf("it is encoded (%s) for those who ask for %s", encoding, accepted), nil
	default:
		if body, err = gzip.NewReader(body); err != nil {
			return fmt.Errorf("what comes as %s is none: %w", encoding, err), nil
		}
	}
	digest, err := repo.NewDigest(o.Hashes)
	if err != nil {
		return err, nil
	}
	if _, err = io.Copy(digest, io.LimitReader(body, o.Length+1)); err != nil {
		if body != resp.Body && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("it cannot be decompressed: %w", err), nil
		}
		return nil, err
	}
	switch n := digest.Len(); {
	case n > o.Length:
		return fmt.Errorf("it has more than the %d bytes that were signed", o.Length), nil
	case n < o.Length:
		return fmt.Errorf("it has %d bytes, and not the %d that were signed", n, o.Length), nil
	}
	return digest.Check(), nil
}

// announced compares with what the header says.
func (o object) announced(resp *http.Response) error {
	if n := resp.ContentLength; n >= 0 && n != o.Length {
		return fmt.Errorf("it has %d bytes, and not the %d that were signed", n, o.Length)
	}
	return nil
}

// immutableCache: everything else may be kept for ever. What is told to caches in
// the same way is one finding.
func immutableCache(ctx context.Context, p *Patient, f *findings) error {
	all, err := p.crawl(ctx)
	var said []string
	short := map[string][]served{}
	for _, s := range all {
		if s.plain.err != nil || s.plain.status != http.StatusOK {
			continue
		}
		a := answer{header: s.plain.header}
		private := strings.Contains(strings.ToLower(a.header.Get("Cache-Control")), "private")
		if keep, known := a.fresh(); known && keep >= 24*time.Hour && !private {
			continue
		}
		text := a.header.Get("Cache-Control")
		if short[text] == nil {
			said = append(said, text)
		}
		short[text] = append(short[text], s)
	}
	for _, text := range said {
		first, more := short[text][0], ""
		if n := len(short[text]) - 1; n > 0 {
			more = fmt.Sprintf(", and %d more,", n)
		}
		f.add(Warning, fmt.Sprintf("%s (%s)%s may not be cached for long: Cache-Control is %q", first.name, first.key, more, text),
			"it never changes, and each client costs a request to the store", "serve it with Cache-Control: public, max-age=31536000, immutable")
	}
	return err
}

// checkThere lists what is wrong with what is served.
func (p *Patient) checkThere() string {
	return "publisher check " + p.Collection + " --deep --url " + p.Base
}

const passOn = "have the server pass on what the store has, without changing it"

// sameBytes: what is served is what was signed.
func sameBytes(ctx context.Context, p *Patient, f *findings) error {
	all, err := p.crawl(ctx)
	for _, s := range all {
		switch r := s.plain; {
		case r.err != nil:
			f.add(Error, fmt.Sprintf("%s (%s) cannot be read: %v", s.name, s.key, r.err), "clients fail there", "look at the server and the way to it: curl -v "+p.address(s.key))
		case r.status == 0, r.status/100 == 3: // not asked for; that redirects
		case r.status != http.StatusOK:
			f.add(Error, fmt.Sprintf("%s (%s) is answered with %d", s.name, s.key, r.status), "clients fail there", p.checkThere()+" lists all that is; without --url it reads the store")
		case r.wrong != nil && p.former(ctx, s.object, "identity"):
			f.add(Error, fmt.Sprintf("%s (%s) is served as it was in another collection: %v", s.name, s.key, r.wrong), whyFormer, p.purge())
		case r.wrong != nil:
			f.add(Error, fmt.Sprintf("%s (%s) is served with other bytes than were signed: %v", s.name, s.key, r.wrong), "clients refuse it", passOn)
		}
	}
	return err
}

// compression: what comes compressed is the same when it is not any more.
func compression(ctx context.Context, p *Patient, f *findings) error {
	all, err := p.crawl(ctx)
	if err != nil {
		return err
	}
	const do = "turn compression off for metadata/ and targets/, or have it done by the CDN alone"
	for _, s := range all {
		r := s.zipped
		switch {
		case r == nil, s.plain.status != http.StatusOK, s.plain.wrong != nil:
		case r.err != nil:
			f.add(Error, fmt.Sprintf("%s cannot be read by those who accept gzip: %v", s.name, r.err), "clients fail there", do)
		case r.status != http.StatusOK:
			f.add(Error, fmt.Sprintf("%s is answered with %d to those who accept gzip", s.name, r.status), "clients fail there", do)
		case r.wrong != nil && p.former(ctx, s.object, "gzip"):
			f.add(Error, fmt.Sprintf("%s is for those who accept gzip as it was in another collection: %v", s.name, r.wrong), whyFormer, p.purge())
		case r.wrong != nil:
			f.add(Error, fmt.Sprintf("%s is something else for those who accept gzip: %v", s.name, r.wrong), "clients refuse it", do)
		}
	}
	return p.zippedTimestamp(ctx, f, do)
}

// zippedTimestamp compares timestamp.json, as it is and compressed. A new one may
// come between the two.
func (p *Patient) zippedTimestamp(ctx context.Context, f *findings, do string) error {
	key := repo.TimestampKey(p.Collection)
	var r reply
	for range 3 {
		a, err := p.get(ctx, escaped(key), "Accept-Encoding", "identity")
		if err != nil || a.status != http.StatusOK {
			return err
		}
		if encoding := a.header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
			f.add(Error, fmt.Sprintf("timestamp.json is encoded (%s) for those who ask for it as it is", encoding), "clients refuse it", do)
			return nil
		}
		o := object{key: key, TargetFile: tuf.TargetFile{Length: int64(len(a.body)), Hashes: map[string]string{"sha256": sum(a.body)}}}
		if r = p.fetch(ctx, o, "Accept-Encoding", "gzip"); r.err == nil && r.status == http.StatusOK && r.wrong == nil {
			return nil
		}
	}
	if r.err != nil {
		return r.err
	}
	f.add(Error, "timestamp.json is something else for those who accept gzip", "clients refuse it, or see an old one", do)
	return nil
}

// origin is that of a page which has nothing to do with the collection.
const origin = "https://example.com"

// cors: pages of other origins may read it, errors included.
func cors(ctx context.Context, p *Patient, f *findings) error {
	missing := func(name string, header http.Header) bool {
		allowed := header.Get("Access-Control-Allow-Origin")
		if allowed == "*" || allowed == origin {
			return false
		}
		f.add(Warning, fmt.Sprintf("pages of other origins may not read %s", name), "TUF clients in browsers cannot update",
			"serve Access-Control-Allow-Origin: *, with 404s too")
		return true
	}
	root, err := p.newestRoot()
	if err != nil {
		return err
	}
	for _, key := range []string{
		repo.TimestampKey(p.Collection), repo.SlotKey(p.Collection, tuf.RoleRoot, root.Signed.Version+1),
	} {
		a, err := p.get(ctx, escaped(key), "Origin", origin)
		if err != nil {
			return err
		}
		if missing(key, a.header) {
			return nil
		}
	}
	if p.view == nil {
		return nil
	}
	all, err := p.crawl(ctx)
	for _, s := range all {
		if r := s.zipped; r != nil && r.err == nil && r.status == http.StatusOK && missing(s.key, r.header) {
			return nil
		}
	}
	return err
}

// address is where a key is served.
func (p *Patient) address(key string) string { return p.Base + "/" + escaped(key) }
