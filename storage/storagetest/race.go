package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"publisher/storage"
)

const (
	racers = 32
	rounds = 40
)

func testRaceCreate(t *testing.T, s storage.Store) {
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		body, v := race(t, s, key, storage.Absent)
		want(t, s, key, body, v)
	}
}

func testRaceReplace(t *testing.T, s storage.Store) {
	v := put(t, s, "k", "start", storage.Absent)
	for range rounds {
		var body string
		body, v = race(t, s, "k", v)
		want(t, s, "k", body, v)
	}
}

// race writes against prev from all sides at once and returns the winner's
// body and Version.
func race(t *testing.T, s storage.Store, key string, prev storage.Version) (string, storage.Version) {
	t.Helper()
	var (
		wg       sync.WaitGroup
		gun      = make(chan struct{})
		errs     [racers]error
		versions [racers]storage.Version
	)
	body := func(i int) string { return fmt.Sprintf("%s after %s, racer %d", key, prev, i) }
	for i := range racers {
		wg.Go(func() {
			<-gun
			versions[i], errs[i] = s.Put(t.Context(), key, strings.NewReader(body(i)), prev)
		})
	}
	close(gun)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("%s: racers %d and %d both won", key, winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, storage.ErrConflict):
			t.Errorf("%s: racer %d: %v, want ErrConflict", key, i, err)
		}
	}
	if winner < 0 {
		t.Fatalf("%s: nobody won", key)
	}
	return body(winner), versions[winner]
}

// testReadersSeeNoMix reads an object while it is being replaced by others of
// other lengths: each read must be one of them, whole, with its own Version.
func testReadersSeeNoMix(t *testing.T, s storage.Store) {
	body := func(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i%26)}, 50_000+1000*(i%26)) }
	versions := sync.Map{} // Version → letter
	write := func(i int, prev storage.Version) storage.Version {
		v, err := s.Put(t.Context(), "k", bytes.NewReader(body(i)), prev)
		if err != nil {
			t.Error(err)
		}
		versions.Store(v, body(i)[0])
		return v
	}
	v := write(0, storage.Absent)

	type seen struct {
		v      storage.Version
		letter byte
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var reads [4][]seen
	for r := range reads {
		wg.Go(func() {
			for ctx.Err() == nil {
				data, v, err := storage.Read(t.Context(), s, "k", 1<<20)
				if err != nil {
					t.Errorf("read while replaced: %v", err)
					return
				}
				if !bytes.Equal(data, body(int(data[0]-'a'))) {
					t.Errorf("a read of %d bytes mixes two contents", len(data))
				}
				reads[r] = append(reads[r], seen{v, data[0]})
			}
		})
	}
	for i := 1; i <= 100; i++ {
		v = write(i, v)
	}
	stop()
	wg.Wait()
	for _, list := range reads {
		for _, got := range list {
			v, _ := versions.Load(got.v)
			letter, _ := v.(byte)
			// A server that reads the two one after the other may send the content that
			// came next: a swap upon that Version fails, and is tried again. With an
			// earlier content it would succeed, and lose what was written between.
			if after := body(int(letter-'a') + 1)[0]; got.letter != letter && got.letter != after {
				t.Errorf("Get returned content %c with the Version of %c", got.letter, letter)
			}
		}
	}
}
