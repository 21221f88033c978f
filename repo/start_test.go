package repo_test

import (
	"strings"
	"testing"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
)

// TestStartOutranksNobody: whoever has kept an initial key cannot take back what
// the role's people have published, also before the role above says that the key
// is done with.
func TestStartOutranksNobody(t *testing.T) {
	for name, edit := range map[string]func(o object){
		"emptied":             func(o object) { o["targets"] = object{} },
		"emptied, two signed": func(o object) { o["targets"] = object{} },
		"as empty":            func(object) {},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t, family(t))
			for _, role := range []string{"root", "ci", "ci.deep"} {
				delete(f.Files, role)
			}
			d := f.Delegate("targets", "x", "x/*")
			initial := d["keyids"].([]any)[0].(string)
			person := f.Key(f.At("targets", "delegations", "keys"))
			d["keyids"] = []any{initial, person}
			f.At("targets", "x-publisher")["initial"] = object{"x": []any{initial}}
			f.Role(d)
			if _, _, err := f.commit(); err != nil {
				t.Fatal(err)
			}
			byPerson := f.nextOf("x", person)
			if name != "as empty" {
				byPerson.Target("x", "x/a")
			}
			if name == "emptied, two signed" {
				byPerson.Signers["x"] = []string{person, initial}
			}
			if _, _, err := byPerson.commit(); err != nil {
				t.Fatal(err)
			}
			byInitial := f.nextOf("x", initial)
			edit(byInitial.Files["x"])
			if _, _, err := byInitial.commit(); err == nil || !strings.Contains(err.Error(), "x: 0 of 1 required signatures") {
				t.Errorf("signed by the initial key: %v", err)
			}
		})
	}
}

// nextOf is the next version of a published role alone, signed by one key.
func (f *forger) nextOf(role, by string) *forger {
	f.t.Helper()
	g := &forger{f.world, forge.Blank(f.scene())}
	file, err := g.View().Role(f.t.Context(), role)
	if err != nil {
		f.t.Fatal(err)
	}
	forge.Take(g.Forge, role, forge.Successor(file, f.now), file)
	g.Signers[role] = []string{by}
	return g
}

// TestStartMoved: an initial key cannot take over a role that another one has
// delegated to before, as only other programs publish it, whatever the role is
// that names the key.
func TestStartMoved(t *testing.T) {
	for name, delegates := range map[string]bool{"to a new role": false, "to a role without delegations": true} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t, family(t))
			f.flatten(delegates)
			g := &forger{f.world, forge.Blank(f.scene())}
			for _, role := range []string{"targets", "ci", "ci.deep"} {
				file, err := g.View().Role(t.Context(), role)
				if role == "ci" && !delegates {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				forge.Take(g.Forge, role, forge.Successor(file, f.now), file)
			}
			below := g.At("targets", "delegations")
			below["roles"] = below["roles"].([]any)[1:]
			if !delegates {
				g.Role(g.Delegate("targets", "ci", "ci/*"))
			}
			d := g.Delegate("ci", "ci.deep", "ci/deep/*")
			g.At("ci", "x-publisher")["initial"] = object{"ci.deep": d["keyids"]}
			g.Signers["ci.deep"] = []string{d["keyids"].([]any)[0].(string)}
			if _, _, err := g.commit(); err == nil || !strings.Contains(err.Error(), "ci.deep: 0 of 1 required signatures") {
				t.Errorf("signed by the initial key: %v", err)
			}
		})
	}
}

// flatten publishes, by hand, that targets delegates to ci.deep, which is empty;
// and behind that to ci, if that stays, which delegates to nobody.
func (f *forger) flatten(stays bool) {
	f.t.Helper()
	v := f.View()
	files := map[string]*tuf.File[tuf.Targets]{}
	for _, role := range []string{"targets", "ci", "ci.deep"} {
		file, err := v.Role(f.t.Context(), role)
		if err != nil {
			f.t.Fatal(err)
		}
		files[role] = file
	}
	top, ci, deep := files["targets"].Signed, files["ci"].Signed, files["ci.deep"].Signed
	d := tuf.Delegations{Keys: map[string]tuf.Key{}, Roles: ci.Delegations.Roles[:1:1]}
	for id, key := range ci.Delegations.Keys {
		d.Keys[id] = key
	}
	if stays {
		d.Roles = append(d.Roles, top.Delegations.Roles[0])
		for id, key := range top.Delegations.Keys {
			d.Keys[id] = key
		}
	}
	top.Delegations, ci.Delegations, deep.Targets = &d, nil, map[string]tuf.TargetFile{}
	s := v.Snapshot.Signed
	s.Version++
	s.Meta = map[string]tuf.MetaFile{}
	for role, content := range map[string]tuf.Targets{"targets": top, "ci": ci, "ci.deep": deep} {
		if role == "ci" && !stays {
			continue
		}
		content.Version++
		file := forge.Signed(f.t, f.ring, content, files[role].Signatures[0].KeyID)
		f.overwrite(repo.SlotName(role, content.Version), file.Bytes())
		s.Meta[role+".json"] = file.Meta()
	}
	f.announce(f.stolen(s))
}
