package repo

import "context"

// Published returns the receipt of a submission that is what is published, nil
// if it is not. It reads, and signs nothing.
func (c *Committer) Published(ctx context.Context, sub *Submission) (*Receipt, error) {
	v, err := c.loader().Load(ctx)
	if err != nil {
		return nil, err
	}
	if done, err := v.has(ctx, sub); !done || err != nil {
		return nil, err
	}
	return c.receipt(sub, v.Snapshot, v.Timestamp), nil
}
