package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"publisher/repo"
	"publisher/repo/tuf"
)

// This file is what key rotate shows before it does anything.

// rotationPlan is the result of key rotate --dry-run.
type rotationPlan struct {
	Collection string        `json:"collection"`
	Root       int64         `json:"root_version,omitzero"` // that it would make
	Roles      []turnPlan    `json:"roles"`
	Signatures []signingPlan `json:"signatures"`
	Grace      string        `json:"grace,omitempty"`
	RootFirst  bool          `json:"root_first"`

	// Restart is the versions from which a recovery goes on, by role.
	Restart map[string]int64 `json:"restart,omitempty"`

	Drafts []string `json:"gives_up,omitempty"` // of other roots

	Resumed  bool `json:"resumed"` // with keys that were made before
	Finished bool `json:"finished"`
}

// turnPlan is the keys of one role.
type turnPlan struct {
	Role      string   `json:"role"`
	Old       []string `json:"old_keys"`
	From      string   `json:"old_holder"`
	New       []string `json:"new_keys"`
	Make      int      `json:"keys_to_make,omitzero"`
	To        string   `json:"new_holder"`
	Threshold int64    `json:"threshold"`
}

// signingPlan is a file that is signed, and by whom.
type signingPlan struct {
	Role      string   `json:"role"`
	Keys      string   `json:"keys,omitzero"` // old or new, empty where they stay
	KeyIDs    []string `json:"keyids"`
	Threshold int64    `json:"threshold"`
	Missing   int64    `json:"missing"` // how many of them must sign elsewhere
}

func (r *rotation) planned() rotationPlan {
	p := rotationPlan{
		Collection: r.c.Name(), Root: r.root.Version + 1, Grace: r.o.grace.String(),
		RootFirst: r.o.keyLost, Resumed: r.resumed, Finished: r.finished,
	}
	switch {
	case r.delegated():
		p.Root = 0
	case r.finished:
		p.Root = r.root.Version
	}
	if r.o.keyLost || r.finished || r.delegated() {
		p.Grace = ""
	}
	for _, t := range r.turns {
		p.Roles = append(p.Roles, turnPlan{
			Role: repo.RoleToNotary(t.role), Old: t.old.KeyIDs, From: r.holds(t),
			New: idsOf(t.keys), Make: t.make, To: holder(r.after.Online, t.role), Threshold: t.threshold,
		})
	}
	if !r.finished {
		p.Signatures = r.signatures()
	}
	for _, d := range r.against {
		p.Drafts = append(p.Drafts, d.ID())
	}
	if r.o.recover && !r.finished {
		p.Restart = r.view.Restart()
	}
	return p
}

// holder is who has the keys of a role.
func holder(online, role string) string {
	if online == "" || !slices.Contains(onlineRoles, role) {
		return "here"
	}
	return "of " + online
}

// holds is who has the old keys of a role, as far as is known here.
func (r *rotation) holds(t turn) string {
	who := holder(r.before.Online, t.role)
	if who == "here" && !slices.ContainsFunc(t.old.KeyIDs, r.held) {
		return "elsewhere"
	}
	return who
}

// signatures is who signs for the rotation: root by its old keys, and by its new
// ones if it has any; targets likewise, if it is what changes.
func (r *rotation) signatures() []signingPlan {
	if r.delegated() {
		return r.delegationSignatures()
	}
	all := []signingPlan{r.oldKeys(tuf.RoleRoot)}
	for _, t := range r.turns {
		if slices.Contains(onlineRoles, t.role) {
			continue
		}
		if t.role != tuf.RoleRoot && !r.o.keyLost {
			all = append(all, r.oldKeys(t.role))
		}
		all = append(all, r.newKeys(t))
	}
	return all
}

func (r *rotation) newKeys(t turn) signingPlan {
	here := int64(t.make + len(t.store))
	for _, key := range t.keys {
		if r.held(key.ID()) && !slices.ContainsFunc(t.store, func(p pair) bool { return p.id == key.ID() }) {
			here++
		}
	}
	return signingPlan{
		Role: repo.RoleToNotary(t.role), Keys: "new", KeyIDs: idsOf(t.keys), Threshold: t.threshold, Missing: max(0, t.threshold-here),
	}
}

func (r *rotation) oldKeys(role string) signingPlan {
	return r.keysInForce(role, "old", r.root.Roles[role])
}

