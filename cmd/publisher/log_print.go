package main

import (
	"bufio"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/repo"
	"publisher/repo/tuf"
)

// A logPrinter prints history as it comes: there may be more of it than fits
// the memory.
type logPrinter struct {
	app    *app
	held   map[string]bool
	diff   bool
	out    *bufio.Writer
	json   *jsontext.Encoder // nil for text
	shown  int
	folded int // refreshes since the last one shown
	bad    int
}

func (a *app) newLogPrinter(name string, o logOptions, held map[string]bool) *logPrinter {
	p := &logPrinter{app: a, held: held, diff: o.diff, out: bufio.NewWriter(a.out)}
	if a.flags.json {
		// Errors stay with the writer below until it is flushed, in end.
		p.json = jsontext.NewEncoder(p.out, jsontext.Multiline(true), json.Deterministic(true), json.FormatNilSliceAsNull(false))
		for _, token := range []jsontext.Token{
			jsontext.BeginObject, jsontext.String("collection"), jsontext.String(name), jsontext.String("revisions"), jsontext.BeginArray,
		} {
			_ = p.json.WriteToken(token)
		}
	}
	return p
}

// end closes what was printed, which is whole also after an error.
func (p *logPrinter) end(why string) error {
	if p.json == nil {
		p.fold()
		if why != "" {
			p.linef(0, "history ends here: %s", why)
		}
		return p.out.Flush()
	}
	for _, token := range []jsontext.Token{jsontext.EndArray, jsontext.String("end"), jsontext.String(why), jsontext.EndObject} {
		if err := p.json.WriteToken(token); err != nil {
			return fmt.Errorf("print result: %w", err)
		}
	}
	return p.out.Flush()
}

// shownRevision is how a revision is printed as JSON.
type shownRevision struct {
	Snapshot int64         `json:"snapshot,omitzero"`
	Root     int64         `json:"root"`
	Time     time.Time     `json:"time"`
	From     string        `json:"time_from"` // store, or expiry
	Signers  []signer      `json:"signers"`
	Changes  []shownChange `json:"changes"`
	Cut      bool          `json:"cut,omitempty"`
	Problem  string        `json:"problem,omitempty"`
}

type shownChange struct {
	Role     string    `json:"role"`
	From     int64     `json:"from"`
	To       int64     `json:"to"`
	Signers  []signer  `json:"signers"`
	Expires  time.Time `json:"expires,omitzero"`
	Gone     bool      `json:"gone,omitempty"`
	Unjudged bool      `json:"unjudged,omitempty"`
	Problem  string    `json:"problem,omitempty"`
	repo.Difference
}

// inNotary is a difference with roles under the names that people use.
func inNotary(d repo.Difference) repo.Difference {
	d.Roles, d.Order = slices.Clone(d.Roles), slices.Clone(d.Order)
	for i := range d.Roles {
		r := &d.Roles[i]
		if r.Role = repo.RoleToNotary(r.Role); r.Before != "" {
			r.Before = repo.RoleToNotary(r.Before)
		}
	}
	for i, role := range d.Order {
		d.Order[i] = repo.RoleToNotary(role)
	}
	return d
}

// A signer is a key that signed.
type signer struct {
	KeyID string `json:"keyid"`
	Here  bool   `json:"here"` // its private half is in the trust directory
}

func (p *logPrinter) signers(ids []string) []signer {
	all := make([]signer, len(ids))
	for i, id := range ids {
		all[i] = signer{id, p.held[id]}
	}
	return all
}

func (p *logPrinter) print(r *repo.Revision) error {
	p.shown++
	for _, problem := range append(changeProblems(r), r.Problem) {
		if problem != "" {
			p.bad++
		}
	}
	if p.json != nil {
		return p.printJSON(r)
	}
	p.printText(r)
	return nil
}

func changeProblems(r *repo.Revision) []string {
	var all []string
	for _, c := range r.Changes {
		all = append(all, c.Problem)
	}
	return all
}

func (p *logPrinter) printJSON(r *repo.Revision) error {
	s := shownRevision{
		Snapshot: r.Snapshot, Root: r.Root, Time: r.Time, From: "expiry",
		Signers: p.signers(r.Signers), Cut: r.Cut, Problem: r.Problem,
	}
	if r.Stored {
		s.From = "store"
	}
	for _, c := range r.Changes {
		c.Difference = inNotary(c.Difference)
		s.Changes = append(s.Changes, shownChange{
			Role: repo.RoleToNotary(c.Role), From: c.From, To: c.To, Signers: p.signers(c.Signers), Expires: c.Expires,
			Gone: c.Gone, Unjudged: c.Unjudged, Problem: c.Problem, Difference: c.Difference,
		})
	}
	if err := json.MarshalEncode(p.json, s); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	return nil
}

// linef prints a line. Errors stay with the writer until end.
func (p *logPrinter) linef(indent int, format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, "%s%s\n", strings.Repeat("  ", indent), fmt.Sprintf(format, args...))
}

