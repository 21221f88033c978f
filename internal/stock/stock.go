// Package stock pulls with the updater of go-tuf v2, as anybody would who has
// never heard of publisher, for programs that show what it publishes.
package stock

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// A Client is go-tuf's updater, which remembers what it saw in a directory.
type Client struct {
	Root []byte // what it trusts at first
	Dir  string // is made if it is missing
	HTTP *http.Client
}

// Pull refreshes the metadata of the collection below a URL and downloads one
// target.
func (c *Client) Pull(ctx context.Context, url, name string) ([]byte, error) {
	cfg, err := c.config(ctx, strings.TrimSuffix(url, "/"))
	if err != nil {
		return nil, err
	}
	up, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := up.Refresh(); err != nil {
		return nil, err
	}
	info, err := up.GetTargetInfo(name)
	if err != nil {
		return nil, err
	}
	_, data, err := up.DownloadTarget(info, "", "")
	return data, err
}

func (c *Client) config(ctx context.Context, url string) (*config.UpdaterConfig, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.ReadFile(filepath.Join(c.Dir, "root.json"))
	if errors.Is(err, fs.ErrNotExist) {
		root, err = c.Root, nil
	}
	if err != nil {
		return nil, err
	}
	cfg, err := config.New(url+"/metadata", root)
	if err != nil {
		return nil, err
	}
	get := fetcher.NewDefaultFetcher()
	get.SetHTTPClient(bound{ctx, c.HTTP})
	cfg.Fetcher = get
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = c.Dir, c.Dir
	cfg.RemoteTargetsURL = url + "/targets"
	return cfg, nil
}

// bound ends the updater's requests, which carry no context, when ctx ends.
type bound struct {
	ctx    context.Context
	client *http.Client
}

func (b bound) Do(r *http.Request) (*http.Response, error) { return b.client.Do(r.WithContext(b.ctx)) }
