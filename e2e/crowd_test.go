package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestConcurrentPublishers has eight owners with copies of the same keys
// publish up to ten targets each, one after the other, all at the same time. None
// of them may fail, and nothing that one was told is published may be lost.
func TestConcurrentPublishers(t *testing.T) {
	for i, k := range kinds(t) {
		publishes := []int{10, 10, 4}[i]
		t.Run(k.name, func(t *testing.T) { testConcurrentPublishers(t, k.open(t), 8, publishes) })
	}
}

func TestConcurrentPublishersMinIO(t *testing.T) {
	for _, k := range kindsMinIO(t) {
		t.Run(k.name, func(t *testing.T) { testConcurrentPublishers(t, k.open(t), 8, 5) })
	}
}

func testConcurrentPublishers(t *testing.T, s store, owners, publishes int) {
	const collection = "example.com/crowd"
	first := newOwner(t, s)
	first.init(t, collection, "--publish")
	var group errgroup.Group
	var want []string
	for i := range owners {
		o, file := first.another(t), filepath.Join(t.TempDir(), "file")
		for n := range publishes {
			want = append(want, fmt.Sprintf("owner-%d/%02d", i, n))
		}
		group.Go(func() error { return publishMany(t.Context(), o, collection, file, i, publishes) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := first.check(t, collection); n != len(want) {
		t.Errorf("check counts %d targets, want %d", n, len(want))
	}
	if got := targets(t, first, collection); !slices.Equal(got, want) {
		t.Errorf("list shows %q, want %q", got, want)
	}
}

func publishMany(ctx context.Context, o *owner, collection, file string, owner, publishes int) error {
	for n := range publishes {
		name := fmt.Sprintf("owner-%d/%02d", owner, n)
		if err := os.WriteFile(file, []byte(name), 0o666); err != nil {
			return err
		}
		if _, err := o.try(ctx, "add", collection, name, file, "--publish"); err != nil {
			return err
		}
	}
	return nil
}

// targets is the names of what a client of the collection gets, sorted.
func targets(t *testing.T, o *owner, collection string) []string {
	t.Helper()
	var listed []struct {
		Name string `json:"name"`
	}
	out := o.run(t, "list", collection, "--json")
	if err := json.Unmarshal(out, &listed); err != nil {
		t.Fatalf("list printed %s: %v", out, err)
	}
	names := make([]string, len(listed))
	for i, target := range listed {
		names[i] = target.Name
	}
	slices.Sort(names)
	return names
}
