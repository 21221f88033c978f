package repo

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"publisher/repo/tuf"
)

// hashers is the algorithms that are understood, of which a listing must have
// one; TUF specification, section 4.1.
var hashers = map[string]func() hash.Hash{
	"sha256": sha256.New,
	"sha512": sha512.New,
}

// checkContent compares a metadata file with what signed metadata says of it.
func checkContent(meta tuf.MetaFile, data []byte) error {
	if meta.Length > 0 && int64(len(data)) != meta.Length {
		return fmt.Errorf("%d bytes, not %d", len(data), meta.Length)
	}
	if len(meta.Hashes) == 0 {
		return nil
	}
	d, err := NewDigest(meta.Hashes)
	if err != nil {
		return err
	}
	_, _ = d.Write(data)
	return d.Check()
}

// A Digest compares bytes that are written to it with listed hashes.
type Digest struct {
	want   map[string]string
	hashes map[string]hash.Hash
	n      int64
}

// NewDigest fails if none of the listed algorithms is understood.
func NewDigest(want map[string]string) (*Digest, error) {
	d := &Digest{want: want, hashes: map[string]hash.Hash{}}
	for algorithm := range want {
		if hasher, ok := hashers[algorithm]; ok {
			d.hashes[algorithm] = hasher()
		}
	}
	if len(d.hashes) == 0 {
		return nil, fmt.Errorf("neither a sha256 nor a sha512 is listed, only %q", slices.Sorted(maps.Keys(want)))
	}
	return d, nil
}

// Write takes more of the content. It never fails.
func (d *Digest) Write(p []byte) (int, error) {
	for _, h := range d.hashes {
		_, _ = h.Write(p) // a hash never fails
	}
	d.n += int64(len(p))
	return len(p), nil
}

// Len is how many bytes were written.
func (d *Digest) Len() int64 { return d.n }

var errHash = errors.New("the content does not have the signed hash")

// Check reports whether the bytes written so far have every listed hash.
func (d *Digest) Check() error {
	for algorithm, h := range d.hashes {
		if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, d.want[algorithm]) {
			return fmt.Errorf("%w: %s is %s, not %s", errHash, algorithm, got, d.want[algorithm])
		}
	}
	return nil
}
