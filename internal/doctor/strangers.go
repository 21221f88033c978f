package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
)

// listings: nobody sees what else there is.
func listings(ctx context.Context, p *Patient, f *findings) error {
	dirs := []string{""}
	for segment := range strings.SplitSeq(repo.MetadataDir(p.Collection), "/") {
		dirs = append(dirs, dirs[len(dirs)-1]+escaped(segment)+"/")
	}
	for _, dir := range append(dirs, escaped(repo.TargetsDir(p.Collection))+"/") {
		a, err := p.get(ctx, dir)
		if err != nil {
			return err
		}
		if a.status == http.StatusOK && isListing(string(a.body)) {
			f.add(Warning, fmt.Sprintf("/%s lists what is there", dir), whyListing, "turn listings off: answer 404 for paths that end with a slash")
			return nil
		}
	}
	return p.bucketListing(ctx, f)
}

const whyListing = "names of what is not published yet are shown"

// bucketListing asks above the base, where that is a path: a bucket lists itself
// there. Pages of a server about other things are none of ours.
func (p *Patient) bucketListing(ctx context.Context, f *findings) error {
	u, err := url.Parse(p.Base)
	if err != nil {
		return err
	}
	at := &Patient{Base: u.Scheme + "://" + u.Host, Client: p.Client, Patience: p.Patience}
	dir := ""
	for segment := range strings.SplitSeq(strings.Trim(u.EscapedPath(), "/"), "/") {
		dir = strings.TrimPrefix(dir+"/"+segment, "/")
		a, err := at.get(ctx, dir)
		if err != nil {
			return err
		}
		if a.status == http.StatusOK && signs[0].MatchString(string(a.body)) {
			f.add(Warning, fmt.Sprintf("%s/%s lists the bucket", at.Base, dir), whyListing,
				"have the bucket's policy let everybody read objects (s3:GetObject), and nobody list them (s3:ListBucket)")
			return nil
		}
	}
	return nil
}

// signs is what listings of S3 and its kind have in them, of nginx and Apache, of
// Python and Caddy, and then of any other that shows what lies in these directories.
var signs = []*regexp.Regexp{
	regexp.MustCompile(`<ListBucketResult|<EnumerationResults`),
	regexp.MustCompile(`(?i)<title>\s*(Index of|Directory listing|Listing of|Contents of)`),
	regexp.MustCompile(`(?i)<pre>\s*<a href=`),
	regexp.MustCompile(`(?i)href="(\./|/[^"]*/)?metadata/?"[\s\S]*href="(\./|/[^"]*/)?targets/?"`),
	regexp.MustCompile(`"name"\s*:\s*"[^"]*"[^{}]*"type"\s*:\s*"(directory|file)"`),
	regexp.MustCompile(`timestamp\.json`),
}

func isListing(text string) bool {
	return slices.ContainsFunc(signs, func(r *regexp.Regexp) bool { return r.MatchString(text) })
}

// anonymousWrites: whoever only has the URL cannot write. What is sent is what is
// there already, on the condition that nothing is: where that is taken, nothing has
// changed.
func anonymousWrites(ctx context.Context, p *Patient, f *findings) error {
	key := escaped(repo.SlotKey(p.Collection, tuf.RoleRoot, 1))
	there, err := p.get(ctx, key)
	if err != nil {
		return err
	}
	if there.status != http.StatusOK || there.cut {
		return moot("the first root is not served")
	}
	status, text, err := p.try(ctx, http.MethodPut, key, there.body, "If-None-Match", "*")
	if err != nil {
		return err
	}
	// Servers that know no methods answer as to a GET.
	taken := status == http.StatusCreated || status == http.StatusNoContent || status == http.StatusOK && text == ""
	if taken || status == http.StatusPreconditionFailed && strings.Contains(text, "PreconditionFailed") {
		f.add(Error, fmt.Sprintf("anybody may write: PUT /%s without credentials is answered with %d", key, status),
			"anybody may destroy the collection", "have the server refuse all methods but GET and HEAD, and the bucket's policy all writers but those who publish")
	}
	if p.Unique == "" {
		return nil
	}
	key = escaped(repo.ProbeKey(p.Collection, p.Unique) + "-never")
	if status, _, err = p.try(ctx, http.MethodDelete, key, nil); err == nil && (status == http.StatusNoContent || status == http.StatusAccepted) {
		f.add(Error, fmt.Sprintf("anybody may delete: DELETE /%s without credentials is answered with %d", key, status),
			"anybody may destroy the collection", "have the server refuse all methods but GET and HEAD, and the bucket's policy all writers but those who publish")
	}
	return err
}

// try makes a request that should be refused. A connection that ends is a refusal.
func (p *Patient) try(ctx context.Context, method, path string, body []byte, header ...string) (status int, text string, err error) {
	err = p.ask(ctx, method, path, body, 0, header, func(resp *http.Response) error {
		start, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		status, text = resp.StatusCode, string(start)
		return err
	})
	if err != nil && ctx.Err() == nil {
		return 0, "", nil
	}
	return status, text, err
}

// maxServed is how many objects of the inbox are asked for at the URL.
const maxServed = 3

// inboxServed: what lies in the private store is not to be had at the URL.
func inboxServed(ctx context.Context, p *Patient, f *findings) error {
	asked := 0
	for e, err := range p.inbox.List(ctx, p.Collection+"/") {
		if err != nil {
			return err
		}
		if _, ok := repo.ParsePrivate(e.Key); !ok {
			continue
		}
		a, err := p.get(ctx, escaped(e.Key))
		if err != nil {
			return err
		}
		if a.status == http.StatusOK && int64(len(a.body)) == e.Size {
			f.add(Error, fmt.Sprintf("/%s is served, and lies in the inbox", escaped(e.Key)), "everybody sees what is about to be published, and the sealed keys",
				"keep the inbox in a bucket of its own, or have the server refuse its prefix")
			return nil
		}
		if asked++; asked == maxServed {
			return nil
		}
	}
	return nil
}
