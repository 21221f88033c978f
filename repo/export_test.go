package repo

import (
	"context"

	"publisher/repo/tuf"
)

// StockClient is what a stock client says of a set of files.
func StockClient(roots [][]byte, timestamp, snapshot, targets []byte) error {
	s := &stockView{roots: roots, timestamp: timestamp, snapshot: snapshot, roles: []stockRole{{tuf.RoleTargets, tuf.RoleRoot, targets}}}
	return s.check()
}

// CheckStock is what commit finds when it looks at a finished set as clients do,
// with another timestamp than it has made. Nothing is known that comes this far by
// itself and is refused there.
func (c *Committer) CheckStock(ctx context.Context, base *View, sub *Submission, other *tuf.File[tuf.Timestamp]) error {
	p, err := verifySubmission(ctx, base, sub, c.Store, c.Now(), c.MaxNew)
	if err != nil {
		return err
	}
	next, err := c.sign(ctx, p, 0)
	if err != nil {
		return err
	}
	if other != nil {
		next.timestamp = other
	}
	return checkStock(p, next)
}
