package repo

import (
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"publisher/repo/tuf"
)

// A stockView is a set of files as a stock client gets them: what a second
// library refuses is not published, whoever signed it.
type stockView struct {
	roots               [][]byte // from the one that clients have to the newest
	timestamp, snapshot []byte
	roles               []stockRole // parents first
}

type stockRole struct {
	name, parent string
	data         []byte
}

// check reads the set with go-tuf's own verification.
func (s *stockView) check() (err error) {
	// It is a library for trusted repositories, and what comes here may have
	// found a way through our own checks.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a stock client crashes: %v", r)
		}
	}()
	client, err := trustedmetadata.New(s.roots[0])
	if err != nil {
		return fmt.Errorf("a stock client refuses root: %w", err)
	}
	for _, root := range s.roots[1:] {
		if _, err := client.UpdateRoot(root); err != nil {
			return fmt.Errorf("a stock client refuses the next root: %w", err)
		}
	}
	// Expiry is looked at elsewhere: by policy at commit, by the clock in a
	// check. A refresh must work also where other roles have expired.
	client.RefTime = time.Time{}
	if _, err := client.UpdateTimestamp(s.timestamp); err != nil {
		return fmt.Errorf("a stock client refuses timestamp: %w", err)
	}
	if _, err := client.UpdateSnapshot(s.snapshot, false); err != nil {
		return fmt.Errorf("a stock client refuses snapshot: %w", err)
	}
	for _, r := range s.roles {
		if _, err := client.UpdateDelegatedTargets(r.data, r.name, r.parent); err != nil {
			return fmt.Errorf("a stock client refuses %s: %w", RoleToNotary(r.name), err)
		}
	}
	return nil
}

// checkStock looks at the finished set as clients do: one that comes from the
// root in force before and sees the new one, and one that does not see it yet.
func checkStock(p *proposal, next ready) error {
	if n := len(next.timestamp.Bytes()); n > MaxTimestamp {
		return reject(tuf.RoleTimestamp, "%d bytes, at most %d are read by clients", n, MaxTimestamp)
	}
	s := &stockView{timestamp: next.timestamp.Bytes(), snapshot: next.snapshot.Bytes(), roles: p.stockRoles()}
	var views [][][]byte
	switch {
	case p.rootFirst() && p.base.Published():
		views = [][][]byte{{p.base.Root().Bytes(), p.root.Bytes()}}
	case p.root != nil && p.base.Published():
		before := p.base.Root().Bytes()
		views = [][][]byte{{before}, {before, p.root.Bytes()}}
	default:
		views = [][][]byte{{p.newest().Bytes()}}
	}
	for _, s.roots = range views {
		if err := s.check(); err != nil {
			return &Rejection{Reason: err}
		}
	}
	return nil
}

func (p *proposal) stockRoles() []stockRole {
	var roles []stockRole
	for _, n := range p.tree {
		if n.file != nil {
			roles = append(roles, stockRole{n.role, n.parent, n.file.Bytes()})
		}
	}
	return roles
}
