package s3api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"publisher/storage"
)

const (
	maxDeletes  = 5 // times that one is sent
	deletePause = 200 * time.Millisecond
)

// Delete implements storage.Deleter. An ETag is that of the content: an object that
// was removed by a request whose answer was lost, and written again by somebody
// else, has the same one. So a request is sent again only after another look, if the
// object is as old as it was.
func (s *store) Delete(ctx context.Context, key string, prev storage.Version) error {
	if err := s.delete(ctx, key, prev); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func (s *store) delete(ctx context.Context, key string, prev storage.Version) error {
	var first storage.Info
	for tries := 1; ; tries++ {
		info, err := s.head(ctx, key)
		switch {
		case errors.Is(err, fs.ErrNotExist) && tries > 1:
			return nil // it was done
		case err != nil:
			return err
		case info.Version != prev, tries > 1 && !info.Modified.Equal(first.Modified):
			return storage.ErrConflict
		}
		first = info
		err = s.api.Delete(ctx, key, prev)
		if err == nil {
			return nil
		}
		if tries == maxDeletes || !s.unsure(err) {
			return s.explain(err, "s3:DeleteObject", key)
		}
		if err := pause(ctx, deletePause<<tries); err != nil {
			return err
		}
	}
}

// unsure reports whether a request may have been done, or may be if it is sent
// again.
func (s *store) unsure(err error) bool {
	r, ok := s.api.Explain(err)
	return !ok || r.Status == 0 || r.Status >= 500 || r.Status == 429
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
