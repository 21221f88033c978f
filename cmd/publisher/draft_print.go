package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// draftResult is what became of a draft.
type draftResult struct {
	Collection string            `json:"collection"`
	Draft      string            `json:"draft,omitempty"`    // empty for a rotation that has made none
	Rotation   string            `json:"rotation,omitempty"` // the role whose rotation is given up with it
	State      string            `json:"state"`              // open, published, discarded, interrupted, or dead in a list
	Why        string            `json:"why,omitempty"`
	Roles      []repo.RoleReview `json:"roles,omitempty"`
	Missing    []missingKeys     `json:"missing,omitempty"`
	Ignored    []repo.Signed     `json:"ignored,omitempty"`
	Added      []repo.Signed     `json:"signed_now,omitempty"`
	Until      time.Time         `json:"until,omitzero"` // when the first of its roles expires
	Versions   map[string]int64  `json:"versions,omitempty"`
	Submission string            `json:"submission,omitempty"`
	Exported   string            `json:"exported,omitempty"`
	Inbox      string            `json:"inbox,omitempty"`
}

// missingKeys is a threshold that a draft does not meet yet.
type missingKeys struct {
	Role string   `json:"role"`
	Have int      `json:"have"`
	Need int64    `json:"need"`
	Keys []string `json:"keys"` // those of which any will do
}

// draftList is the result of sign --list.
type draftList struct {
	Drafts []draftResult `json:"drafts"`
}

func newDraftList(all []draftResult) draftList { return draftList{all} }

func newDraftResult(d *draft) draftResult {
	r := draftResult{Collection: d.Collection, Draft: d.ID(), State: "open", Inbox: d.Inbox}
	if d.half() != nil {
		r.State, r.Why = "interrupted", d.dead.Error()
		return r
	}
	if d.dead != nil {
		r.State, r.Why = "dead", deadReason(d.dead)
		return r
	}
	r.Missing, r.Ignored, r.Roles = missingOf(d.review.Missing()), toNotary(d.review.Ignored), slices.Clone(d.review.Roles)
	for i := range r.Roles {
		if e := r.Roles[i].Expires; r.Until.IsZero() || e.Before(r.Until) {
			r.Until = e
		}
		r.Roles[i].Role, r.Roles[i].Difference = repo.RoleToNotary(r.Roles[i].Role), inNotary(r.Roles[i].Difference)
	}
	return r
}

func missingOf(all []*repo.ThresholdError) []missingKeys {
	var missing []missingKeys
	for _, m := range all {
		missing = append(missing, missingKeys{repo.RoleToNotary(m.Role), m.Have, m.Need, m.Missing})
	}
	return missing
}

func toNotary(signed []repo.Signed) []repo.Signed {
	all := slices.Clone(signed)
	for i := range all {
		all[i].Role = repo.RoleToNotary(all[i].Role)
	}
	return all
}

// show shows what signing the draft would say, before anybody is asked.
func (s *ceremony) show() error {
	w := io.Writer(s.app.out)
	if s.app.flags.json {
		w = s.app.err
	}
	if s.app.flags.json && s.app.flags.quiet {
		return nil
	}
	return s.app.printReview(w, s.d)
}

// report is the result of sign.
func (s *ceremony) report() error {
	r := newDraftResult(s.d)
	r.Added, r.Exported = toNotary(s.added), s.export
	if s.published {
		r.State = "published"
	}
	if s.done != nil {
		r.Versions, r.Submission = s.done.Versions, s.done.Submission
	}
	return s.app.result(r, func(w io.Writer) error { return s.printReport(w, r) })
}

