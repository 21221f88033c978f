package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"publisher/repo/tuf"
)

// print shows what would become of everything.
func (p *importPlan) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Notary's collection %s: root %d, verified from root %d on\n", printable(p.GUN), p.Root, p.FirstRoot)
	for _, id := range p.RootKeys {
		fmt.Fprintf(&b, "  Notary's root key %s\n", id)
	}
	for _, e := range p.Expired {
		fmt.Fprintf(&b, "  expired on %s: %s\n", e.At.UTC().Format(time.DateOnly), e.What)
	}
	for _, role := range p.Roles {
		fmt.Fprintf(&b, "%s: %s\n", role.Role, role.what())
	}
	for _, d := range p.Delegations {
		fmt.Fprintf(&b, "%s: %s\n", d.Role, d.what())
	}
	fmt.Fprintf(&b, "%s to publish, %d left out\n", counted(p.Targets, "target"), len(p.Left))
	for _, note := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	return p.printLeft(w)
}

func (r importedRole) what() string {
	if !r.Kept {
		return r.Why
	}
	return fmt.Sprintf("keeps %s, threshold %d", shortIDs(r.KeyIDs), r.Threshold)
}

// shortIDs names keys as people read them.
func shortIDs(ids []string) string {
	short := make([]string, len(ids))
	for i, id := range ids {
		short[i] = tuf.ShortID(id)
	}
	if len(ids) == 1 {
		return "key " + short[0]
	}
	return "keys " + strings.Join(short, ", ")
}

// printLeft lists what is not imported, and how to add it.
func (p *importPlan) printLeft(w io.Writer) error {
	for _, l := range p.Left {
		if _, err := fmt.Fprintf(w, "left out %s of %s: %s\n", printable(l.Name), l.Role, l.Why); err != nil {
			return err
		}
	}
	if len(p.Left) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "add them later: publisher add %s NAME FILE\n", p.Collection)
	return err
}