func (p *logPrinter) fold() {
	if p.folded > 0 {
		p.linef(0, "refreshed %s", times(p.folded))
	}
	p.folded = 0
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (p *logPrinter) printText(r *repo.Revision) {
	p.fold()
	when := r.Time.UTC().Format(time.RFC3339)
	if !r.Stored {
		when = "~" + when
	}
	if r.Snapshot == 0 {
		p.linef(0, "root %d  %s", r.Root, when)
	} else {
		p.linef(0, "snapshot %d  %s%s", r.Snapshot, when, p.signedBy("  ", r.Signers))
	}
	if r.Problem != "" {
		p.linef(1, "does not verify: %s", oneLine(printable(r.Problem)))
	}
	switch {
	case r.Cut:
		p.linef(1, "what it changed cannot be told: the snapshot before it was removed")
	case r.Refresh():
		p.linef(1, "signed again")
	}
	for _, c := range r.Changes {
		p.printChange(c)
	}
}

func (p *logPrinter) signedBy(before string, ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = p.key(id)
	}
	return before + "signed by " + strings.Join(names, ", ")
}

// key is how a key is shown.
func (p *logPrinter) key(id string) string {
	if p.held[id] {
		return printable(tuf.ShortID(id)) + " (here)"
	}
	return printable(tuf.ShortID(id))
}

func (p *logPrinter) printChange(c repo.RoleChange) {
	role := printable(repo.RoleToNotary(c.Role))
	if c.To == 0 {
		p.linef(1, "%s is no longer listed", role)
		return
	}
	p.linef(1, "%s %d%s", role, c.To, p.signedBy(", ", c.Signers))
	switch {
	case c.Problem != "":
		p.linef(2, "does not verify: %s", oneLine(printable(c.Problem)))
	case c.Gone:
		p.linef(2, "what it changed cannot be told: it, or the version before, was removed")
	case c.Unjudged:
		p.linef(2, "whether these keys could sign cannot be told: the role that delegates to it was removed")
	}
	p.printTargets(c)
	for _, d := range c.Roles {
		p.linef(2, "%s", trustText(d, p.key))
	}
	for _, line := range termsText(c.Difference, p.key) {
		p.linef(2, "%s", line)
	}
}

// termsText tells what a version of a role changed beside targets and whom it
// trusts, a line for each.
func termsText(d repo.Difference, key func(id string) string) []string {
	var lines []string
	tell := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if d.Reordered {
		order := make([]string, len(d.Order))
		for i, role := range d.Order {
			order[i] = printable(repo.RoleToNotary(role))
		}
		tell("delegations have another order of priority: %s", strings.Join(order, ", "))
	}
	for _, role := range slices.Sorted(maps.Keys(d.Lifetimes)) {
		life := "as long as others of its kind"
		if s := d.Lifetimes[role]; s > 0 {
			life = days(time.Duration(s) * time.Second)
		}
		tell("signatures of %s last %s", printable(repo.RoleToNotary(role)), life)
	}
	for _, role := range slices.Sorted(maps.Keys(d.Restart)) {
		tell("%s goes on from version %d: clients forget higher ones", printable(repo.RoleToNotary(role)), d.Restart[role])
	}
	if !d.GraceUntil.IsZero() {
		tell("the keys before sign beside the new ones until %s", d.GraceUntil.UTC().Format(time.RFC3339))
	}
	for _, id := range slices.Sorted(maps.Keys(d.Certs)) {
		if d.Certs[id] == "" {
			tell("key %s has no certificate any more", key(id))
		} else {
			tell("key %s has a certificate of %s", key(id), printable(d.Certs[id]))
		}
	}
	return lines
}

func (p *logPrinter) printTargets(c repo.RoleChange) {
	lists := []struct {
		sign, done string
		names      []string
	}{{"+", "added", c.Added}, {"~", "changed", c.Changed}, {"-", "removed", c.Removed}}
	var counts []string
	for _, list := range lists {
		for _, name := range list.names {
			if p.diff {
				p.linef(2, "%s %s", list.sign, printable(name))
			}
		}
		if n := len(list.names); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, list.done))
		}
	}
	if !p.diff && len(counts) > 0 {
		p.linef(2, "targets: %s", strings.Join(counts, ", "))
	}
}

// trustText tells how the trust in a role changed.
func trustText(d repo.TrustChange, key func(id string) string) string {
	added := func(id string) bool { return slices.Contains(d.KeysAdded, id) }
	initial := func(id string) bool { return slices.Contains(d.Initial, id) }
	except := func(ids []string, which func(string) bool) []string {
		return slices.DeleteFunc(slices.Clone(ids), which)
	}
	var what []string
	for _, list := range []struct {
		what  string
		names []string
		show  func(string) string
	}{
		{"key %s added", except(d.KeysAdded, initial), key},
		{"key %s added, for a first, empty version", except(d.KeysAdded, func(id string) bool { return !initial(id) }), key},
		{"key %s is for a first, empty version", except(d.Initial, added), key},
		{"key %s is no longer for a first, empty version", d.Lasting, key},
		{"key %s removed", d.KeysRemoved, key},
		{"path %s added", repo.FoldPaths(d.PathsAdded), printable}, {"path %s removed", repo.FoldPaths(d.PathsRemoved), printable},
	} {
		for _, name := range list.names {
			what = append(what, fmt.Sprintf(list.what, list.show(name)))
		}
	}
	if d.Threshold > 0 {
		what = append(what, fmt.Sprintf("threshold %d", d.Threshold))
	}
	if d.Terminating != nil {
		what = append(what, map[bool]string{true: "terminating", false: "no longer terminating"}[*d.Terminating])
	}
	role := printable(repo.RoleToNotary(d.Role))
	switch {
	case d.New:
		if role = "new role " + role; d.Before != "" {
			what = append(what, "before "+printable(repo.RoleToNotary(d.Before)))
		}
	case d.Gone:
		role, what = "role "+role+" taken away", nil
	}
	if len(what) > 0 {
		role += ": " + strings.Join(what, ", ")
	}
	return role
}