func (s *ceremony) printReport(w io.Writer, r draftResult) error {
	for _, added := range r.Added {
		if _, err := fmt.Fprintf(w, "signed %s with key %s\n", added.Role, tuf.ShortID(added.KeyID)); err != nil {
			return err
		}
	}
	if r.Exported != "" {
		if _, err := fmt.Fprintf(w, "wrote draft %s to %s\n", tuf.ShortID(r.Draft), r.Exported); err != nil {
			return err
		}
	}
	switch {
	case s.published && s.done == nil:
		_, err := fmt.Fprintf(w, "draft %s of %s is published, by somebody else at the same time\n", tuf.ShortID(r.Draft), r.Collection)
		return err
	case s.published:
		_, err := fmt.Fprintf(w, "published %s: %s\n", r.Collection, versionList(r.Versions))
		return err
	case len(r.Missing) == 0:
		_, err := fmt.Fprintf(w, "every signature is there: publisher sign %s, where it was made, publishes it\n", r.Collection)
		return err
	}
	return s.app.printMissing(w, r.Missing)
}

// printMissing tells who must sign.
func (a *app) printMissing(w io.Writer, missing []missingKeys) error {
	for _, m := range missing {
		more := int(m.Need) - m.Have
		if _, err := fmt.Fprintf(w, "missing: %s has %d of %s, needs %d more of the keys %s\n", m.Role, m.Have, counted(int(m.Need), "signature"), more, a.keyList(m.Keys)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) keyList(ids []string) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = a.keyHere(id)
	}
	return strings.Join(all, ", ")
}

// keyHere is how a key is shown to who may have it.
func (a *app) keyHere(id string) string {
	if _, err := a.heldKey(id); err == nil {
		return printable(tuf.ShortID(id)) + " (here)"
	}
	return printable(tuf.ShortID(id))
}

// A reviewPrinter prints a draft. The first error ends it.
type reviewPrinter struct {
	app *app
	w   io.Writer
	err error
}

func (p *reviewPrinter) linef(indent int, format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, "%s%s\n", strings.Repeat("  ", indent), fmt.Sprintf(format, args...))
	}
}

// printReview prints what a draft changes, and who has signed it.
func (a *app) printReview(w io.Writer, d *draft) error {
	p := &reviewPrinter{app: a, w: w}
	p.linef(0, "draft %s of %s", shortID(d), d.Collection)
	for _, r := range d.review.Roles {
		p.role(r)
	}
	for _, s := range d.review.Ignored {
		a.warnf("ignored a signature of %s by key %s: it is not good, or not of a key that may sign", repo.RoleToNotary(s.Role), printable(tuf.ShortID(s.KeyID)))
	}
	return p.err
}

func (p *reviewPrinter) role(r repo.RoleReview) {
	name := repo.RoleToNotary(r.Role)
	if r.From == 0 {
		p.linef(0, "%s, the first version: %d", name, r.To)
	} else {
		p.linef(0, "%s, version %d after %d", name, r.To, r.From)
	}
	for _, list := range []struct {
		sign  string
		names []string
	}{{"+", r.Added}, {"~", r.Changed}} {
		for _, target := range list.names {
			f := r.Targets[target]
			p.linef(1, "%s %s  %s  sha256 %s", list.sign, printable(target), counted(int(f.Length), "byte"), f.Hashes["sha256"])
			if f.Custom != nil {
				p.linef(2, "custom %s", printable(string(f.Custom)))
			}
		}
	}
	for _, target := range r.Removed {
		p.linef(1, "- %s", printable(target))
	}
	for _, d := range r.Roles {
		p.linef(1, "%s", trustText(d, p.app.keyHere))
	}
	for _, line := range termsText(r.Difference, p.app.keyHere) {
		p.linef(1, "%s", line)
	}
	if r.RootFirst {
		p.linef(1, "old keys are lost: it is published before what it names keys for, and no client takes anything in between")
	}
	p.other(r.Other)
	p.expiry(r)
	if len(r.Signed) > 0 {
		p.linef(1, "signed by %s", p.app.keyList(r.Signed))
	}
}

// maxOther and maxValue bound what is shown of fields that have no words here.
const (
	maxOther = 20  // fields
	maxValue = 200 // bytes of one value
)

