package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

// ErrNoCompareAndSwap reports a store that lets several of a number of racing
// writers succeed: it ignores conditions, or checks them without a lock.
var ErrNoCompareAndSwap = errors.New("the store has no working compare-and-swap")

const (
	probeRounds  = 3
	probeWriters = 8
	maxEntry     = 64 // bytes
)

// Probe finds out by experiment whether a store keeps the promise of this
// package: it lets writers race for the object key, which must not exist, and
// removes it where the store can delete. "S3-compatible" is a claim; some
// stores ignore the condition, some race.
func Probe(ctx context.Context, s Store, key string) error {
	defer cleanUp(ctx, s, key)
	version := Absent
	for round := range probeRounds {
		next, err := race(ctx, s, key, version, round)
		if err != nil {
			return err
		}
		_, err = s.Put(ctx, key, strings.NewReader("stale"), version)
		if !errors.Is(err, ErrConflict) {
			return broken(err, "a stale write was accepted")
		}
		version = next
	}
	return nil
}

// race lets writers race for one version and returns the new one.
func race(ctx context.Context, s Store, key string, prev Version, round int) (Version, error) {
	versions, errs := make([]Version, probeWriters), make([]error, probeWriters)
	var wg sync.WaitGroup
	for i := range probeWriters {
		wg.Go(func() {
			versions[i], errs[i] = s.Put(ctx, key, strings.NewReader(entry(round, i)), prev)
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			return Absent, broken(nil, "two of several racing writers succeeded")
		case err == nil:
			winner = i
		case !errors.Is(err, ErrConflict):
			return Absent, fmt.Errorf("probe the store: %w", err)
		}
	}
	if winner < 0 {
		return unheard(ctx, s, key, round)
	}
	return versions[winner], nil
}

// entry is what a writer writes.
func entry(round, writer int) string { return fmt.Sprintf("round %d, writer %d", round, writer) }

// unheard reads back whether one of the writers has won after all: a retry in
// its driver, after an answer was lost, meets its own write as a conflict.
func unheard(ctx context.Context, s Store, key string, round int) (Version, error) {
	data, version, err := Read(ctx, s, key, maxEntry)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrTooLarge) {
		return Absent, fmt.Errorf("probe the store: %w", err)
	}
	for i := range probeWriters {
		if err == nil && string(data) == entry(round, i) {
			return version, nil
		}
	}
	return Absent, broken(nil, "none of several racing writers succeeded")
}

func broken(err error, what string) error {
	if err != nil {
		return fmt.Errorf("probe the store: %w", err)
	}
	return fmt.Errorf("%w: %s", ErrNoCompareAndSwap, what)
}

// cleanUp removes the probe. Where it may not, the object stays: it is small,
// and nothing refers to it.
func cleanUp(ctx context.Context, s Store, key string) {
	ctx = context.WithoutCancel(ctx) // also after Ctrl-C
	d, ok := s.(Deleter)
	if !ok {
		return
	}
	if info, err := Stat(ctx, s, key); err == nil {
		// A deletion that is not permitted is no reason to refuse the store.
		_ = d.Delete(ctx, key, info.Version)
	}
}
