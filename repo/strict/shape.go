package strict

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// A Shape says which JSON values are expected at a place. Names that a shape
// does not know pass, with any value: TUF asks readers to ignore them.
type Shape struct {
	kind     jsontext.Kind
	members  map[string]member // of an object with known names
	required int               // how many of members must be there
	elem     *Shape            // of an array, or of an object's names that are not in members
}

type member struct {
	name     string
	shape    *Shape
	required bool
}

const (
	anything jsontext.Kind = 0
	boolean  jsontext.Kind = 't'
)

// The shapes of single values.
var (
	Any    = &Shape{kind: anything}
	String = &Shape{kind: '"'}
	Int    = &Shape{kind: '0'}
	Bool   = &Shape{kind: boolean}
)

// Fields is the known names of an object and the shapes of their values.
type Fields map[string]*Shape

// Object is an object with known names, of which those required must be there.
func Object(f Fields, required ...string) *Shape {
	s := &Shape{kind: '{', members: make(map[string]member, len(f)), required: len(required)}
	for name, shape := range f {
		s.members[name] = member{name, shape, slices.Contains(required, name)}
	}
	return s
}

// Map is an object whose names are free, with values of one shape.
func Map(of *Shape) *Shape { return &Shape{kind: '{', elem: of} }

// others returns s, an object, with a shape for the names that it does not know.
func (s *Shape) others(of *Shape) *Shape {
	s.elem = of
	return s
}

// Array is an array with elements of one shape.
func Array(of *Shape) *Shape { return &Shape{kind: '[', elem: of} }

func (s *Shape) element() *Shape {
	if s.elem == nil {
		return Any
	}
	return s.elem
}

func (s *Shape) requires(name string) bool { return s.members[name].required }

func (s *Shape) requiredNames() []string {
	var names []string
	for name, m := range s.members {
		if m.required {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// The shapes of the TUF roles' files; TUF specification, section 4.
var (
	Root = signed(Fields{
		"consistent_snapshot": Bool,
		"keys":                Map(key),
		"roles":               rootRoles,
	}, "keys", "roles")
	Targets = signed(Fields{
		"targets":     Map(target),
		"delegations": delegations,
	}, "targets")
	Snapshot = signed(Fields{
		"meta": Map(metaFile),
	}, "meta")
	Timestamp = signed(Fields{
		"meta": Object(Fields{"snapshot.json": metaFile}, "snapshot.json").others(metaFile),
	}, "meta")
)

var (
	hashes = Map(String)
	key    = Object(Fields{
		"keytype": String,
		"scheme":  String,
		"keyval":  Object(Fields{"public": String}, "public"),
	}, "keytype", "scheme", "keyval")
	role = Object(Fields{
		"keyids":    Array(String),
		"threshold": Int,
	}, "keyids", "threshold")
	rootRoles = Object(Fields{
		"root": role, "targets": role, "snapshot": role, "timestamp": role,
	}, "root", "targets", "snapshot", "timestamp").others(role)
	metaFile = Object(Fields{
		"version": Int,
		"length":  Int,
		"hashes":  hashes,
	}, "version")
	target = Object(Fields{
		"length": Int,
		"hashes": hashes,
		"custom": Any,
	}, "length", "hashes")
	delegations = Object(Fields{
		"keys": Map(key),
		"roles": Array(Object(Fields{
			"name":               String,
			"keyids":             Array(String),
			"threshold":          Int,
			"paths":              Array(String),
			"path_hash_prefixes": Array(String),
			"terminating":        Bool,
		}, "name", "keyids", "threshold")),
		"succinct_roles": Object(Fields{
			"keyids":      Array(String),
			"threshold":   Int,
			"bit_length":  Int,
			"name_prefix": String,
		}, "keyids", "threshold", "bit_length", "name_prefix"),
	}, "keys")
	publisher = Object(Fields{
		"collection":    String,
		"parent":        String,
		"lifetimes":     Map(Int),
		"certs":         Map(String),
		"refresh_after": String,
		"grace_until":   String,
		"root_first":    Bool,
		"restart":       Map(Int),
		"initial":       Map(Array(String)),
	})
)

// signed is the shape of a role's file with the given fields of its own.
func signed(f Fields, required ...string) *Shape {
	f["_type"] = String
	f["spec_version"] = String
	f["version"] = Int
	f["expires"] = String
	f["x-publisher"] = publisher
	return Object(Fields{
		"signed":     Object(f, append(required, "_type", "spec_version", "version", "expires")...),
		"signatures": Array(Object(Fields{"keyid": String, "sig": String}, "keyid", "sig")),
	}, "signed", "signatures")
}
