// Package serve serves an object store to TUF clients over HTTP, as a CDN in
// front of it would: GET and HEAD of objects, with the headers under which
// they are stored, and nothing else.
package serve

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"publisher/storage"
)

// Handler serves the objects of s. The decoded path is the key: a "+" is a "+".
//
// What is missing is a 404, which ends a client's search for newer roots, and
// which nobody may cache, since the next root appears there. When the store
// fails the answer is 503, which ends no search. An object of which a part only
// can be read ends the connection. Conditions and ranges are honoured where the
// store's bodies can seek.
func Handler(s storage.Getter) http.Handler { return &handler{s} }

type handler struct{ store storage.Getter }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Pages of any origin may read: nothing here is secret.
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/")
	if !storage.ValidKey(key) || hidden(key) {
		refuse(w, http.StatusNotFound)
		return
	}
	obj, err := h.store.Get(r.Context(), key)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid):
		refuse(w, http.StatusNotFound)
		return
	case err != nil:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	defer obj.Body.Close()
	send(w, r, key, obj)
}

// refuse answers without an object. The reason stays here: it may name files or
// hosts that are no business of whoever asks.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

// hidden reports whether a key is none of a collection's objects: their names
// start with a dot nowhere but in the directories of a target's name.
func hidden(key string) bool {
	own, _, _ := strings.Cut(key, "/targets/")
	return strings.HasPrefix(own, ".") || strings.Contains(own, "/.") || strings.HasPrefix(path.Base(key), ".")
}

func send(w http.ResponseWriter, r *http.Request, key string, obj storage.Object) {
	header := w.Header()
	header.Set("Cache-Control", storage.CacheControl(key))
	header.Set("Content-Type", storage.ContentType(key))
	header.Set("X-Content-Type-Options", "nosniff")
	if obj.Version != storage.Absent {
		header.Set("ETag", etag(obj.Version))
	}
	if body, ok := obj.Body.(io.ReadSeeker); ok {
		// No Last-Modified: timestamp.json changes twice within a second.
		http.ServeContent(w, r, "", time.Time{}, body)
		return
	}
	if obj.Size >= 0 {
		header.Set("Content-Length", strconv.FormatInt(obj.Size, 10))
	}
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, obj.Body); err != nil {
		panic(http.ErrAbortHandler) // so that it does not look whole
	}
}

// etag hides the version, which may hold characters that a header cannot.
func etag(v storage.Version) string {
	sum := sha256.Sum256([]byte(v))
	return fmt.Sprintf(`"%x"`, sum[:16])
}
