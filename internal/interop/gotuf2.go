package interop

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// fetchGoTUF2 runs go-tuf v2's updater in this process. The updater panics on some metadata; that is an error here, and
// not a refusal.
func fetchGoTUF2(ctx context.Context, j job) (got map[string][]byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			got, err = nil, fmt.Errorf("the client panicked: %v\n%s", r, debug.Stack())
		}
	}()
	tmp, err := os.MkdirTemp("", "interop-gotuf2-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	cfg, err := goTUF2Config(ctx, j, tmp)
	if err != nil {
		return nil, err
	}
	up, err := updater.New(cfg)
	if err != nil {
		return nil, refused("load the trusted root", err)
	}
	if err := up.Refresh(); err != nil {
		return nil, refused("refresh", err)
	}
	got = make(map[string][]byte)
	for _, name := range j.Targets {
		if got[name], err = goTUF2Target(up, name, filepath.Join(tmp, "target")); err != nil {
			return nil, err
		}
	}
	return got, nil
}

func goTUF2Config(ctx context.Context, j job, targetsDir string) (*config.UpdaterConfig, error) {
	root, err := os.ReadFile(filepath.Join(j.Dir, "root.json"))
	if errors.Is(err, fs.ErrNotExist) {
		root, err = j.Root, nil
	}
	if err != nil {
		return nil, err
	}
	cfg, err := config.New(j.MetadataURL, root)
	if err != nil {
		return nil, err
	}
	hc, err := httpClient(j.CA)
	if err != nil {
		return nil, err
	}
	get := fetcher.NewDefaultFetcher()
	get.SetHTTPClient(boundClient{ctx, hc})
	cfg.Fetcher = get
	cfg.LocalMetadataDir = j.Dir
	cfg.LocalTargetsDir = targetsDir
	cfg.RemoteTargetsURL = j.TargetsURL
	cfg.PrefixTargetsWithHash = true
	return cfg, nil
}

// goTUF2Target names the file to write, because the updater's own choice, the escaped target name, is too long for a file
// system when the target name is long.
func goTUF2Target(up *updater.Updater, name, file string) ([]byte, error) {
	info, err := up.GetTargetInfo(name)
	if err != nil {
		return nil, refused(fmt.Sprintf("look up target %q", name), err)
	}
	_, data, err := up.DownloadTarget(info, file, "")
	if err != nil {
		return nil, refused(fmt.Sprintf("download target %q", name), err)
	}
	sum := sha256.Sum256(data)
	return sum[:], nil
}

func refused(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrRefused, doing, err)
}

// A boundClient ends the updater's requests, which carry no context, when ctx ends.
type boundClient struct {
	ctx context.Context
	hc  *http.Client
}

func (c boundClient) Do(req *http.Request) (*http.Response, error) {
	return c.hc.Do(req.WithContext(c.ctx))
}

func httpClient(ca []byte) (*http.Client, error) {
	if ca == nil {
		return http.DefaultClient, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA is not a PEM certificate")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	return &http.Client{Transport: tr}, nil
}
