package main

import (
	"net/url"
	"os"
	"path"
	"path/filepath"

	"publisher/trust"
)

// ownStore refuses a store other than the collection's: garbage collection signs
// a new timestamp there, and a mirror that has one of its own takes nothing from
// its source any more. Of a store that has two addresses the one who calls says so.
func (a *app) ownStore(c *trust.Collection, o gcOptions) error {
	given := a.flags.store
	if o.sameStore && given == "" {
		return usage("leave out --same-store", "--same-store goes with --store")
	}
	s, err := c.Settings()
	if err != nil {
		return err
	}
	own := a.placed(c.Name(), s).Store
	if given == "" || own == "" || o.sameStore || o.dryRun || sameStore(own, given) {
		return nil
	}
	return usage(
		"leave out --store, or add --same-store if that is another address of the same store",
		"%s is kept in %s: a timestamp that is signed in %s makes that another collection", c.Name(), shownStore(own), shownStore(given),
	)
}

// sameStore reports whether two addresses are seen to be of one store: where they
// differ in no more than how it is reached, or are names of one directory.
func sameStore(a, b string) bool {
	if dir, other := storeDir(a), storeDir(b); dir != "" && other != "" {
		return sameDir(dir, other)
	}
	x, errA := url.Parse(a)
	y, errB := url.Parse(b)
	return errA == nil && errB == nil && x.Scheme == y.Scheme && x.Host == y.Host &&
		path.Clean("/"+x.Path) == path.Clean("/"+y.Path) && x.Query().Get("endpoint") == y.Query().Get("endpoint")
}

func sameDir(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return filepath.Clean(a) == filepath.Clean(b) || errA == nil && errB == nil && os.SameFile(x, y)
}
