package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"publisher/repo"
)

// plusSigns: Debian versions have them, and some stores take them for spaces.
// Clients send them as they are, or escaped.
func plusSigns(ctx context.Context, p *Patient, f *findings) error {
	t, err := p.targetWith(ctx, "+")
	if err != nil {
		return err
	}
	if t == nil {
		return moot("no target has a plus sign in its name")
	}
	if err := p.othersServed(ctx, func(name string) bool { return !strings.Contains(name, "+") }); err != nil {
		return err
	}
	for _, written := range []string{"+", "%2B"} {
		write := func(path string) string { return strings.ReplaceAll(path, "+", written) }
		if err := p.asked(ctx, f, t, write, Error, "a plus sign written as "+written+" reaches the store as something else",
			"have the server pass on %2B for + (see request.js of the Terraform module)"); err != nil {
			return err
		}
	}
	return nil
}

func escapedSlashes(ctx context.Context, p *Patient, f *findings) error {
	t, err := p.targetWith(ctx, "/")
	if err != nil {
		return err
	}
	if t == nil {
		return moot("no target has a slash in its name")
	}
	if err := p.othersServed(ctx, func(name string) bool { return name == t.Name }); err != nil {
		return err
	}
	dir := escaped(repo.TargetsDir(p.Collection)) + "/"
	encode := func(path string) string { return dir + strings.ReplaceAll(strings.TrimPrefix(path, dir), "/", "%2F") }
	return p.asked(ctx, f, t, encode, Warning, "a slash written as %2F is not understood",
		"have the server decode %2F, or keep to clients that write a slash as it is")
}

// othersServed is moot unless the smallest of some targets is served by its usual
// path: where none is, that says nothing about how a name is written. Without any,
// one cannot tell.
func (p *Patient) othersServed(ctx context.Context, some func(name string) bool) error {
	t, err := p.target(ctx, some)
	if err != nil || t == nil {
		return err
	}
	fine, _, err := p.serves(ctx, t, func(path string) string { return path })
	if ctx.Err() == nil && (err != nil || !fine) {
		return moot(fmt.Sprintf("target %q is not served either: see bytes are as signed", t.Name))
	}
	return err
}

// serves asks for a target by a path of its own. Redirects have a check of their own.
func (p *Patient) serves(ctx context.Context, t *repo.Target, path func(string) string) (fine bool, status int, err error) {
	key, err := p.view.Key(*t)
	if err != nil {
		return false, 0, err
	}
	err = p.ask(ctx, http.MethodGet, path(escaped(key)), nil, t.Length, nil, func(resp *http.Response) error {
		n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, t.Length+1))
		status = resp.StatusCode
		fine = status/100 == 3 || status == http.StatusOK && n == t.Length
		return err
	})
	return fine, status, err
}

// asked asks for a target by a path of its own.
func (p *Patient) asked(ctx context.Context, f *findings, t *repo.Target, path func(string) string, s Severity, what, do string) error {
	fine, status, err := p.serves(ctx, t, path)
	if err != nil || fine {
		return err
	}
	f.add(s, fmt.Sprintf("%s: target %q is answered with %d", what, t.Name, status), "some clients cannot download it", do)
	return nil
}

// targetWith is a small target whose name has something in it, nil if there is
// none.
func (p *Patient) targetWith(ctx context.Context, text string) (*repo.Target, error) {
	return p.target(ctx, func(name string) bool { return strings.Contains(name, text) })
}

// target is the smallest of some targets, nil if there is none.
func (p *Patient) target(ctx context.Context, some func(name string) bool) (*repo.Target, error) {
	all, err := p.view.List(ctx)
	if err != nil {
		return nil, err
	}
	var found *repo.Target
	for i := range all {
		if some(all[i].Name) && (found == nil || all[i].Length < found.Length) {
			found = &all[i]
		}
	}
	return found, nil
}
