// Pull fetches one repository with the client of go-tuf v0.7: job as JSON on stdin, answer as JSON on stdout.
//
// It is a module of its own so that the old release and its requirements stay out of the module that tests with it.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"

	"github.com/theupdateframework/go-tuf/client"
	filejsonstore "github.com/theupdateframework/go-tuf/client/filejsonstore"
)

type job struct {
	MetadataURL string   `json:"metadataURL"`
	TargetsURL  string   `json:"targetsURL"`
	Root        []byte   `json:"root"`
	Targets     []string `json:"targets"`
	Dir         string   `json:"dir"`
	CA          []byte   `json:"ca"`
}

type answer struct {
	Refused string            `json:"refused"`
	SHA256  map[string]string `json:"sha256"`
}

func main() {
	if err := answerJob(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// answerJob fails only for what is not the client's doing.
func answerJob(in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	c, fresh, err := newClient(j)
	if err != nil {
		return err
	}
	var a answer
	if a.SHA256, err = pull(c, fresh, j); err != nil {
		a.Refused = err.Error()
	}
	return json.NewEncoder(out).Encode(a)
}

func newClient(j job) (c *client.Client, fresh bool, err error) {
	local, err := filejsonstore.NewFileJSONStore(j.Dir)
	if err != nil {
		return nil, false, err
	}
	meta, err := local.GetMeta()
	if err != nil {
		return nil, false, err
	}
	remote, err := newRemote(j)
	if err != nil {
		return nil, false, err
	}
	_, kept := meta["root.json"]
	return client.NewClient(local, remote), !kept, nil
}

// A remote serves metadata and targets from different URLs; the store of the library knows one.
type remote struct {
	client.RemoteStore
	targets client.RemoteStore
}

func (r remote) GetTarget(path string) (io.ReadCloser, int64, error) {
	return r.targets.GetTarget(path)
}

func newRemote(j job) (client.RemoteStore, error) {
	hc, err := httpClient(j.CA)
	if err != nil {
		return nil, err
	}
	// "/" because the library takes an empty path for "targets".
	opts := &client.HTTPRemoteOptions{TargetsPath: "/"}
	meta, err := client.HTTPRemoteStore(j.MetadataURL, opts, hc)
	if err != nil {
		return nil, err
	}
	targets, err := client.HTTPRemoteStore(j.TargetsURL, opts, hc)
	if err != nil {
		return nil, err
	}
	return remote{meta, targets}, nil
}

func httpClient(ca []byte) (*http.Client, error) {
	if ca == nil {
		return http.DefaultClient, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA is not a PEM certificate")
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}, nil
}

func pull(c *client.Client, fresh bool, j job) (map[string]string, error) {
	if fresh {
		if err := c.Init(j.Root); err != nil {
			return nil, fmt.Errorf("load the trusted root: %w", err)
		}
	}
	if _, err := c.Update(); err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	sums := make(map[string]string)
	for _, name := range j.Targets {
		sum := digest{sha256.New()}
		if err := c.Download(name, sum); err != nil {
			return nil, fmt.Errorf("download target %q: %w", name, err)
		}
		sums[name] = hex.EncodeToString(sum.Sum(nil))
	}
	return sums, nil
}

// A digest is a client.Destination that keeps the hash of a target instead of the target.
type digest struct{ hash.Hash }

func (d digest) Delete() error {
	d.Reset()
	return nil
}
