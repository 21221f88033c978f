package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"publisher/storage"
)

// A drip is an object that comes a byte a second, or never begins to.
type drip struct {
	ctx  context.Context
	mute bool
}

func (d drip) Get(ctx context.Context, _ string) (storage.Object, error) {
	if d.mute {
		<-ctx.Done()
		return storage.Object{}, errors.New("the connection is closed")
	}
	return storage.Object{Body: drip{ctx: ctx}, Size: -1}, nil
}

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, errors.New("the connection is closed")
	case <-time.After(time.Second):
		p[0] = 'x'
		return 1, nil
	}
}

func (drip) Close() error { return nil }

func TestReadTooSlow(t *testing.T) {
	for _, tt := range []struct {
		store      drip
		max        int64
		caller     time.Duration // after which the caller has enough
		ends       time.Duration
		is         error
		says, less string
	}{
		{drip{}, 1000, time.Hour, time.Minute, context.DeadlineExceeded, "read k: the store is too slow", ""},
		{drip{mute: true}, 1000, time.Hour, time.Minute, context.DeadlineExceeded, "read k: the store is too slow", ""},
		{drip{}, 1000, 10 * time.Second, 10 * time.Second, nil, "closed", "slow"},
		{drip{}, 30, time.Hour, 31 * time.Second, storage.ErrTooLarge, "more than 30", "slow"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.caller)
			defer cancel()
			begin := time.Now()
			_, _, err := storage.Read(ctx, tt.store, "k", tt.max)
			if took := time.Since(begin); took != tt.ends {
				t.Errorf("it took %v, want %v", took, tt.ends)
			}
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) ||
				tt.less != "" && strings.Contains(err.Error(), tt.less) {
				t.Errorf("%v, want %v with %q in it", err, tt.is, tt.says)
			}
		})
	}
}
