package repo_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// metaOf is where a snapshot or a timestamp lists a file.
func metaOf(o object, name string) object { return o["meta"].(object)[name].(object) }

// TestCheck breaks each promise once: a Checker names the file and what is wrong
// with it, and nothing else.
func TestCheck(t *testing.T) {
	base := family(t)
	base.rotate()
	base.mustPublish(add("dir/x", "xyz"), in("ci", add("ci/x", "1")))
	base.mustBeClean()
	x := repo.TargetKey(collection, "dir/x", sum("xyz"))
	short := strings.TrimPrefix(x, collection+"/")
	for _, tt := range []struct {
		name   string
		tamper func(w *tamperer)
		want   []string
	}{
		{"timestamp missing", func(w *tamperer) { w.remove("timestamp.json") },
			[]string{"metadata/timestamp.json: it is missing"}},
		{"timestamp garbage", func(w *tamperer) { w.write("timestamp.json", "garbage") },
			[]string{"metadata/timestamp.json: at the top: jsontext: invalid character 'g' at start of value"}},
		{"timestamp unsigned", func(w *tamperer) {
			w.write("timestamp.json", strings.Replace(w.read("timestamp.json"), `"sig":"`, `"sig":"00`, 1))
		}, []string{"metadata/timestamp.json: timestamp: 0 of 1 required signatures"}},
		{"timestamp expired", func(w *tamperer) {
			w.resign("timestamp", func(o object) { o["expires"] = "2026-11-22T12:00:00Z" })
		}, []string{"metadata/timestamp.json: it expired at 2026-11-22T12:00:00Z"}},
		{"timestamp of another collection", func(w *tamperer) {
			w.resign("timestamp", func(o object) { o["x-publisher"].(object)["collection"] = "example.com/other" })
		}, []string{`metadata/timestamp.json: it belongs to the collection "example.com/other"`}},
		{"snapshot missing", func(w *tamperer) { w.remove("5.snapshot.json") },
			[]string{"metadata/5.snapshot.json: it is missing"}},
		{"snapshot listed without a hash", func(w *tamperer) {
			w.resign("timestamp", func(o object) { delete(metaOf(o, "snapshot.json"), "hashes") })
		}, []string{"metadata/5.snapshot.json: it is listed without its length and sha256"}},
		{"snapshot listed without a length", func(w *tamperer) {
			w.resign("timestamp", func(o object) { delete(metaOf(o, "snapshot.json"), "length") })
		}, []string{"metadata/5.snapshot.json: it is listed without its length and sha256"}},
		{"snapshot of another version", func(w *tamperer) { w.resign("snapshot", func(o object) { o["version"] = 6 }) },
			[]string{"metadata/5.snapshot.json: it says version 6"}},
		{"targets missing", func(w *tamperer) { w.remove("3.targets.json") },
			[]string{"metadata/3.targets.json: it is missing"}},
		{"targets not listed", func(w *tamperer) {
			w.resign("snapshot", func(o object) { delete(o["meta"].(object), "targets.json") })
		}, []string{"metadata: the snapshot does not list targets"}},
		{"targets of another version", func(w *tamperer) { w.resign("targets", func(o object) { o["version"] = 6 }) },
			[]string{"metadata/3.targets.json: it says version 6"}},
		{"targets expired", func(w *tamperer) {
			w.resign("targets", func(o object) { o["expires"] = "2026-11-22T12:00:00Z" })
		}, []string{"metadata/3.targets.json: it expired at 2026-11-22T12:00:00Z"}},
		{"targets in a form that some clients refuse", func(w *tamperer) {
			w.resign("targets", func(o object) { o["expires"] = "2027-01-01T00:00:00.5Z" })
		}, []string{"metadata/3.targets.json: its form is not the one every client reads: null or empty fields, or expires not in whole seconds UTC"}},
		{"a delegation missing", func(w *tamperer) { w.remove("3.ci.json") },
			[]string{"metadata/3.ci.json: it is missing"}},
		{"a delegation under a wrong key", func(w *tamperer) {
			w.resign("targets", func(o object) {
				d := o["delegations"].(object)
				f := forge.Blank(w.scene())
				d["roles"].([]any)[0].(object)["keyids"] = []any{f.Key(d["keys"].(object))}
			})
		}, []string{"metadata/3.ci.json: ci: 0 of 1 required signatures"}},
		{"a delegation that lists another's targets", func(w *tamperer) {
			w.resign("ci", func(o object) {
				o["targets"].(object)["dir/x"] = object{"length": 3, "hashes": object{"sha256": sum("xyz")}}
			})
		}, []string{`metadata/3.ci.json: target "dir/x" lies outside the paths of targets/ci`}},
		{"a role delegated to twice", func(w *tamperer) {
			w.resign("ci.deep", func(o object) {
				f := forge.Blank(w.scene())
				f.Files["ci.deep"] = o
				f.Delegate("ci.deep", "ci", "ci/*")
			})
		}, []string{"metadata: targets/ci is delegated to twice, or by a role below it"}},
		{"a bad target name", func(w *tamperer) {
			w.resign("targets", func(o object) {
				o["targets"].(object)["a?b"] = object{"length": 3, "hashes": object{"sha256": sum("xyz")}}
			})
			w.put(repo.TargetKey(collection, "a?b", sum("xyz")), "xyz")
		}, []string{`metadata/3.targets.json: target name "a?b" has '?', which clients do not escape alike`}},
		{"a root missing", func(w *tamperer) { w.remove("1.root.json") }, []string{"metadata/1.root.json: it is missing"}},
		{"a root that does not follow", func(w *tamperer) {
			w.write("3.root.json", strings.Replace(w.read("2.root.json"), `"version":2`, `"version":3`, 1))
		}, []string{"metadata/3.root.json: root: 0 of 1 required signatures"}},
		{"a root with another version", func(w *tamperer) { w.write("3.root.json", w.read("2.root.json")) },
			[]string{"metadata/3.root.json: it says version 2"}},
		{"a target missing", func(w *tamperer) { w.delete(x) }, []string{short + `: target "dir/x" is missing`}},
		{"a target cut short", func(w *tamperer) { w.put(x, "xy") }, []string{short + `: target "dir/x" has 2 bytes in the store, not 3`}},
		{"a target with another content", func(w *tamperer) { w.put(x, "xyZ") },
			[]string{short + `: target "dir/x" has the sha256 ` + sum("xyZ") + " in the store, not " + sum("xyz")}},
		{"everything at once", func(w *tamperer) {
			w.remove("1.root.json")
			w.remove("1.ci.deep.json")
			w.delete(x)
			w.delete(repo.TargetKey(collection, "ci/x", sum("1")))
			w.resign("timestamp", func(o object) { o["expires"] = "2026-11-22T12:00:00Z" })
		}, []string{
			"metadata/1.ci.deep.json: it is missing",
			"metadata/1.root.json: it is missing",
			"metadata/timestamp.json: it expired at 2026-11-22T12:00:00Z",
			"targets/ci/" + sum("1") + `.x: target "ci/x" is missing`,
			short + `: target "dir/x" is missing`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tampering(t, base)
			w.root = []byte(w.read("2.root.json"))
			tt.tamper(w)
			if diff := cmp.Diff(tt.want, w.check()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCheckFound: what a Checker has looked at.
func TestCheckFound(t *testing.T) {
	w := family(t)
	w.mustPublish(add("x", "1"), in("ci", add("ci/x", "1")))
	counter := storagetest.NewCounter(w.store)
	c := &repo.Checker{Source: counter.Store(), Collection: collection, Trusted: w.root, Now: w.now}
	found, err := c.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &repo.Checked{Problems: []repo.Problem{}, Targets: 3, Versions: map[string]int64{
		"root": 1, "timestamp": 4, "snapshot": 4, "targets": 3, "ci": 3, "ci.deep": 1,
	}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if n := counter.Counts().Lists; n != 1 { // for roots behind a gap
		t.Errorf("%d lists", n)
	}
}

// TestCheckDeep: a store that cannot vouch for what it has is read, when that is
// asked for.
func TestCheckDeep(t *testing.T) {
	w := tampering(t, family(t))
	w.put(repo.TargetKey(collection, "old", sum("1")), "2")
	for _, deep := range []bool{false, true} {
		c := &repo.Checker{Source: plain{w.raw}, Collection: collection, Trusted: w.root, Now: w.now, Deep: deep}
		found, err := c.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := len(found.Problems) == 1 && strings.Contains(found.Problems[0].What, "sha256 is "+sum("2")); got != deep {
			t.Errorf("deep %v finds %v", deep, found.Problems)
		}
	}
}

// plain is a store that can only get.
type plain struct{ storage.Getter }

// TestCheckRollback: a store that is whole and older than what was verified
// before is not right.
func TestCheckRollback(t *testing.T) {
	base := family(t)
	before := tampering(t, base)
	base.mustPublish(add("x", "1"))
	oldRole := tampering(t, base)
	oldRole.resign("snapshot", func(o object) { delete(o["meta"].(object), "ci.deep.json") })
	for _, tt := range []struct {
		name string
		w    *tamperer
		want []repo.Problem
	}{
		{"as it was verified", tampering(t, base), []repo.Problem{}},
		{"an older timestamp", before, []repo.Problem{
			{File: "metadata/3.snapshot.json", What: "targets.json is listed with version 2, but version 3 was there before"},
			{File: "metadata/timestamp.json", What: "version 3, but version 4 was there before"},
		}},
		{"an older snapshot", oldRole, []repo.Problem{
			{File: "metadata/4.snapshot.json", What: "ci.deep.json is no longer listed"},
			{File: "metadata", What: "the snapshot does not list targets/ci/deep, which targets/ci delegates to: clients fail there"},
		}},
	} {
		c := &repo.Checker{
			Source: tt.w.raw, Collection: collection, Trusted: base.root, Now: base.now,
			Timestamp: base.cache["timestamp.json"], Snapshot: base.cache["snapshot.json"],
		}
		found, err := c.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, found.Problems); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// TestCheckRoot: the trusted root must be the published one.
func TestCheckRoot(t *testing.T) {
	w := family(t)
	other := newWorld(t)
	other.store = w.store
	found := other.check()
	if len(found) == 0 || found[0] != "metadata/1.root.json: it is not the trusted root" {
		t.Errorf("another collection's root: %q", found)
	}
	w.root = []byte("garbage")
	c := &repo.Checker{Source: w.store, Collection: collection, Trusted: w.root, Now: w.now}
	var v *repo.VerifyError
	if _, err := c.Check(t.Context()); !errors.As(err, &v) {
		t.Errorf("a trusted root that is garbage: %v", err)
	}
}

// TestCheckStore: what the store does not answer is told as that, and nothing
// else is.
func TestCheckStore(t *testing.T) {
	w := family(t)
	w.mustPublish(add("x", "1"))
	for _, method := range []string{"GET", "STAT"} {
		for n := 1; ; n++ {
			f := storagetest.NewFaults(w.store, onNth(method, n, storagetest.Lost))
			c := &repo.Checker{Source: f.Store(), Collection: collection, Trusted: w.root, Now: w.now, Deep: true}
			found, err := c.Check(t.Context())
			if f.Requests(method) < n {
				break
			}
			if err != nil || len(found.Problems) != 1 || !found.Problems[0].Access {
				t.Errorf("%s %d lost: %+v, %v", method, n, found, err)
			}
		}
	}
}

// TestCheckSalt: an RSA signature that some clients refuse is found.
func TestCheckSalt(t *testing.T) {
	f := newForge(t, family(t))
	id := f.Foreign(tuf.TypeRSA, tuf.SchemeRSA, &forge.RSA().PublicKey, forge.SaltEqualsHash)
	f.Hand(tuf.RoleTargets, id)
	if _, _, err := f.commit(); err != nil {
		t.Fatal(err)
	}
	w := tampering(t, f.world)
	f.Keys[id] = forge.SaltMaximal
	w.write("3.targets.json", f.Build(tuf.RoleTargets, f.Files[tuf.RoleTargets]))
	w.resign("snapshot", func(o object) {
		text := w.read("3.targets.json")
		meta := metaOf(o, "targets.json")
		meta["length"], meta["hashes"] = len(text), object{"sha256": sum(text)}
	})
	want := []string{"metadata/3.targets.json: targets: 0 of 1 required signatures have the RSA salt length that every client takes"}
	if diff := cmp.Diff(want, w.check()); diff != "" {
		t.Error(diff)
	}
}

// TestCheckGap: roots behind a gap are there, and no client finds them.
func TestCheckGap(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	if _, err := w.store.Put(t.Context(), repo.SlotKey(collection, tuf.RoleRoot, 3), bytes.NewReader(w.root), storage.Absent); err != nil {
		t.Fatal(err)
	}
	if got := w.check(); len(got) != 1 || !strings.Contains(got[0], "the chain of roots ends at 1") {
		t.Errorf("found %q", got)
	}
}
