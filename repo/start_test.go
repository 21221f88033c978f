package repo_test

import (
	"strings"
	"testing"

	"publisher/internal/forge"
)

// TestStartOutranksNobody: whoever has kept an initial key cannot take back what
// the role's people have published, also before the role above says that the key
// is done with.
func TestStartOutranksNobody(t *testing.T) {
	for name, edit := range map[string]func(o object){
		"emptied":  func(o object) { o["targets"] = object{} },
		"as empty": func(object) {},
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
			if name == "emptied" {
				byPerson.Target("x", "x/a")
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
