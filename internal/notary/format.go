package notary

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/repo/strict"
	"publisher/repo/tuf"
)

// This file is the form of Notary's files.

type envelope struct {
	Signed     jsontext.Value `json:"signed"`
	Signatures []signature    `json:"signatures"`
}

type signature struct {
	KeyID  string `json:"keyid"`
	Method string `json:"method"`
	Sig    []byte `json:"sig"` // base64
}

type common struct {
	Type    string    `json:"_type"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

func (c *common) head() *common { return c }

type rootContent struct {
	common
	Keys  map[string]keyContent  `json:"keys"`
	Roles map[string]roleContent `json:"roles"`
}

type roleContent struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int64    `json:"threshold"`
}

type keyContent struct {
	Type  string `json:"keytype"`
	Value struct {
		Public []byte `json:"public"` // base64
	} `json:"keyval"`
}

// metaContent is the content of snapshot and of timestamp.
type metaContent struct {
	common
	Meta map[string]fileContent `json:"meta"`
}

type fileContent struct {
	Length int64             `json:"length"`
	Hashes map[string][]byte `json:"hashes"` // base64 by algorithm
	Custom jsontext.Value    `json:"custom"`
}

type targetsContent struct {
	common
	Targets     map[string]fileContent `json:"targets"`
	Delegations struct {
		Keys  map[string]keyContent `json:"keys"`
		Roles []struct {
			roleContent
			Name  string   `json:"name"`
			Paths []string `json:"paths"`
		} `json:"roles"`
	} `json:"delegations"`
}

var (
	keyShape = strict.Object(strict.Fields{
		"keytype": strict.String,
		"keyval":  strict.Object(strict.Fields{"public": strict.String}, "public"),
	}, "keytype", "keyval")
	roleFields = strict.Fields{"keyids": strict.Array(strict.String), "threshold": strict.Int}
	roleShape  = strict.Object(roleFields, "keyids", "threshold")
	fileShape  = strict.Object(strict.Fields{
		"length": strict.Int,
		"hashes": strict.Map(strict.String),
		"custom": strict.Any,
	}, "length", "hashes")

	rootShape = signedShape(strict.Fields{
		"keys": strict.Map(keyShape),
		"roles": strict.Object(strict.Fields{
			"root": roleShape, "targets": roleShape, "snapshot": roleShape, "timestamp": roleShape,
		}, "root", "targets", "snapshot", "timestamp"),
	}, "keys", "roles")
	snapshotShape  = signedShape(strict.Fields{"meta": strict.Object(strict.Fields{"root": fileShape, "targets": fileShape}, "root", "targets")}, "meta")
	timestampShape = signedShape(strict.Fields{"meta": strict.Object(strict.Fields{"snapshot": fileShape}, "snapshot")}, "meta")
	targetsShape   = signedShape(strict.Fields{
		"targets": strict.Map(fileShape),
		"delegations": strict.Object(strict.Fields{
			"keys": strict.Map(keyShape),
			"roles": strict.Array(strict.Object(strict.Fields{
				"name": strict.String, "paths": strict.Array(strict.String),
				"keyids": strict.Array(strict.String), "threshold": strict.Int,
			}, "name", "keyids", "threshold")),
		}, "keys", "roles"),
	}, "targets")
)

func signedShape(f strict.Fields, required ...string) *strict.Shape {
	f["_type"], f["version"], f["expires"] = strict.String, strict.Int, strict.String
	return strict.Object(strict.Fields{
		"signed": strict.Object(f, append(required, "_type", "version", "expires")...),
		"signatures": strict.Array(strict.Object(strict.Fields{
			"keyid": strict.String, "method": strict.String, "sig": strict.String,
		}, "keyid", "method", "sig")),
	}, "signed", "signatures")
}

// A file is one that was parsed, and not verified yet.
type file[T any] struct {
	signed     T
	data       []byte
	payload    []byte // what the signatures are over
	signatures []signature
}

func (f *file[T]) head() *common { return any(&f.signed).(interface{ head() *common }).head() }

// parse reads a file behind the strict gate. Notary signs the same canonical
// form of JSON as TUF does.
func parse[T any](data []byte, shape *strict.Shape, kind string, into *file[T]) error {
	if err := strict.Check(data, int64(len(data)), shape); err != nil {
		return err
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	if err := json.Unmarshal(e.Signed, &into.signed); err != nil {
		return err
	}
	switch h := into.head(); {
	case h.Type != kind:
		return fmt.Errorf("_type is %q, not %q", h.Type, kind)
	case h.Version < 1:
		return fmt.Errorf("version is %d", h.Version)
	}
	var err error
	into.payload, err = tuf.Canonical(e.Signed)
	into.data, into.signatures = data, e.Signatures
	return err
}

// check compares a file with what signed metadata says of it.
func (r *reader) check(name string, data []byte, meta fileContent) error {
	if err := compare(data, meta); err != nil {
		return wrong(name, "%w", err)
	}
	return nil
}

func compare(data []byte, meta fileContent) error {
	if meta.Length > 0 && int64(len(data)) != meta.Length {
		return fmt.Errorf("it has %d bytes, and should have %d", len(data), meta.Length)
	}
	known := false
	for algorithm, want := range meta.Hashes {
		got := ""
		switch algorithm {
		case "sha256":
			sum := sha256.Sum256(data)
			got = string(sum[:])
		case "sha512":
			sum := sha512.Sum512(data)
			got = string(sum[:])
		default:
			continue
		}
		if known = true; got != string(want) {
			return fmt.Errorf("its %s is %x, and should be %x", algorithm, got, want)
		}
	}
	if !known {
		return errors.New("neither its sha256 nor its sha512 is listed")
	}
	return nil
}

// targetFile is a target in the words of the package.
func targetFile(f fileContent) (File, error) {
	out := File{Length: f.Length, Hashes: map[string]string{}, Custom: f.Custom}
	for algorithm, size := range map[string]int{"sha256": sha256.Size, "sha512": sha512.Size} {
		sum, ok := f.Hashes[algorithm]
		if ok && len(sum) != size {
			return out, fmt.Errorf("a %s of %d bytes", algorithm, len(sum))
		}
		if ok {
			out.Hashes[algorithm] = hex.EncodeToString(sum)
		}
	}
	switch {
	case len(out.Hashes) == 0:
		return out, errors.New("neither a sha256 nor a sha512 is listed")
	case f.Length < 0:
		return out, fmt.Errorf("a length of %d", f.Length)
	}
	return out, nil
}
