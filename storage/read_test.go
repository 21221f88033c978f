package storage_test

import (
	"context"
	"errors"
	"io"
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

// A damaged store sends bytes that are not those stored, for so many times.
type damaged struct{ left *int }

func (d damaged) Get(context.Context, string) (storage.Object, error) {
	*d.left--
	return storage.Object{Body: d, Size: -1, Version: "v"}, nil
}

func (d damaged) Read(p []byte) (int, error) {
	if *d.left >= 0 {
		return copy(p, "bad"), storage.ErrDamaged
	}
	return copy(p, "good"), io.EOF
}

func (damaged) Close() error { return nil }

// TestReadDamaged: once may be a matter of the moment, twice is what is there.
func TestReadDamaged(t *testing.T) {
	for times, want := range []string{"good", "good", "bad"} {
		data, v, err := storage.Read(t.Context(), damaged{&times}, "k", 10)
		if string(data) != want || v != "v" || errors.Is(err, storage.ErrDamaged) != (want == "bad") {
			t.Errorf("%q, %q, %v, want %q", data, v, err, want)
		}
	}
	left := 2
	if data, _, err := storage.Read(t.Context(), damaged{&left}, "k", 2); data != nil || !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("%q, %v, want ErrTooLarge", data, err)
	}
}
