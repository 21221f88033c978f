package repo_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// A seen is what a stock client gets of a collection.
type seen struct {
	Timestamp, Snapshot time.Time         // their expiry
	Targets             map[string]string // content by name
}

// A stockClient is go-tuf's updater with what it remembers from pull to pull.
// It shares no code with the package under test.
type stockClient struct {
	dir  string // empty for one that remembers nothing
	root []byte
}

func newStockClient(t *testing.T, root []byte) *stockClient {
	return &stockClient{dir: t.TempDir(), root: root}
}

// clone is a client that remembers the same.
func (c *stockClient) clone(t *testing.T) *stockClient {
	t.Helper()
	d := newStockClient(t, c.root)
	if err := os.CopyFS(d.dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	return d
}

// pull looks for the named targets in the store, and downloads those it finds.
func (c *stockClient) pull(ctx context.Context, store storage.Getter, now time.Time, names []string) (*seen, error) {
	up, err := c.updater(ctx, store, now)
	if err != nil {
		return nil, err
	}
	if err := up.Refresh(); err != nil {
		return nil, err
	}
	trusted := up.GetTrustedMetadataSet()
	s := &seen{trusted.Timestamp.Signed.Expires, trusted.Snapshot.Signed.Expires, map[string]string{}}
	for _, name := range names {
		info, err := up.GetTargetInfo(name)
		if err != nil && strings.HasSuffix(err.Error(), "not found") {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, data, err := up.DownloadTarget(info, filepath.Join(c.dir, "target"), "")
		if err != nil {
			return nil, err
		}
		s.Targets[name] = string(data)
	}
	return s, nil
}

func (c *stockClient) updater(ctx context.Context, store storage.Getter, now time.Time) (*updater.Updater, error) {
	root, err := os.ReadFile(filepath.Join(c.dir, "root.json"))
	if c.dir == "" || errors.Is(err, fs.ErrNotExist) {
		root, err = c.root, nil
	}
	if err != nil {
		return nil, err
	}
	cfg, err := config.New("http://store.invalid/"+collection+"/metadata", root)
	if err != nil {
		return nil, err
	}
	cfg.Fetcher = storeFetcher{ctx, store}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = c.dir, c.dir
	cfg.DisableLocalCache = c.dir == ""
	cfg.RemoteTargetsURL = "http://store.invalid/" + collection + "/targets"
	up, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	up.UnsafeSetRefTime(now)
	return up, nil
}

// storeFetcher serves a store to the updater, as an HTTP server would.
type storeFetcher struct {
	ctx   context.Context
	store storage.Getter
}

func (f storeFetcher) DownloadFile(address string, max int64, _ time.Duration) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	data, _, err := storage.Read(f.ctx, f.store, strings.TrimPrefix(u.Path, "/"), max)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: address}
	}
	return data, err
}

// TestStockClientRefuses: every file of a set is looked at by the second library,
// and what crashes it is refused as well.
func TestStockClientRefuses(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	w.rotateOnline()
	all := objects(t, w.store)
	file := func(name string) []byte { return []byte(all[repo.MetadataDir(collection)+"/"+name]) }
	set := func() map[string][]byte {
		return map[string][]byte{
			"root": file("1.root.json"), "the next root": file("2.root.json"), "timestamp": file("timestamp.json"),
			"snapshot": file("2.snapshot.json"), "targets": file("1.targets.json"),
		}
	}
	check := func(s map[string][]byte) error {
		return repo.StockClient([][]byte{s["root"], s["the next root"]}, s["timestamp"], s["snapshot"], s["targets"])
	}
	if err := check(set()); err != nil {
		t.Error(err)
	}
	for name := range set() {
		s := set()
		s[name] = []byte("{}")
		if err := check(s); err == nil || !strings.HasPrefix(err.Error(), "a stock client refuses "+name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := repo.StockClient(nil, nil, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "a stock client crashes: ") {
		t.Errorf("without a root: %v", err)
	}
}

// TestCommitAsksStockClient: a set that a stock client refuses, or whose timestamp
// no client reads to its end, is not published.
func TestCommitAsksStockClient(t *testing.T) {
	f := newForge(t, family(t))
	base, err := f.base()
	if err != nil {
		t.Fatal(err)
	}
	sub := f.targetsOnly()
	ts := f.view().Timestamp.Signed
	stranger := forge.Ring{}
	unsigned := forge.Signed(t, stranger, ts, stranger.Generate(t).ID())
	ts.Unknown = jsontext.Value(`{"padding":"` + strings.Repeat("x", repo.MaxTimestamp) + `"}`)
	for want, other := range map[string]*tuf.File[tuf.Timestamp]{
		"":                                   nil,
		"a stock client refuses timestamp: ": unsigned,
		"are read by clients":                forge.Signed(t, stranger, ts),
	} {
		err := f.committer().CheckStock(t.Context(), base, sub, other)
		if want == "" && err != nil || want != "" && (!errors.As(err, new(*repo.Rejection)) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}
