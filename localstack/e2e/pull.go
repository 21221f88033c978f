package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"

	"publisher/internal/stock"
)

// A pull is what clients have to fetch.
type pull struct {
	URL     string // of the collection
	Root    []byte
	Targets map[string][]byte
	Dir     string // what clients remember
}

// A puller has one or more clients fetch everything, and names them. What
// arrives has to be what was published.
type puller func(context.Context, pull) (who []string, err error)

// stockPuller is go-tuf's own updater, in this process.
func stockPuller(ctx context.Context, p pull) ([]string, error) {
	client := &stock.Client{Root: p.Root, Dir: filepath.Join(p.Dir, "go-tuf"), HTTP: http.DefaultClient}
	for _, name := range slices.Sorted(maps.Keys(p.Targets)) {
		data, err := client.Pull(ctx, p.URL, name)
		if err != nil {
			return nil, fmt.Errorf("go-tuf v2, %s: %w", name, err)
		}
		if !bytes.Equal(data, p.Targets[name]) {
			return nil, fmt.Errorf("go-tuf v2, %s: it is not what was published", name)
		}
	}
	return []string{"go-tuf v2"}, nil
}
