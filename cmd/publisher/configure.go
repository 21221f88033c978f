package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"publisher/internal/config"
	"publisher/repo/tuf"
	"publisher/trust"
)

// This file finds out what to go by: flags before the environment, that before
// what the trust directory remembers of a collection, that before the
// configuration file, and what that says of some collections before what it
// says of all.

const configVariable = "PUBLISHER_CONFIG"

// places is what the flags say of the configuration's keys.
func (g *globals) places() map[string]string {
	return map[string]string{
		config.Store: g.store, config.URL: g.url, config.Online: g.online, config.Inbox: g.inbox,
		config.TLSCACert: g.tlsCACert, config.TLSCert: g.tlsCert, config.TLSKey: g.tlsKey,
	}
}

// variables is the keys that the environment may tell, too. Not the signer's:
// that would move collections whose keys are here.
var variables = []string{config.Store, config.URL, config.TLSCACert, config.TLSCert, config.TLSKey}

func variable(key string) string { return "PUBLISHER_" + strings.ToUpper(key) }

// configure reads the configuration and opens the trust directory. Either may
// say where the other is: a file that is named is read first.
func (a *app) configure() error {
	named := setting{a.flags.config, "--config"}
	if named.value == "" {
		named = setting{os.Getenv(configVariable), configVariable}
	}
	a.config = &config.File{}
	if named.value != "" {
		var err error
		if a.config, err = config.Read(named.value); err != nil {
			return badConfig(err)
		}
		a.configFrom = named
	}
	dir, err := a.trustDir()
	if err != nil {
		return err
	}
	a.trustFrom = dir
	a.trust = trust.Open(dir.value)
	if named.value == "" {
		err = a.configIn(dir.value)
	}
	return badConfig(err)
}

// configIn reads the configuration of the trust directory, if there is one.
func (a *app) configIn(dir string) error {
	path := filepath.Join(dir, config.Name)
	f, err := config.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = f.RefuseTrustDir()
	}
	if err != nil {
		return err
	}
	a.config, a.configFrom = f, setting{path, "trust directory"}
	return nil
}

// badConfig adds what to do about a configuration that cannot be read.
func badConfig(err error) error {
	if err == nil || as[*fs.PathError](err) {
		return hinted(err, "check the trust directory, and --config FILE")
	}
	return &cliError{err: err, hint: "correct the file: publisher config show --help lists what it can say", code: exitUsage}
}

// A setting is a value to go by, and where it comes from.
type setting struct {
	value, from string
}

const defaultKeyType = tuf.TypeEd25519

const fromDefault = "default"

func (a *app) trustDir() (setting, error) {
	const name = "PUBLISHER_TRUST_DIR"
	switch env := os.Getenv(name); {
	case a.flags.trustDir != "":
		return setting{a.flags.trustDir, "--trust-dir"}, nil
	case env != "":
		return setting{env, name}, nil
	case a.config.TrustDir != "":
		return setting{a.config.TrustDir, a.config.Path}, nil
	}
	dir, err := defaultTrustDir()
	return setting{dir, fromDefault}, err
}

// A layer is one of the places that values come from.
type layer func(key string) setting

// layers is all of them for a collection, whose settings s may be empty, or for
// none.
func (a *app) layers(name string, s trust.Settings) []layer {
	return []layer{a.fromFlags, fromEnvironment, a.fromSettings(name, s), a.fromConfig(name)}
}

func (a *app) fromFlags(key string) setting {
	return setting{a.given[key], "--" + key}
}

func fromEnvironment(key string) setting {
	if !slices.Contains(variables, key) {
		return setting{}
	}
	return setting{os.Getenv(variable(key)), variable(key)}
}

func (a *app) fromSettings(name string, s trust.Settings) layer {
	values := settingsFields(&s)
	return func(key string) setting {
		value, ok := values[key]
		if !ok {
			return setting{}
		}
		return setting{*value, "settings of " + name}
	}
}

func (a *app) fromConfig(name string) layer {
	return func(key string) setting {
		v, ok := a.config.Lookup(name, key)
		if !ok {
			return setting{}
		}
		from := fmt.Sprintf("%s:%d", a.config.Path, v.Line)
		if v.Pattern != "" {
			from += " (" + v.Pattern + ")"
		}
		return setting{v.Text, from}
	}
}

// valueOf is the value of a key in the first layer that has one.
func valueOf(layers []layer, key string) setting {
	for _, layer := range layers {
		if s := layer(key); s.value != "" {
			return s
		}
	}
	return setting{}
}

// readFrom is where a collection is read: in the first layer that says where,
// its URL, or else its store.
func readFrom(layers []layer) (key string, s setting) {
	for _, layer := range layers {
		for _, key := range []string{config.URL, config.Store} {
			if s := layer(key); s.value != "" {
				return key, s
			}
		}
	}
	return "", setting{}
}

// placed is what is remembered of a collection, s, and what the configuration
// says of the store that s does not name. Who holds a collection's online keys is
// never a matter of the configuration once it exists.
func (a *app) placed(name string, s trust.Settings) trust.Settings {
	if s.Store == "" {
		s.Store = a.fromConfig(name)(config.Store).value
	}
	return s
}

// newSettings is s with what flags and configuration say of a collection that
// gets to be known here. The file names in it are absolute.
func (a *app) newSettings(name string, s trust.Settings, keys ...string) (trust.Settings, error) {
	configured := a.fromConfig(name)
	for key, value := range settingsFields(&s) {
		if given := valueOf([]layer{a.fromFlags, fromEnvironment}, key); given.value != "" {
			*value = given.value
		} else if *value == "" && slices.Contains(keys, key) {
			*value = configured(key).value
		}
	}
	if err := absoluteFiles(&s); err != nil {
		return s, err
	}
	return s, a.checkOnline(&s)
}

// settingsFields is where settings keep what the configuration's keys mean.
func settingsFields(s *trust.Settings) map[string]*string {
	return map[string]*string{
		config.Store: &s.Store, config.URL: &s.URL, config.Online: &s.Online, config.Inbox: &s.Inbox,
		config.TLSCACert: &s.TLSCACert, config.TLSCert: &s.TLSCert, config.TLSKey: &s.TLSKey,
	}
}

// absoluteFiles makes the file names in settings absolute.
func absoluteFiles(s *trust.Settings) error {
	for _, file := range []*string{&s.TLSCACert, &s.TLSCert, &s.TLSKey} {
		if *file == "" {
			continue
		}
		path, err := filepath.Abs(*file)
		if err != nil {
			return fmt.Errorf("find %s: %w", *file, err)
		}
		*file = path
	}
	return nil
}

// keyType is the kind of the keys to make for a collection.
func (a *app) keyType(name, flag string) setting {
	if flag != "" {
		return setting{flag, "--key-type"}
	}
	if s := a.fromConfig(name)(config.KeyType); s.value != "" {
		return s
	}
	return setting{defaultKeyType, fromDefault}
}
