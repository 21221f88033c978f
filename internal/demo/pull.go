package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"publisher/internal/stock"
)

// names is every target that was published, by what was in the directory.
func (d *demo) names() ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(filepath.Join(d.shell.Dir, "release")), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

// download is the arguments with which a puller downloads from a server.
func (d *demo) download(from *server, to string, names ...string) []string {
	args := append([]string{"-d", "puller", "download", collection}, names...)
	return append(args, "-o", to+"/", "--yes", "--url", from.URL, "--tlscacert", from.CA)
}

// pullOurs downloads targets with publisher, and compares.
func (d *demo) pullOurs(names []string) (size int, err error) {
	if err := d.shell.Publisher(d.download(d.web, "pulled", names...)...); err != nil {
		return 0, err
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(d.shell.Dir, "pulled", filepath.Base(name)))
		if err == nil {
			err = d.compare(name, data)
		}
		if err != nil {
			return 0, fmt.Errorf("publisher download: %w", err)
		}
		size += len(data)
	}
	return size, nil
}

// pullStock downloads targets with go-tuf, and compares.
func (d *demo) pullStock(names []string) (size int, err error) {
	for _, name := range names {
		data, err := d.stock.Pull(d.ctx, d.web.URL+"/"+collection, name)
		if err == nil {
			err = d.compare(name, data)
		}
		if err != nil {
			return 0, fmt.Errorf("go-tuf: %w", err)
		}
		fmt.Printf("# %s: %d bytes\n", name, len(data))
		size += len(data)
	}
	return size, nil
}

// compare fails if data is not what was published under a name.
func (d *demo) compare(name string, data []byte) error {
	want, err := os.ReadFile(filepath.Join(d.shell.Dir, "release", filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	if !bytes.Equal(data, want) {
		return fmt.Errorf("%s came with %d other bytes than the %d published", name, len(data), len(want))
	}
	return nil
}

// newStockClient is go-tuf's updater, which remembers what it saw in dir.
func newStockClient(root []byte, dir, caFile string) (*stock.Client, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(caFile + " holds no certificate")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	return &stock.Client{Root: root, Dir: dir, HTTP: client}, nil
}
