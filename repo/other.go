package repo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"publisher/repo/tuf"
)

// This file finds what a version changes beside what its Difference tells, so
// that nobody signs what was not shown. It goes by exclusion: what is told is
// taken out of both versions, and whatever still differs is other. A field that
// somebody adds to the format is in it until a Difference tells it.

// An OtherField is a field that changed and has no words of its own.
type OtherField struct {
	Field string `json:"field"`        // its path, joined by dots
	Was   string `json:"was,omitzero"` // canonical JSON, empty if it was not there
	Is    string `json:"is,omitzero"`
}

// parts is JSON taken apart: objects are parts, everything else is its text.
type parts map[string]any

// otherInRoot is what the difference of two roots leaves out; before is nil for
// a first version.
func otherInRoot(before, after *tuf.Root, d Difference) ([]OtherField, error) {
	if before == nil {
		before = &tuf.Root{ConsistentSnapshot: true}
	}
	was, is, err := bothApart(*before, *after)
	if err != nil {
		return nil, err
	}
	told := []string{"root_first", "restart", "grace_until", "lifetimes"}
	used := keysOf(trustedBy(before), trustedBy(after))
	for _, version := range []parts{was, is} {
		dropHead(version)
		drop(version.at("x-publisher"), told...)
		drop(version.at("x-publisher", "certs"), slices.Collect(maps.Keys(d.Certs))...)
		drop(version.at("keys"), used...)
		for role := range version.at("roles") {
			drop(version.at("roles", role), "keyids", "threshold")
		}
	}
	return was.differences(is, ""), nil
}

// otherInTargets is what the difference of two versions of a targets role leaves
// out; before is nil for a first version.
func otherInTargets(before, after *tuf.Targets) ([]OtherField, error) {
	if before == nil {
		before = &tuf.Targets{}
	}
	was, is, err := bothApart(*before, *after)
	if err != nil {
		return nil, err
	}
	used := keysOf(delegatedTo(before), delegatedTo(after))
	for _, version := range []parts{was, is} {
		dropHead(version)
		for _, d := range slices.Concat(delegatedTo(before), delegatedTo(after)) {
			drop(version.at("x-publisher", "initial"), d.Name)
		}
		for name := range version.at("targets") {
			target := version.at("targets", name)
			drop(target, "length", "custom")
			drop(target.at("hashes"), "sha256")
		}
		drop(version.at("delegations", "keys"), used...)
		version.dropDelegated()
	}
	return was.differences(is, ""), nil
}

// dropDelegated takes out what is told of delegated roles.
func (p parts) dropDelegated() {
	roles := p.at("delegations", "roles")
	for name := range roles {
		drop(roles.at(name), "name", "keyids", "threshold", "paths", "path_hash_prefixes", "terminating")
	}
	bins := p.at("delegations", "succinct_roles")
	text, _ := bins["bit_length"].(string)
	if bits, err := strconv.Atoi(text); err == nil && bits >= 1 && bits <= maxBits {
		drop(bins, "keyids", "threshold", "bit_length", "name_prefix")
	}
}

// dropHead takes out what is told of every role or is not for the signer to
// decide: checks have held it to what is published.
func dropHead(p parts) {
	drop(p, "version", "expires")
	drop(p.at("x-publisher"), "collection", "parent")
}

func drop(p parts, names ...string) {
	for _, name := range names {
		delete(p, name)
	}
}

// keysOf is the IDs of the keys of these roles, each of which a Difference tells
// or has told when it came. An ID vouches for the whole key.
func keysOf(roles ...[]tuf.DelegatedRole) []string {
	var ids []string
	for _, d := range slices.Concat(roles...) {
		ids = append(ids, d.KeyIDs...)
	}
	return ids
}

func bothApart[T tuf.Content](before, after T) (was, is parts, err error) {
	if was, err = apart(before); err == nil {
		is, err = apart(after)
	}
	return was, is, err
}

// apart takes content apart. Delegated roles stand by name: their order is told.
func apart[T tuf.Content](content T) (parts, error) {
	f, err := tuf.New(content)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(&f.Signed, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.Head().Type, err)
	}
	whole, err := takeApart(text)
	if err != nil {
		return nil, err
	}
	p := whole.(parts)
	if t, ok := any(&f.Signed).(*tuf.Targets); ok && t.Delegations != nil {
		roles := parts{}
		for _, d := range t.Delegations.Roles {
			text, err := json.Marshal(d)
			if err != nil {
				return nil, fmt.Errorf("encode delegation %s: %w", RoleToNotary(d.Name), err)
			}
			if roles[d.Name], err = takeApart(text); err != nil {
				return nil, err
			}
		}
		p.at("delegations")["roles"] = roles
	}
	return p, nil
}

func takeApart(v jsontext.Value) (any, error) {
	var members map[string]jsontext.Value
	if v.Kind() == '{' {
		if err := json.Unmarshal(v, &members); err != nil {
			return nil, err
		}
	}
	if len(members) == 0 {
		text, err := tuf.Canonical(v)
		return string(text), err
	}
	p := parts{}
	for name, member := range members {
		var err error
		if p[name], err = takeApart(member); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// at is the object under a path, nil if there is none.
func (p parts) at(path ...string) parts {
	for _, name := range path {
		p, _ = p[name].(parts)
	}
	return p
}

// differences is where p differs from what came after it. An object of which
// everything is told is as none.
func (p parts) differences(after parts, prefix string) []OtherField {
	var all []OtherField
	names := parts{}
	maps.Copy(names, p)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := p[name], after[name]
		if isObject(was) && (isObject(is) || nothing(is)) || isObject(is) && nothing(was) {
			all = append(all, p.at(name).differences(after.at(name), prefix+name+".")...)
		} else if f := (OtherField{prefix + name, text(was), text(is)}); f.Was != f.Is {
			all = append(all, f)
		}
	}
	return all
}

func isObject(part any) bool {
	_, ok := part.(parts)
	return ok
}

// nothing reports a member that is not there, or an object that was always empty.
func nothing(part any) bool { return part == nil || part == "{}" }

// text is a member as canonical JSON has it, without what is told.
func text(part any) string {
	p, ok := part.(parts)
	if !ok {
		s, _ := part.(string)
		return s
	}
	var members []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		members = append(members, strconv.Quote(name)+":"+text(p[name]))
	}
	return "{" + strings.Join(members, ",") + "}"
}
