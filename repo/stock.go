package repo

import (
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"publisher/repo/tuf"
)

// checkStock reads the finished set as a stock client does, from the root that
// clients have now and from the new one: what a second library refuses is not
// published, whoever signed it.
func checkStock(p *proposal, next ready) (err error) {
	// It is a library for trusted repositories, and what comes here may have
	// found a way through our own checks.
	defer func() {
		if r := recover(); r != nil {
			err = reject("", "a stock client crashes on it: %v", r)
		}
	}()
	if err := p.stock(next); err != nil {
		return reject("", "a stock client refuses it: %v", err)
	}
	return nil
}

func (p *proposal) stock(next ready) error {
	client, err := p.stockRoot()
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	// Expiry is a matter of policy, which was checked; a refresh renews
	// timestamp and snapshot also where root has expired meanwhile.
	client.RefTime = time.Time{}
	if _, err := client.UpdateTimestamp(next.timestamp.Bytes()); err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	if _, err := client.UpdateSnapshot(next.snapshot.Bytes(), false); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	for _, role := range p.order {
		f := p.targets[role]
		if f == nil {
			f = p.base.Targets[role]
		}
		_, parent := p.delegator(role)
		if role == tuf.RoleTargets {
			parent = tuf.RoleRoot
		}
		if _, err := client.UpdateDelegatedTargets(f.Bytes(), role, parent); err != nil {
			return fmt.Errorf("%s: %w", RoleToNotary(role), err)
		}
	}
	return nil
}

// stockRoot starts from the root that clients have and follows to the new one.
func (p *proposal) stockRoot() (*trustedmetadata.TrustedMetadata, error) {
	if p.root == nil || !p.base.Published() {
		return trustedmetadata.New(p.newest().Bytes())
	}
	client, err := trustedmetadata.New(p.base.Root().Bytes())
	if err != nil {
		return nil, err
	}
	_, err = client.UpdateRoot(p.root.Bytes())
	return client, err
}
