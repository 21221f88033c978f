package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"publisher/internal/notary"
	"publisher/repo"
	"publisher/repo/tuf"
)

// An importedDelegation is what becomes of a delegation of Notary's.
type importedDelegation struct {
	Role      string   `json:"role"` // in Notary's form
	KeyIDs    []string `json:"keyids"`
	Threshold int64    `json:"threshold"`
	Paths     []string `json:"paths"`
	Signed    bool     `json:"signed"` // enough private keys are here to sign its targets
}

func (d importedDelegation) what() string {
	signed := "its delegate publishes"
	if d.Signed {
		signed = "signed here"
	}
	return fmt.Sprintf("keeps %s, threshold %d: %s", shortIDs(d.KeyIDs), d.Threshold, signed)
}

// delegations imports what a role that is signed here delegates. The chain is the
// delegations from targets to that role.
func (m *importer) delegations(ctx context.Context, t *notary.Targets, chain []*tuf.DelegatedRole) error {
	for _, d := range t.Delegations {
		if err := m.delegation(ctx, d, chain); err != nil {
			return err
		}
	}
	return nil
}

// delegation imports one delegation, and what is in its role if that can be
// signed here.
func (m *importer) delegation(ctx context.Context, d notary.Delegation, chain []*tuf.DelegatedRole) error {
	kept, table, why, err := m.private.findAll(d.Name, d.Role)
	if err != nil {
		return err
	}
	if len(table) < len(d.Keys) {
		m.note("%s loses a key: %v", d.Name, why)
	}
	role, err := m.delegated(d, table)
	if err != nil {
		m.note("%s is not imported: %v", d.Name, err)
		return m.abandon(ctx, d, "its role is not imported")
	}
	signed := int64(len(kept)) >= d.Threshold
	m.delegate(d, role, table, signed)
	m.plan.keep(kept)
	return m.delegatedContent(ctx, d, append(slices.Clip(chain), role), signed)
}

// delegate plans a delegation.
func (m *importer) delegate(d notary.Delegation, role *tuf.DelegatedRole, table []tuf.Key, signed bool) {
	m.plan.changes = append(m.plan.changes, repo.Change{
		Action: repo.Add, Type: repo.TypeDelegation, Role: role.Name,
		Delegation: &repo.DelegationChange{Keys: table, Paths: role.Paths, Threshold: d.Threshold},
	})
	m.plan.Delegations = append(m.plan.Delegations, importedDelegation{
		Role: d.Name, KeyIDs: role.KeyIDs, Threshold: d.Threshold, Paths: role.Paths, Signed: signed,
	})
}

// delegatedContent imports what is in a role, at the end of the chain.
func (m *importer) delegatedContent(ctx context.Context, d notary.Delegation, chain []*tuf.DelegatedRole, signed bool) error {
	switch {
	case errors.Is(d.Reason, notary.ErrNotPublished):
		return nil
	case d.Content == nil:
		m.note("%s begins empty: of what is there, %v", d.Name, d.Reason)
		return nil
	case !signed:
		return m.abandon(ctx, d, "the private keys of its role are not here: its delegate publishes it again")
	}
	if err := m.role(ctx, chain[len(chain)-1].Name, d.Content, chain); err != nil {
		return err
	}
	return m.delegations(ctx, d.Content, chain)
}

// delegated is a delegation of Notary's as TUF has it, and fails if some client
// could not read it.
func (m *importer) delegated(d notary.Delegation, table []tuf.Key) (*tuf.DelegatedRole, error) {
	role := &tuf.DelegatedRole{Name: repo.RoleFromNotary(d.Name), KeyIDs: idsOf(table), Threshold: d.Threshold}
	if err := repo.CheckDelegation(role.Name); err != nil {
		return nil, err
	}
	for _, prefix := range d.Paths {
		if strings.ContainsAny(prefix, `*?[]{}\`) {
			m.note("%s loses the path %s: to TUF clients it is a pattern", d.Name, printable(prefix))
			continue
		}
		role.Paths = append(role.Paths, repo.PathPatterns(prefix)...)
	}
	switch {
	case len(role.Paths) == 0:
		return nil, errors.New("it has no paths")
	case int64(len(table)) < d.Threshold:
		return nil, fmt.Errorf("%d of its keys can be used, and %d must sign", len(table), d.Threshold)
	}
	return role, nil
}

// abandon takes the targets of a role that is not signed here, and of those below
// it, into targets, or leaves them out.
func (m *importer) abandon(ctx context.Context, d notary.Delegation, why string) error {
	if d.Content == nil {
		return nil
	}
	if m.adopt {
		if err := m.role(ctx, tuf.RoleTargets, d.Content, nil); err != nil {
			return err
		}
	} else {
		for name := range d.Content.Files {
			m.plan.Left = append(m.plan.Left, leftOut{Role: d.Name, Name: name, Why: why})
		}
	}
	for _, child := range d.Content.Delegations {
		m.note("%s is not imported: only the delegate of %s can delegate to it", child.Name, d.Name)
		if err := m.abandon(ctx, child, why); err != nil {
			return err
		}
	}
	return nil
}

func (m *importer) note(format string, args ...any) {
	m.plan.Notes = append(m.plan.Notes, fmt.Sprintf(format, args...))
}
