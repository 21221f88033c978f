package minio

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// alias is what mc calls a server with the keys to it.
type alias struct {
	url                         *url.URL
	accessKey, secretKey, token string
}

// findAlias looks where mc does: in MC_HOST_<name>, then in config.json in
// MC_CONFIG_DIR or ~/.mc. It returns nil for a name that is not there.
func findAlias(name string) (*alias, error) {
	if env := os.Getenv("MC_HOST_" + name); env != "" {
		return parseHost("MC_HOST_"+name, env)
	}
	dir := os.Getenv("MC_CONFIG_DIR")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, nil // no home, no configuration
		}
		dir = filepath.Join(home, ".mc")
	}
	return readAlias(filepath.Join(dir, "config.json"), name)
}

// parseHost parses https://key:secret[:token]@host. Errors do not show it.
func parseHost(name, value string) (*alias, error) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s: want https://ACCESS-KEY:SECRET-KEY@host", name)
	}
	a := &alias{url: &url.URL{Scheme: u.Scheme, Host: u.Host}}
	if u.User != nil {
		secret, _ := u.User.Password()
		a.accessKey = u.User.Username()
		a.secretKey, a.token, _ = strings.Cut(secret, ":")
	}
	return a, nil
}

func readAlias(file, name string) (*alias, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("aliases of mc: %w", err)
	}
	var conf struct {
		Aliases map[string]struct {
			URL          string `json:"url"`
			AccessKey    string `json:"accessKey"`
			SecretKey    string `json:"secretKey"`
			SessionToken string `json:"sessionToken"`
		} `json:"aliases"`
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		return nil, fmt.Errorf("aliases of mc: %s: %w", file, err)
	}
	found, ok := conf.Aliases[name]
	if !ok {
		return nil, nil
	}
	u, err := url.Parse(found.URL)
	if err != nil {
		return nil, fmt.Errorf("alias %s in %s: %w", name, file, err)
	}
	return &alias{u, found.AccessKey, found.SecretKey, found.SessionToken}, nil
}
