// Package doctor finds out what is wrong with how a collection is kept and
// served: from outside, as pullers meet it, and from inside, with the credentials
// of whoever asks. It changes nothing but for objects by which it lets writers
// race and tries caches, and which it removes.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// Severity says whether something is broken or only bad.
type Severity string

// The severities. An Error means that some client, publisher or signer fails, now
// or in a foreseeable case.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Finding is one thing that is wrong.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Why      string   `json:"why"` // it hurts
	Do       string   `json:"do"`  // to type, or to change
}

// Skipped is a check that could not be made.
type Skipped struct {
	Check string `json:"check"`
	Why   string `json:"why"`

	// Denied says that it might be made with other credentials.
	Denied bool `json:"denied,omitempty"`
}

// Looked is how many of the targets were read, and how many there are.
type Looked struct {
	Targets int `json:"targets"`
	Of      int `json:"of"`
}

// Report is what an examination has found.
type Report struct {
	Findings []Finding `json:"findings"`
	Passed   []string  `json:"passed"`
	Skipped  []Skipped `json:"skipped"`
	Looked   Looked    `json:"looked"`

	// Unpublished says that there is nothing of the collection yet but its root.
	Unpublished bool `json:"unpublished,omitempty"`
}

// Errors is how many findings are errors.
func (r *Report) Errors() (n int) {
	for _, f := range r.Findings {
		if f.Severity == Error {
			n++
		}
	}
	return n
}

// A Patient is a collection, and the ways to it that are known.
type Patient struct {
	Collection string
	Trusted    []byte         // its newest trusted root
	Timestamp  []byte         // the one verified last here, nil for none
	Snapshot   []byte         // likewise
	Source     storage.Getter // what it is read from where no store answers
	Now        time.Time
	Deep       bool // read every target

	// Patience is how long an answer may take, beside the time that its length is
	// worth; zero for a minute.
	Patience time.Duration

	Base   string       // the URL that it is served below, empty if none is known
	Client *http.Client // follows no redirects, asks for no compression by itself

	Store                storage.Store // that it is published to, nil if none is known
	Inbox                storage.Store // of its online signer, nil if there is none
	StoreName, InboxName string        // their addresses, as people know them
	Local                bool          // they are directories, of whoever asks: nobody is kept out

	Anybody  storage.Store // the inbox, as it answers without credentials; nil if it cannot be asked so
	Together error         // why store and inbox are one place, by their addresses; nil if they are not

	Signer *Signer // nil if there is none, or if it cannot be asked

	// Pending is role files that somebody may publish still, nil for none.
	Pending func(ctx context.Context) ([]map[string][]byte, error)

	Unique string // makes the name of an object that nobody else has

	store, inbox         storage.Store // as far as they answer, and with limits to how long each request takes
	storeAway, inboxAway string        // why they are not asked, empty if they are

	storeHangs, inboxHangs atomic.Int32

	view   *repo.View
	served []served // what is published, as it is served
	looked Looked

	mu   sync.Mutex
	seen []answer // without their bodies

	unreachable string      // why the URL does not answer, empty if it does
	unpublished bool        // and never was
	swaps       bool        // the store has shown that it compares before it swaps
	skewed      bool        // the clock here and the store's differ
	clocks      []time.Time // what others say that the time is, where it is not ours
	open        bool        // anybody may read the inbox
}

// A check is one examination.
type check struct {
	name  string
	needs func(*Patient) string // why it cannot be made, empty if it can
	run   func(context.Context, *Patient, *findings) error
}

// findings is what one check has found.
type findings struct {
	check string
	all   []Finding
}

// maxOfOne is how many findings of one check are told.
const maxOfOne = 20

// add notes a finding. Of very many of one check the first are told, and that
// there are more.
func (f *findings) add(s Severity, what, why, do string) {
	switch n := len(f.all); {
	case n < maxOfOne:
		f.all = append(f.all, Finding{f.check, s, what, why, do})
	case n == maxOfOne:
		f.all = append(f.all, Finding{f.check, s, "and there is more of this kind", why, do})
	}
}

// checks is all of them, in the order in which they are reported. Whether the URL
// and the stores answer is found out before anything is read from them.
var (
	first  = slices.Concat(outside[:1], reach)
	checks = slices.Concat(outside[1:], published, inside)
)

// moot is why a check says nothing of this collection.
type moot string

func (m moot) Error() string { return string(m) }

// Examine makes every check that can be made. One that fails is a finding: what
// fails here fails for others. Only what these credentials may not look at is
// among the skipped.
func (p *Patient) Examine(ctx context.Context) (*Report, error) {
	r := &Report{Findings: []Finding{}, Passed: []string{}, Skipped: []Skipped{}}
	p.view, p.served, p.seen, p.looked = nil, nil, nil, Looked{}
	p.unreachable, p.unpublished, p.swaps, p.skewed, p.open = "", false, false, false, false
	p.store, p.inbox = p.timed(p.Store, p.StoreName, &p.storeHangs), p.timed(p.Inbox, p.InboxName, &p.inboxHangs)
	p.storeHangs.Store(0)
	p.inboxHangs.Store(0)
	p.storeAway, p.inboxAway, p.clocks = "", "", nil
	if err := p.make(ctx, r, first); err != nil {
		return nil, err
	}
	if needsSource(p) == "" {
		if err := p.load(ctx, r); err != nil {
			return nil, err
		}
	}
	if err := p.make(ctx, r, checks); err != nil {
		return nil, err
	}
	r.Looked = p.looked
	return r, nil
}

