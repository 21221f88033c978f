package forge

import (
	"strings"

	"publisher/repo/tuf"
)

func none([]byte) []byte { return []byte("none") }

// set changes a field of the signed part of a role.
func set(role string, value any, path ...string) func(*Forge) {
	return func(f *Forge) {
		f.At(role, path[:len(path)-1]...)[path[len(path)-1]] = value
	}
}

// lifetime asks for snapshots that last so many seconds.
func lifetime(seconds int64) func(*Forge) {
	return set("root", Object{"snapshot": seconds}, "x-publisher", "lifetimes")
}

// text changes the signed part as text, before it is signed.
func text(role, old, new string) func(*Forge) {
	return func(f *Forge) { f.text[role] = replace(f.T, old, new) }
}

// after changes the file as text, after it was signed.
func after(role string, edit func(string) string) func(*Forge) {
	return func(f *Forge) { f.file[role] = edit }
}

func nested(depth int) any {
	var v any = 1
	for range depth {
		v = []any{v}
	}
	return v
}

// share lets an online role be signed for by an offline role's key too.
func (f *Forge) share(online, offline string) {
	role := f.At("root", "roles", online)
	role["keyids"] = append(role["keyids"].([]any), f.At("root", "roles", offline)["keyids"].([]any)...)
}

// old is the keys of the published root for a role.
func (f *Forge) old(role string) []string {
	return f.View().Root().Signed.Roles[role].KeyIDs
}

// deepKey is the key of the delegation to ci.deep.
func (f *Forge) deepKey() tuf.Key {
	file, err := f.View().Role(f.T.Context(), "ci")
	if err != nil {
		f.T.Fatal(err)
	}
	for _, key := range file.Signed.Delegations.Keys {
		return key
	}
	return tuf.Key{}
}

// Link is the name of a role of a Chain, the first of which is 0.
func Link(n int) string { return "r" + strings.Repeat(".r", n) }

// Chain adds a line of roles below targets.
func (f *Forge) Chain(depth int) {
	parent := "targets"
	for n := range depth {
		name := Link(n)
		f.Role(f.Delegate(parent, name, "r/*"))
		parent = name
	}
}
