package main

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"publisher/internal/config"
	"publisher/trust"
)

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Show what the commands go by",
		GroupID: groupKeys,
		Long: `Show what the commands go by. Flags go before the environment, that before what
the trust directory remembers of a collection, and that before config.yaml in the
trust directory, or the file that --config or $PUBLISHER_CONFIG names.`,
	}
	return family(cmd, newConfigShow(a))
}

func newConfigShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show [COLLECTION]",
		Short: "Print every value, and where it comes from",
		Long: `Print every value that commands on a collection, or on one not yet known, go by,
and where it comes from: a flag, a variable, the settings of the collection, or
a line of the configuration file.

The file is YAML. File names in it start from its directory; a key that is not
known is an error. What a section under collections says goes before what stands
outside; of the rules under trust the most specific counts alone.

  store: s3://bucket?region=eu-central-1
  url: https://cdn.example.com
  online: lambda:publisher-signer     # for init and trust add
  inbox: s3://inbox
  tlscacert: ca.pem
  tlscert: client.pem
  tlskey: client.key
  key_type: ecdsa                     # ed25519, ecdsa or rsa
  trust_dir: /srv/trust               # in a file given with --config

  collections:
    example.com/*:                    # all below example.com
      url: https://mirror.example.com

  trust:
    example.com/scripts:
      root: 9f86d08…                  # SHA-256 of a root, or several
    example.com/*:
      ca: ca.pem                      # who vouches for root keys
    partner.example/*:
      keys: [5891b5b…, e258d24…]      # IDs of root keys
      threshold: 2                    # how many of them must have signed
    "*":
      tofu: false                     # never the first root that comes along`,
		Example: "  publisher config show\n  publisher config show example.com/scripts --json",
		Args:    between(0, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runConfigShow(a, args) },

		ValidArgsFunction: a.completeCollections,
	}
}

// A shownSetting is a value and where it comes from.
type shownSetting struct {
	Key   string `json:"key"`
	Value string `json:"value"` // empty if there is none
	From  string `json:"from,omitempty"`
}

func runConfigShow(a *app, args []string) error {
	name, s, known, err := a.settingsOf(args)
	if err != nil {
		return err
	}
	shown := a.shownSettings(name, s, known)
	return a.result(shown, func(w io.Writer) error {
		rows := make([][]string, len(shown))
		for i, s := range shown {
			rows[i] = []string{s.Key, orDash(s.Value), orDash(s.From)}
		}
		return printTable(w, []string{"KEY", "VALUE", "FROM"}, rows)
	})
}

// settingsOf is the settings of the collection that is asked for, which need
// not be known here.
func (a *app) settingsOf(args []string) (name string, s trust.Settings, known bool, err error) {
	if len(args) == 0 {
		return "", s, false, nil
	}
	c, err := a.collection(args[0])
	if err != nil {
		return "", s, false, err
	}
	s, err = c.Settings()
	if errors.Is(err, fs.ErrNotExist) {
		return args[0], s, false, nil
	}
	return args[0], s, true, err
}

// shownSettings is what commands on a collection go by.
func (a *app) shownSettings(name string, s trust.Settings, known bool) []shownSetting {
	var shown []shownSetting
	add := func(key string, s setting) {
		if s.value == "" {
			s.from = ""
		}
		if strings.Contains(s.value, "://") {
			s.value = shownStore(s.value)
		}
		shown = append(shown, shownSetting{key, s.value, s.from})
	}
	add("config", a.configFrom)
	add("trust_dir", a.trustFrom)
	layers := a.layers(name, s)
	for _, key := range []string{config.Store, config.URL} {
		add(key, valueOf(layers, key))
	}
	signer := layers
	if known {
		signer = layers[:len(layers)-1] // who holds its keys is remembered, or they are here
	}
	for _, key := range []string{config.Online, config.Inbox} {
		add(key, valueOf(signer, key))
	}
	for _, key := range []string{config.TLSCACert, config.TLSCert, config.TLSKey} {
		add(key, valueOf(layers, key))
	}
	add(config.KeyType, a.keyType(name, ""))
	if name != "" {
		add("trust", a.shownRule(name))
	}
	key, from := readFrom(layers)
	if key != "" {
		from.from = key + " of " + from.from
	}
	add("read from", from)
	return shown
}
