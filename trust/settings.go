package trust

import (
	"errors"
	"fmt"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/internal/durable"
)

// Settings is where a collection is found.
type Settings struct {
	Store     string `json:"store,omitempty"`     // the store that publish writes to
	URL       string `json:"url,omitempty"`       // where readers get it, in place of the store
	TLSCACert string `json:"tlscacert,omitempty"` // a file with the CAs that URL's certificate may come from

	// The files with the certificate by which URL knows this client, and its
	// private key, unencrypted. Either both are set or none.
	TLSCert string `json:"tlscert,omitempty"`
	TLSKey  string `json:"tlskey,omitempty"`

	// Online is who holds the keys of snapshot and timestamp, as --online has
	// it; empty where this trust directory does. Inbox is the store in which
	// submissions are left for them. Either both are set or none.
	Online string `json:"online,omitempty"`
	Inbox  string `json:"inbox,omitempty"`

	// Unknown is what another version of this program has set. It stays if
	// what SetSettings gets was made from what Settings returned.
	Unknown jsontext.Value `json:",embed"`
}

// Settings reads the settings.
func (c *Collection) Settings() (Settings, error) {
	if err := c.check(); err != nil {
		return Settings{}, err
	}
	data, err := os.ReadFile(c.file(settingsFile))
	if err != nil {
		return Settings{}, err
	}
	var s *Settings // nil after a null
	if err = json.Unmarshal(data, &s); err == nil && s == nil {
		err = errors.New("no settings in it")
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read %s: %w", c.file(settingsFile), err)
	}
	return *s, nil
}

// SetSettings replaces the settings of a collection that exists.
func (c *Collection) SetSettings(s Settings) error {
	return c.change(c.dir, func() error { return c.writeSettings(s) })
}

func (c *Collection) writeSettings(s Settings) error {
	data, err := json.Marshal(s, jsontext.Multiline(true))
	if err != nil {
		return fmt.Errorf("encode settings of %s: %w", c.name, err)
	}
	return durable.WriteFile(c.file(settingsFile), append(data, '\n'), fileMode)
}