// other shows what else changes as it stands in the file.
func (p *reviewPrinter) other(fields []repo.OtherField) {
	if len(fields) == 0 {
		return
	}
	p.linef(1, "other fields change: ask who made the draft what they are for")
	for _, f := range fields[:min(len(fields), maxOther)] {
		p.linef(2, "%s: %s, was %s", cutShort(f.Field), rawValue(f.Is), rawValue(f.Was))
	}
	if n := len(fields) - maxOther; n > 0 {
		p.linef(2, "and %s: --json shows all", counted(n, "more field"))
	}
}

func rawValue(text string) string {
	if text == "" {
		return "not there"
	}
	return cutShort(text)
}

// cutShort is the beginning of a text that may be of any length.
func cutShort(text string) string {
	if len(text) <= maxValue {
		return printable(text)
	}
	return fmt.Sprintf("%s… (%d bytes)", printable(strings.ToValidUTF8(text[:maxValue], "")), len(text))
}

func (p *reviewPrinter) expiry(r repo.RoleReview) {
	if r.Before.IsZero() {
		p.linef(1, "expires %s", r.Expires.Format(time.RFC3339))
		return
	}
	p.linef(1, "expires %s, was %s", r.Expires.Format(time.RFC3339), r.Before.Format(time.RFC3339))
}

// list shows the drafts that are kept here or lie in the inbox.
func (k *desk) list(ctx context.Context) error {
	drafts, err := k.all(ctx)
	if err == nil {
		drafts, err = k.settle(ctx, drafts)
	}
	if err != nil {
		return err
	}
	l := newDraftList(draftResults(drafts))
	return k.app.result(l, func(w io.Writer) error {
		if len(l.Drafts) == 0 {
			_, err := fmt.Fprintf(w, "no draft of %s waits for signatures\n", k.c.Name())
			return err
		}
		return k.app.printDrafts(w, l.Drafts)
	})
}

// draftResults leaves out the dead ones of the inbox, where they stay.
func draftResults(drafts []*draft) []draftResult {
	all := []draftResult{}
	for _, d := range drafts {
		if d.dead == nil || d.kept || d.half() != nil {
			all = append(all, newDraftResult(d))
		}
	}
	return all
}

// draftsOf is the drafts of a collection, for status: staged changes of those
// that were published by somebody else are taken back first.
func (a *app) draftsOf(ctx context.Context, c *trust.Collection) ([]draftResult, error) {
	k, err := a.desk(c, false)
	if err != nil {
		return nil, err
	}
	all, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	rest, err := k.settle(ctx, all)
	return draftResults(rest), err
}

// printDrafts is a table of drafts.
func (a *app) printDrafts(w io.Writer, all []draftResult) error {
	var rows [][]string
	for _, d := range all {
		if d.Why != "" {
			rows = append(rows, []string{tuf.ShortID(d.Draft), "-", d.State + ": " + printable(d.Why), "-", "-"})
			continue
		}
		for _, r := range d.Roles {
			rows = append(rows, []string{tuf.ShortID(d.Draft), r.Role, a.stateOf(d, r), a.whoMust(d, r), d.Until.Format(time.RFC3339)})
		}
	}
	return printTable(w, []string{"DRAFT", "ROLE", "SIGNATURES", "MISSING", "UNTIL"}, rows)
}

func (a *app) stateOf(d draftResult, r repo.RoleReview) string {
	for _, m := range d.Missing {
		if m.Role == r.Role {
			return fmt.Sprintf("%d of %d", m.Have, m.Need)
		}
	}
	return "complete"
}

// whoMust is who can still sign a role of a draft.
func (a *app) whoMust(d draftResult, r repo.RoleReview) string {
	var ids []string
	for _, m := range d.Missing {
		if m.Role == r.Role {
			for _, id := range m.Keys {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	if ids == nil {
		return "-"
	}
	return a.keyList(ids)
}