func (r *rotation) keysInForce(role, keys string, by tuf.Role) signingPlan {
	p := signingPlan{Role: repo.RoleToNotary(role), Keys: keys, KeyIDs: by.KeyIDs, Threshold: by.Threshold}
	var here int64
	for _, id := range by.KeyIDs {
		if r.held(id) {
			here++
		}
	}
	p.Missing = max(0, by.Threshold-here)
	return p
}

func (r *rotation) held(id string) bool {
	_, err := r.app.trust.Keys().Get(id)
	return err == nil
}

// printDry is the result of a dry run.
func (r *rotation) printDry() error {
	for _, loss := range r.losses {
		r.app.warnf("%s", loss)
	}
	return r.app.result(r.planned(), func(w io.Writer) error {
		_, err := fmt.Fprintln(w, strings.Join(r.lines(), "\n"))
		return err
	})
}

// lines tell what is about to happen.
func (r *rotation) lines() []string {
	p := r.planned()
	if r.finished {
		return []string{r.already()}
	}
	var lines []string
	if r.resumed {
		lines = append(lines, "goes on with the rotation of "+repo.RoleToNotary(r.role)+" that was begun")
	}
	if r.moves() {
		lines = append(lines, "snapshot and timestamp move together: one party signs both")
		if r.before.Online != "" {
			lines = append(lines, "others who publish through "+r.before.Online+" cannot any more: tell them (publisher trust set "+r.c.Name()+" --online SIGNER, or publish for them)")
		}
	}
	for _, t := range p.Roles {
		lines = append(lines, t.lines(r.o.keyType, r.held)...)
	}
	for _, s := range p.Signatures {
		lines = append(lines, s.line(p.Root))
	}
	if r.delegated() {
		return lines
	}
	if p.Restart != nil {
		lines = append(lines,
			fmt.Sprintf("timestamp goes on from version %d, snapshot from version %d; published is timestamp %d",
				p.Restart[tuf.RoleTimestamp], p.Restart[tuf.RoleSnapshot], r.view.Timestamp.Signed.Version),
			fmt.Sprintf("clients forget what the old keys signed as soon as they see root %d", p.Root))
	}
	if p.RootFirst {
		return append(lines, fmt.Sprintf("root %d is published first: until the rest has followed, clients that look for updates fail", p.Root))
	}
	return append(lines, fmt.Sprintf("old and new keys sign together for %s", p.Grace))
}

// already tells that there is nothing left to do.
func (r *rotation) already() string {
	if r.delegated() {
		return fmt.Sprintf("%s has the new keys already: an earlier run has published them", repo.RoleToNotary(r.role))
	}
	return fmt.Sprintf("root %d has the new keys already: an earlier run has published it", r.root.Version)
}

func (t turnPlan) lines(keyType string, held func(id string) bool) []string {
	var lines []string
	for _, id := range t.Old {
		if !slices.Contains(t.New, id) {
			who := t.From
			if who == "here" && !held(id) {
				who = "elsewhere"
			}
			lines = append(lines, fmt.Sprintf("%-9s key %s, %s, goes", t.Role, id, who))
		}
	}
	for _, id := range t.New {
		what := "comes"
		if slices.Contains(t.Old, id) {
			what = "stays"
		}
		lines = append(lines, fmt.Sprintf("%-9s key %s %s", t.Role, id, what))
	}
	switch {
	case t.Make == 1 && t.To != "here":
		lines = append(lines, fmt.Sprintf("%-9s a new key %s comes", t.Role, t.To))
	case t.Make > 0:
		lines = append(lines, fmt.Sprintf("%-9s %s, made here, comes", t.Role, counted(t.Make, "new "+keyType+" key")))
	}
	if n := len(t.New) + t.Make; n > 1 {
		lines = append(lines, fmt.Sprintf("%-9s %d of these %d keys must sign", t.Role, t.Threshold, n))
	}
	return lines
}

// line tells of one set of signatures.
func (s signingPlan) line(root int64) string {
	what := s.Role
	if s.Role == tuf.RoleRoot {
		what = fmt.Sprintf("root %d", root)
	}
	text := fmt.Sprintf("%s is signed by %s", what, counted(int(s.Threshold), strings.TrimSpace(s.Keys+" "+s.Role+" key")))
	if s.Missing == 0 {
		return text
	}
	short := make([]string, len(s.KeyIDs))
	for i, id := range s.KeyIDs {
		short[i] = tuf.ShortID(id)
	}
	text += fmt.Sprintf(", %d of which not here: of %s", s.Missing, strings.Join(short, ", "))
	if s.Keys == "old" && s.Role != tuf.RoleRoot {
		text += "; if it is lost: --old-key-lost"
	}
	return text
}
