package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"publisher/internal/notary"
	"publisher/storage"
	"publisher/storage/web"
)

func isURL(from string) bool { return strings.Contains(from, "://") }

// readNotary reads and verifies a collection of Notary's.
func (a *app) readNotary(ctx context.Context, from, gun string) (*notary.Collection, error) {
	source, done, err := a.notarySource(from, gun)
	if err != nil {
		return nil, err
	}
	defer done()
	old, err := notary.Read(ctx, source, gun, a.now())
	return old, notaryError(err, from, gun)
}

// notaryError adds what to do about a collection that cannot be imported.
func notaryError(err error, from, gun string) error {
	refresh := fmt.Sprintf("notary list %s brings the trust directory up to date; or name another source", gun)
	switch {
	case err == nil:
		return nil
	case as[*notary.Error](err) && isURL(from):
		return &cliError{err: err, code: exitVerification, hint: "do not use what this server has; the owner's ~/.notary may still be good"}
	case as[*notary.Error](err):
		return &cliError{err: err, code: exitVerification, hint: refresh}
	case isURL(from) && errors.Is(err, fs.ErrPermission):
		return hinted(err, "log in with notary, let notary list %s fill ~/.notary, and import from there", gun)
	case isURL(from):
		return hinted(err, "check the URL and --gun %s", gun)
	case errors.Is(err, fs.ErrNotExist):
		return hinted(err, "%s", refresh)
	}
	return err
}

// checkNotaryDir reports a directory that is not there.
func checkNotaryDir(from string) error {
	if isURL(from) || isDir(from) {
		return nil
	}
	return &cliError{err: fmt.Errorf("there is no directory %s", printable(from)), hint: "publisher import notary ~/.notary, where Notary keeps its trust directory, or the https URL of its server", code: exitNotFound}
}

func (a *app) notarySource(from, gun string) (notary.Source, func(), error) {
	if !isURL(from) {
		dir, err := notary.OpenDir(from, gun)
		if err != nil {
			return nil, nil, notaryError(err, from, gun)
		}
		return dir, func() { _ = dir.Close() }, nil // it was only read
	}
	// What is configured for collections is for other servers than this one.
	conf, err := tlsConfig([]layer{a.fromFlags, fromEnvironment})
	if err != nil {
		return nil, nil, err
	}
	server, err := web.Open(from, conf)
	if err != nil {
		return nil, nil, &cliError{err: err, hint: "publisher import notary https://HOST", code: exitUsage}
	}
	return notaryURL{server, "v2/" + gun + "/_trust/tuf/"}, func() {}, nil
}

// notaryURL is the files of a collection as Notary's server has them.
type notaryURL struct {
	get  storage.Getter
	path string
}

func (s notaryURL) Read(ctx context.Context, name string, max int64) ([]byte, error) {
	data, _, err := storage.Read(ctx, s.get, s.path+name+".json", max)
	return data, err
}

// privateFiles is the key files beside Notary's metadata, none for a server.
func privateFiles(from string) []string {
	if isURL(from) || !isDir(filepath.Join(from, "private")) {
		return nil
	}
	files, err := keyFiles(from)
	if err != nil {
		return nil // there is none
	}
	return files
}
