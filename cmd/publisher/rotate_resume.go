package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/trust"
)

// This file is how a rotation that was begun goes on, and how it is given up for
// another one.

// bare reports whether the command leaves open which keys come, and how: then one
// that was begun goes on as it was begun.
func (o *keyRotateOptions) bare() bool {
	return len(o.files) == 0 && o.threshold == "" && o.keyType == "" && !o.remote && !o.local && !o.recover
}

// recall reads what was begun. A bare command takes over what it was told then.
func (r *rotation) recall() error {
	begun, err := r.c.Rotation()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return hinted(err, "move the file away, and run the same command again")
	}
	r.was = begun
	if begun.Role != r.role || !r.bare {
		return nil
	}
	r.o.keyLost = r.o.keyLost || begun.OldKeyLost
	r.o.recover = begun.Recover
	if r.o.certs, err = parseChains(begun.Certs); err != nil {
		return hinted(fmt.Errorf("read the certificates of the rotation that was begun: %w", err), "publisher key rotate %s root -k FILE --root-cert FILE begins another one", r.c.Name())
	}
	if slices.Contains(onlineRoles, r.role) && begun.Online != r.before.Online && (begun.Online == "" || r.before.Online == "") {
		r.after.Online, r.after.Inbox = begun.Online, begun.Inbox
	}
	return nil
}

// concerns reports whether what was begun changes just the roles of this one, and
// leaves their keys where this one does.
func (r *rotation) concerns(begun trust.Rotation) bool {
	if begun.Role != r.role || len(begun.Roles) != len(r.turns) || begun.Recover && !r.o.recover {
		return false
	}
	if slices.Contains(onlineRoles, r.role) && begun.Online != r.after.Online {
		return false
	}
	return !slices.ContainsFunc(r.turns, func(t turn) bool { _, ok := begun.Roles[t.role]; return !ok })
}

// fits reports whether what was begun for a role is what this command asks for.
func (r *rotation) fits(t turn, begun trust.Rotation) bool {
	was := begun.Roles[t.role]
	if r.o.threshold != "" && was.Threshold != t.threshold || len(was.Keys) != len(t.keys)+t.make {
		return false
	}
	return !slices.ContainsFunc(was.Keys, func(k tuf.Key) bool { return !r.asksFor(t, k, begun.Made) })
}

// asksFor reports whether a key is one that the command names, or might have made.
func (r *rotation) asksFor(t turn, k tuf.Key, made []string) bool {
	switch {
	case len(r.o.files) > 0:
		return slices.Contains(idsOf(t.keys), k.ID())
	case r.remote():
		return true
	}
	return (slices.Contains(made, k.ID()) || r.held(k.ID())) && (r.kind == "" || k.Type == r.kind)
}

// takeUp goes on with the keys of what was begun. Those that were to be made, and
// are not here, were never stored or are removed: others come in their place.
func (r *rotation) takeUp() {
	r.resumed, r.begun = true, r.was
	for i := range r.turns {
		t := &r.turns[i]
		t.keys, t.threshold, t.make = slices.Clone(r.was.Roles[t.role].Keys), r.was.Roles[t.role].Threshold, 0
		t.keys = slices.DeleteFunc(t.keys, func(k tuf.Key) bool {
			id := k.ID()
			given := slices.ContainsFunc(t.store, func(p pair) bool { return p.id == id })
			gone := slices.Contains(r.was.Made, id) && !given && !r.held(id)
			if gone {
				t.make++
			}
			return gone
		})
	}
}

// abandon tells what is lost with a rotation that was begun and that this one
// takes the place of, if it was not published.
func (r *rotation) abandon(ctx context.Context) error {
	if r.was.Role == "" || r.resumed {
		return nil
	}
	if done, err := inForce(ctx, r.view, r.was); done || err != nil {
		return err
	}
	r.losses = append(r.losses, fmt.Sprintf("the rotation of %s that was begun is given up for this one", repo.RoleToNotary(r.was.Role)))
	return nil
}

// inForce reports whether the keys of a rotation that was begun are published,
// whoever has published them.
func inForce(ctx context.Context, v *repo.View, begun trust.Rotation) (bool, error) {
	root := &v.Root().Signed
	if slices.Contains(tuf.TopLevel, begun.Role) {
		return root.Version > begun.After && planOf(begun).Says(root), nil
	}
	all, err := v.Delegations(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(d repo.DelegationInfo) bool {
		return d.Role == begun.Role && trusts(d.KeyIDs, d.Threshold, begun.Roles[begun.Role])
	}), nil
}

// planOf is a rotation that was begun, as repo has it.
func planOf(begun trust.Rotation) *repo.Rotation {
	p := &repo.Rotation{Roles: map[string]repo.Signers{}, After: begun.After}
	for role, to := range begun.Roles {
		p.Roles[role] = repo.Signers{Keys: to.Keys, Threshold: to.Threshold}
	}
	return p
}

// record is what is remembered of this rotation: all that a bare command needs to
// go on with it.
func (r *rotation) record() trust.Rotation {
	begun := trust.Rotation{
		Role: r.role, Online: r.after.Online, Inbox: r.after.Inbox, After: r.from,
		Roles: map[string]trust.NewTrust{}, OldKeyLost: r.o.keyLost, Recover: r.o.recover, Certs: rawChains(r.o.certs),
	}
	if r.resumed {
		begun.After = r.begun.After
	}
	for _, t := range r.turns {
		begun.Roles[t.role] = trust.NewTrust{Keys: t.keys, Threshold: t.threshold}
		for _, id := range idsOf(t.keys) {
			stored := slices.ContainsFunc(t.store, func(p pair) bool { return p.id == id })
			if stored || slices.Contains(r.begun.Made, id) {
				begun.Made = append(begun.Made, id)
			}
		}
	}
	return begun
}

func rawChains(chains [][]*x509.Certificate) [][][]byte {
	var all [][][]byte
	for _, chain := range chains {
		var raw [][]byte
		for _, cert := range chain {
			raw = append(raw, cert.Raw)
		}
		all = append(all, raw)
	}
	return all
}

func parseChains(all [][][]byte) ([][]*x509.Certificate, error) {
	var chains [][]*x509.Certificate
	for _, raw := range all {
		var chain []*x509.Certificate
		for _, der := range raw {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, err
			}
			chain = append(chain, cert)
		}
		chains = append(chains, chain)
	}
	return chains, nil
}