// make makes those of the checks that can be made.
func (p *Patient) make(ctx context.Context, r *Report, checks []check) error {
	for _, c := range checks {
		p.giveUp()
		if why := c.needs(p); why != "" {
			r.Skipped = append(r.Skipped, Skipped{Check: c.name, Why: why})
			continue
		}
		f := &findings{check: c.name}
		err := c.run(ctx, p, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.add(f, err)
	}
	return nil
}

// add notes how a check has ended.
func (r *Report) add(f *findings, err error) {
	_, none := errors.AsType[moot](err)
	switch {
	case none:
		r.Skipped = append(r.Skipped, Skipped{Check: f.check, Why: err.Error()})
	case errors.Is(err, fs.ErrPermission) && len(f.all) == 0:
		r.Skipped = append(r.Skipped, Skipped{f.check, err.Error(), true})
	case err != nil:
		f.add(Error, fmt.Sprintf("it cannot be found out: %v", err), "what fails here fails for clients and publishers too", "look at the server and the way to it, and run the same command again")
	case len(f.all) == 0:
		r.Passed = append(r.Passed, f.check)
	}
	r.Findings = append(r.Findings, f.all...)
}

// load verifies the collection, as far as it goes. What is wrong with it is
// found by checks that need no view. One that is not published yet is as it should
// be.
func (p *Patient) load(ctx context.Context, r *Report) error {
	l := &repo.Loader{
		Source: p.source(), Collection: p.Collection, Cache: repo.NewMemoryCache(p.Trusted),
		Now: p.Now, IgnoreExpiry: true,
	}
	v, err := l.Load(ctx)
	if err == nil && v.Published() {
		_, err = v.List(ctx)
	} else if err == nil {
		if err = p.neverPublished(ctx, v); err == nil {
			r.Unpublished, p.unpublished = true, true
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.Findings = append(r.Findings, Finding{
			"load", Error, fmt.Sprintf("it cannot be read: %v", err),
			"no client takes anything", "publisher check " + p.Collection,
		})
		return nil
	}
	p.view = v
	listed, err := p.listed(ctx)
	_, read := p.pick(listed)
	p.looked = Looked{len(read), len(listed)}
	return err
}

// neverPublished fails for a collection that has no timestamp although it was
// published: one was seen here, or what only a publish writes is there. Where the
// store has nothing at all, but for what init leaves, nobody has.
func (p *Patient) neverPublished(ctx context.Context, v *repo.View) error {
	if p.Timestamp != nil {
		return errors.New("timestamp.json is gone: one was verified here before")
	}
	if p.store == nil {
		_, err := storage.Stat(ctx, p.source(), repo.SlotKey(p.Collection, tuf.RoleRoot, v.Root().Signed.Version))
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("nothing of it is served there, not even its root")
		}
		return err
	}
	for e, err := range p.store.List(ctx, repo.MetadataDir(p.Collection)+"/") {
		if err != nil {
			return err
		}
		if role, _, ok := repo.ParseSlot(path.Base(e.Key)); ok && role == tuf.RoleSnapshot {
			return fmt.Errorf("timestamp.json is gone, and %s is there", path.Base(e.Key))
		}
	}
	return nil
}

// needsSource is for what is read from where the collection is read.
func needsSource(p *Patient) string {
	switch {
	case p.store != nil:
		return ""
	case p.Base == "":
		return p.storeAway
	}
	return p.unreachable
}

func needsPublished(p *Patient) string {
	if why := needsSource(p); why != "" {
		return why
	}
	if p.unpublished {
		return "it is not published yet"
	}
	return ""
}

func needsView(p *Patient) string {
	if p.unpublished {
		return needsPublished(p)
	}
	if p.view == nil {
		return "what is published does not verify"
	}
	return ""
}

func needsAddress(p *Patient) string {
	if p.Base == "" {
		return "no URL is known: add --url"
	}
	return p.unreachable
}

func needsURL(p *Patient) string {
	if why := needsAddress(p); why != "" {
		return why
	}
	return needsView(p)
}

// needsPlace is for checks of the store itself.
func needsPlace(p *Patient) string {
	if p.Store == nil {
		return "no store is known: add --store"
	}
	return p.storeAway
}

func needsStore(p *Patient) string {
	if why := needsPlace(p); why != "" {
		return why
	}
	return needsView(p)
}

// needsOthers is for checks of what credentials may not do, as there is a signer
// that does it.
func needsOthers(p *Patient) string {
	switch {
	case p.Local:
		return "the stores are directories of this machine, which know no credentials"
	case p.Inbox == nil:
		return noSigner
	}
	return ""
}

// needsBounds is the same for checks of the inbox.
func needsBounds(p *Patient) string {
	if why := needsOthers(p); why != "" {
		return why
	}
	return needsInbox(p)
}

const noSigner = "it has no online signer here"

func needsInbox(p *Patient) string {
	if why := needsBox(p); why != "" {
		return why
	}
	return p.inboxAway
}

// hostOf is the server that a URL names.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Host
}
