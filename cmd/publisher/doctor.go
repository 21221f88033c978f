package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"publisher/internal/config"
	"publisher/internal/doctor"
	"publisher/repo"
	"publisher/trust"
)

func newDoctor(a *app) *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:   "doctor COLLECTION | URL",
		Short: "Find what is wrong with how a collection is kept and served",
		Long: `Find what is wrong with how a collection is kept and served, before clients do:
from outside, at the URL that it is served at (--url, or that of the collection),
and from inside, with the credentials at hand, in its store and its inbox. With a
URL in place of the collection, that ends with the name of one that is trusted
here, it looks from outside alone.

Each finding says what is wrong, why it hurts, and what to do. An error is what
makes some client, publisher or signer fail, now or in a case that will come; exit
code 1 says that there are any. All metadata is read, and of the targets 500, and
100 MB, at most: another choice each time, and --deep reads all. Nothing is changed,
but for small objects by which writers race and caches are tried, and which are
removed again.`,
		Example: `  publisher doctor example.com/scripts --url https://updates.example.com
  publisher doctor https://updates.example.com/example.com/scripts --json`,
		GroupID: groupKeep,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.doctor(cmd.Context(), args[0], deep)
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "read every target, however many there are")
	return cmd
}

func (a *app) doctor(ctx context.Context, what string, deep bool) error {
	p, err := a.examined(ctx, what)
	if err != nil {
		return err
	}
	p.Deep = deep
	stop := a.wait("examining")
	report, err := p.Examine(ctx)
	stop()
	if err != nil {
		return err
	}
	if err := a.result(report, func(w io.Writer) error { return a.printReport(w, p.Collection, report) }); err != nil {
		return err
	}
	if n := report.Errors(); n > 0 {
		return &cliError{
			err:  fmt.Errorf("%s: %s", p.Collection, counted(n, "error")),
			hint: "do what stands beside each, and run the same command again", code: exitFailed,
		}
	}
	return nil
}

// examined is the patient of a doctor, with all ways to it that are known.
func (a *app) examined(ctx context.Context, what string) (*doctor.Patient, error) {
	name, inside := what, true
	if strings.Contains(what, "://") {
		var err error
		if name, err = a.collectionAt(what); err != nil {
			return nil, err
		}
		if a.given[config.URL] != "" {
			return nil, usage("publisher doctor "+quoted(what), "--url contradicts the URL that stands for the collection")
		}
		a.given[config.URL], inside = strings.TrimSuffix(strings.TrimRight(what, "/"), "/"+name), false
	}
	c, s, err := a.known(name)
	if err != nil {
		return nil, err
	}
	p := &doctor.Patient{Collection: name, Now: a.now(), Unique: ulid.Make().String()}
	if p.Trusted, err = c.Cache().Get(rootFile); err != nil {
		return nil, fmt.Errorf("read trusted root: %w", err)
	}
	// Before the store is read: others may see something newer meanwhile.
	if p.Timestamp, err = readCached(c, "timestamp.json"); err != nil {
		return nil, err
	}
	if p.Snapshot, err = readCached(c, "snapshot.json"); err != nil {
		return nil, err
	}
	if err := a.fromOutside(ctx, p, s); err != nil || !inside {
		return p, err
	}
	return p, a.fromInside(ctx, p)
}

// fromOutside adds the URL, if one is known.
func (a *app) fromOutside(ctx context.Context, p *doctor.Patient, s trust.Settings) (err error) {
	layers := a.layers(p.Collection, s)
	if p.Base = valueOf(layers, config.URL).value; p.Base == "" {
		p.Source, err = a.source(ctx, p.Collection, s)
		return err
	}
	if p.Source, err = a.webSource(layers, p.Base); err != nil {
		return err
	}
	conf, err := tlsConfig(layers)
	p.Client = examiner(conf)
	return err
}

// fromInside adds the stores, as far as they are known.
func (a *app) fromInside(ctx context.Context, p *doctor.Patient) error {
	c := a.trust.Collection(p.Collection)
	store, err := a.publicStore(ctx, c)
	var unknown *cliError
	switch {
	case errors.As(err, &unknown) && unknown.code == exitNotFound:
		return nil
	case err != nil:
		return err
	}
	settings, err := a.settings(c)
	if err != nil {
		return err
	}
	p.Store, p.StoreName, p.InboxName = store, shownStore(settings.Store), shownStore(settings.Inbox)
	p.Local = storeDir(settings.Store) != ""
	g := &gc{app: a, c: c}
	p.Pending = g.pending
	signer, err := a.online(ctx, c)
	if err != nil || signer == nil {
		return err
	}
	p.Signer, p.Together = signer.examined(), checkApart(settings.Store, settings.Inbox)
	if g.box, err = signer.box(ctx, signer.inbox); err != nil {
		return err
	}
	p.Inbox = g.box.Store
	p.Anybody, err = openAnonymous(ctx, signer.inbox)
	return err
}

// collectionAt is the one that is trusted here and whose name a URL ends with.
func (a *app) collectionAt(address string) (string, error) {
	all, err := a.trust.Collections()
	if err != nil {
		return "", err
	}
	found := ""
	for _, name := range all {
		if strings.HasSuffix(strings.TrimRight(address, "/"), "/"+name) && len(name) > len(found) {
			found = name
		}
	}
	if found == "" {
		return "", &cliError{
			err:  fmt.Errorf("no collection that is trusted here is what %s ends with", printable(address)),
			hint: "publisher trust add COLLECTION --root FILE --url URL, then publisher doctor COLLECTION", code: exitNotFound,
		}
	}
	return found, repo.CheckCollection(found)
}

// examiner is a client that shows what is served, as it is.
func examiner(conf *tls.Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig, t.DisableCompression = conf, true
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (a *app) printReport(w io.Writer, name string, r *doctor.Report) error {
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "%s: %s: %s\n  why: %s\n  do:  %s\n", f.Severity, f.Check, printable(f.What), f.Why, f.Do); err != nil {
			return err
		}
	}
	for _, s := range r.Skipped {
		if !s.Denied {
			a.debugf("not examined: %s: %s", s.Check, oneLine(s.Why))
		} else if _, err := fmt.Fprintf(w, "not examined: %s: %s\n", s.Check, oneLine(s.Why)); err != nil {
			return err
		}
	}
	for _, passed := range r.Passed {
		a.debugf("fine: %s", passed)
	}
	if r.Unpublished {
		if _, err := fmt.Fprintf(w, "%s is not published yet: publisher publish %[1]s\n", name); err != nil {
			return err
		}
	}
	if l := r.Looked; l.Targets < l.Of {
		if _, err := fmt.Fprintf(w, "%d of %s were read; --deep reads all\n", l.Targets, counted(l.Of, "target")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s: %s, %s; %s passed, %d not made\n", name, counted(r.Errors(), "error"),
		counted(len(r.Findings)-r.Errors(), "warning"), counted(len(r.Passed), "check"), len(r.Skipped))
	return err
}
