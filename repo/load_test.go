package repo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"publisher/internal/forge"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/storagetest"
)

// load reads all of the collection, as a client or as one who will write.
func (w *world) load(writer bool) error {
	l := &repo.Loader{
		Source: w.store, Collection: collection, Cache: w.cache.clone(), Now: w.now,
		TimestampFirst: writer, IgnoreExpiry: writer,
	}
	v, err := l.Load(w.t.Context())
	if err == nil && v.Published() {
		_, err = v.List(w.t.Context())
	}
	return err
}

// wantRefused: err is a *repo.VerifyError that says want.
func wantRefused(t *testing.T, who string, err error, want string) {
	t.Helper()
	var v *repo.VerifyError
	if !errors.As(err, &v) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v (%T), want a VerifyError with %q", who, err, err, want)
	}
}

// TestLoadTampered: a store that lost or changed something is refused by all who
// read it, and nobody writes on top of it.
func TestLoadTampered(t *testing.T) {
	base := family(t)
	base.rotate()
	for _, tt := range []struct {
		name   string
		tamper func(w *tamperer)
		want   string
		below  bool // the snapshot: a refresh does not look there
	}{
		{"timestamp is garbage", func(w *tamperer) { w.write("timestamp.json", "garbage") }, "verify timestamp.json", false},
		{"timestamp is empty", func(w *tamperer) { w.write("timestamp.json", "") }, "verify timestamp.json", false},
		{"timestamp is too large", func(w *tamperer) {
			w.write("timestamp.json", w.read("timestamp.json")+strings.Repeat(" ", repo.MaxTimestamp))
		}, "verify timestamp.json", false},
		{"timestamp is another role's file", func(w *tamperer) { w.write("timestamp.json", w.read("2.root.json")) }, "verify timestamp.json", false},
		{"timestamp is unsigned", func(w *tamperer) {
			w.write("timestamp.json", strings.Replace(w.read("timestamp.json"), `"sig":"`, `"sig":"00`, 1))
		}, "timestamp: 0 of 1 required signatures", false},
		{"timestamp names a later snapshot", func(w *tamperer) {
			w.resign("timestamp", func(o object) { o["meta"].(object)["snapshot.json"].(object)["version"] = 99 })
		}, "verify 99.snapshot.json", false},
		{"timestamp names another hash", func(w *tamperer) {
			w.resign("timestamp", func(o object) {
				o["meta"].(object)["snapshot.json"].(object)["hashes"] = object{"sha256": sum("x")}
			})
		}, "does not have the signed hash", false},
		{"timestamp names another length", func(w *tamperer) {
			w.resign("timestamp", func(o object) { o["meta"].(object)["snapshot.json"].(object)["length"] = 1 << 20 })
		}, "bytes, not 1048576", false},
		{"timestamp has a hash that nobody knows", func(w *tamperer) {
			w.resign("timestamp", func(o object) {
				o["meta"].(object)["snapshot.json"].(object)["hashes"] = object{"md5": "00"}
			})
		}, "neither a sha256 nor a sha512", false},
		{"snapshot is gone", func(w *tamperer) { w.remove(w.name("snapshot")) }, "snapshot.json: ", false},
		{"snapshot is garbage", func(w *tamperer) { w.write(w.name("snapshot"), "garbage") }, "snapshot.json: 7 bytes", false},
		{"snapshot has one other byte", func(w *tamperer) {
			w.write(w.name("snapshot"), strings.Replace(w.read(w.name("snapshot")), `"sig":"`, `"sig": "`, 1))
		}, "verify 4.snapshot.json", false},
		{"snapshot is too large", func(w *tamperer) {
			w.write(w.name("snapshot"), w.read(w.name("snapshot"))+strings.Repeat(" ", 1<<20))
		}, "larger than allowed", false},
		{"snapshot has another version", func(w *tamperer) {
			w.resign("snapshot", func(o object) { o["version"] = 99 })
		}, "it says version 99", false},
		{"snapshot is signed by another role", func(w *tamperer) {
			other := w.with(w.t, w.raw, w.newCache())
			name := w.name("snapshot")
			id := w.view().Root().Signed.Roles["targets"].KeyIDs[0]
			w.resign("snapshot", func(object) {})
			text := w.read(name)
			w.write(name, strings.Replace(text, other.view().Snapshot.Signatures[0].KeyID, id, 1))
			w.relist()
		}, "snapshot: 0 of 1 required signatures", false},
		{"targets is gone", func(w *tamperer) { w.remove(w.name("targets")) }, "targets.json: ", true},
		{"targets has another version", func(w *tamperer) {
			w.resign("targets", func(o object) { o["version"] = 99 })
		}, "it says version 99", true},
		{"targets is not listed", func(w *tamperer) {
			w.resign("snapshot", func(o object) { delete(o["meta"].(object), "targets.json") })
		}, "targets.json is not listed", false},
		{"a delegation is gone", func(w *tamperer) { w.remove(w.name("ci")) }, "ci.json: ", true},
		{"a delegation is too large", func(w *tamperer) {
			w.write(w.name("ci.deep"), w.read(w.name("ci.deep"))+strings.Repeat(" ", 1<<20))
		}, "larger than allowed", true},
		{"the next root is garbage", func(w *tamperer) { w.write("3.root.json", "garbage") }, "verify 3.root.json", false},
		{"the next root is this one", func(w *tamperer) { w.write("3.root.json", w.read("2.root.json")) }, "version 2, not 3", false},
		{"the next root is too large", func(w *tamperer) {
			w.write("3.root.json", strings.Repeat(" ", repo.MaxRoot+1))
		}, "verify 3.root.json", false},
		{"the next root is unsigned", func(w *tamperer) {
			w.write("3.root.json", strings.Replace(w.read("2.root.json"), `"version":2`, `"version":3`, 1))
		}, "by the keys of the root before it", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tampering(t, base)
			tt.tamper(w)
			before := objects(t, w.raw)
			wantRefused(t, "a reader", w.load(false), tt.want)
			wantRefused(t, "a writer", w.load(true), tt.want)
			_, err := w.with(t, w.raw, w.newCache()).publish(remove("old"))
			wantRefused(t, "publish", err, tt.want)
			if !tt.below {
				_, err = w.with(t, w.raw, w.newCache()).refresh(true)
				wantRefused(t, "refresh", err, tt.want)
				w.now = w.now.Add(30 * 24 * time.Hour)
				_, err = w.with(t, w.raw, w.newCache()).refresh(false)
				wantRefused(t, "refresh of what is due", err, tt.want)
			}
			if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
			if len(w.check()) == 0 {
				t.Error("check finds nothing")
			}
		})
	}
}

// relist makes the timestamp list the snapshot as it is.
func (w *tamperer) relist() {
	w.resign("timestamp", func(o object) {
		meta := o["meta"].(object)["snapshot.json"].(object)
		text := w.read(fmt.Sprint(meta["version"], ".snapshot.json"))
		meta["length"], meta["hashes"] = len(text), object{"sha256": sum(text)}
	})
}

// TestLoadWarm: who was there before notices what a newcomer cannot.
func TestLoadWarm(t *testing.T) {
	base := family(t)
	old := tampering(t, base).read("timestamp.json")
	base.mustPublish(add("x", "x"))
	for _, tt := range []struct {
		name   string
		tamper func(w *tamperer)
		want   string
		reader bool // whether readers must notice too
	}{
		{"timestamp is gone", func(w *tamperer) { w.remove("timestamp.json") }, "it is gone; version 4 was there before", true},
		{"timestamp is an older one", func(w *tamperer) { w.write("timestamp.json", old) }, "timestamp.json: version 3, but version 4 was there before", true},
		{"timestamp has the same version and other bytes", func(w *tamperer) {
			w.resign("timestamp", func(o object) { o["x"] = "fork" })
		}, "version 4 has changed", false},
		{"timestamp names an older snapshot", func(w *tamperer) {
			w.resign("timestamp", func(o object) {
				o["version"] = 9
				meta := o["meta"].(object)["snapshot.json"].(object)
				meta["version"] = 3
				text := w.read("3.snapshot.json")
				meta["length"], meta["hashes"] = len(text), object{"sha256": sum(text)}
			})
		}, "snapshot version 3, but version 4 was there before", true},
		{"snapshot forgets a role", func(w *tamperer) {
			w.resign("snapshot", func(o object) { delete(o["meta"].(object), "ci.deep.json") })
			w.resign("timestamp", func(o object) { o["version"] = 9 })
		}, "ci.deep.json is no longer listed", true},
		{"snapshot lists an older role", func(w *tamperer) {
			w.resign("snapshot", func(o object) {
				text := w.read("2.targets.json")
				o["meta"].(object)["targets.json"] = object{"version": 2, "length": len(text), "hashes": object{"sha256": sum(text)}}
			})
			w.resign("timestamp", func(o object) { o["version"] = 9 })
		}, "targets.json is listed with version 2, but version 3 was there before", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tampering(t, base)
			w.cache = base.cache.clone()
			tt.tamper(w)
			before := objects(t, w.raw)
			if err := w.load(false); tt.reader {
				wantRefused(t, "a reader", err, tt.want)
			} else if err != nil {
				t.Errorf("a reader: %v", err)
			}
			wantRefused(t, "a writer", w.load(true), tt.want)
			_, err := w.with(t, w.raw, w.cache.clone()).publish(add("y", "y"))
			wantRefused(t, "publish", err, tt.want)
			_, err = w.with(t, w.raw, w.cache.clone()).refresh(true)
			wantRefused(t, "refresh", err, tt.want)
			if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
				t.Errorf("something was written: %s", diff)
			}
		})
	}
}

// TestLoadNull puts null in place of every value of every file, in turn and
// signed: all are refused, and nothing crashes.
func TestLoadNull(t *testing.T) {
	base := family(t)
	base.mustPublish(add("dir/x", "x"))
	for _, role := range []string{"timestamp", "snapshot", "targets", "ci", "root"} {
		for _, path := range paths(t, base, role) {
			t.Run(role+"/"+strings.Join(path, "/"), func(t *testing.T) {
				w := tampering(t, base)
				null := func(o object) {
					for _, name := range path[:len(path)-1] {
						o = o[name].(object)
					}
					o[path[len(path)-1]] = nil
				}
				if role == "root" {
					next := w.edited("1.root.json", func(o object) { o["version"] = 2; null(o) })
					w.write("2.root.json", next)
				} else {
					w.resign(role, null)
				}
				before := objects(t, w.raw)
				wantRefused(t, "a reader", w.load(false), "null where")
				_, err := w.with(t, w.raw, w.newCache()).publish(in("ci", add("ci/x", "x")))
				wantRefused(t, "publish", err, "null where")
				if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
					t.Errorf("something was written: %s", diff)
				}
				if found := w.check(); !strings.Contains(strings.Join(found, "\n"), "null where") {
					t.Errorf("check says %q", found)
				}
			})
		}
	}
}

// paths is where all values of a file are, but those in arrays.
func paths(t *testing.T, w *world, role string) [][]string {
	tampered := tampering(t, w)
	var all [][]string
	var walk func(o object, at []string)
	walk = func(o object, at []string) {
		for _, name := range slices.Sorted(maps.Keys(o)) {
			path := append(slices.Clip(at), name)
			all = append(all, path)
			if below, ok := o[name].(object); ok {
				walk(below, path)
			}
		}
	}
	tampered.edited(tampered.name(role), func(o object) { walk(o, nil) })
	return all
}

// TestLoadExpired: readers are told what has expired, in the order in which
// clients look; who renews is not stopped by it.
func TestLoadExpired(t *testing.T) {
	base := family(t)
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "ci", "ci.deep"} {
		w := tampering(t, base)
		if role == "root" {
			w.now = w.now.Add(731 * 24 * time.Hour)
		} else {
			w.resign(role, func(o object) { o["expires"] = "2026-11-22T12:00:00Z" })
		}
		var expired *repo.ExpiredError
		if err := w.load(false); !errors.As(err, &expired) || expired.Role != role {
			t.Errorf("%s: %v", role, err)
		}
		if err := w.load(true); err != nil {
			t.Errorf("%s for a writer: %v", role, err)
		}
		if found := strings.Join(w.check(), "\n"); !strings.Contains(found, role+".json: it expired at") {
			t.Errorf("%s: check says %s", role, found)
		}
		if _, err := w.refresh(false); err != nil {
			t.Errorf("refresh with an expired %s: %v", role, err)
		}
	}
}

// TestLoadTrust: without a root to trust nothing is read.
func TestLoadTrust(t *testing.T) {
	w := family(t)
	other := string(newWorld(t).root)
	for _, tt := range []struct{ name, root, want string }{
		{"garbage", "garbage", "verify the trusted root"},
		{"empty", "", "verify the trusted root"},
		{"another role's file", string(w.cache["targets.json"]), "verify the trusted root"},
		{"not signed by itself", strings.Replace(string(w.root), `"version":1`, `"version":2`, 1), "verify the trusted root"},
		{"another collection's", other, "timestamp: 0 of 1 required signatures"},
	} {
		s := w.with(t, w.store, memoryCache{"root.json": []byte(tt.root)})
		wantRefused(t, tt.name, s.load(false), tt.want)
		_, err := s.publish(add("x", "x"))
		wantRefused(t, tt.name+", to publish", err, tt.want)
		_, err = s.refresh(false)
		wantRefused(t, tt.name+", to refresh", err, tt.want)
	}
	if err := w.with(t, w.store, memoryCache{}).load(false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no root: %v", err)
	}
}

// TestLoadCacheFull: what was verified and cannot be kept is an error: the next
// run could be shown something older.
func TestLoadCacheFull(t *testing.T) {
	w := family(t)
	w.rotate()
	for n, done := 0, false; !done; n++ {
		l := &repo.Loader{Source: w.store, Collection: collection, Cache: &fullCache{w.newCache(), n}, Now: w.now}
		v, err := l.Load(t.Context())
		if err == nil {
			_, err = v.List(t.Context())
		}
		if done = err == nil; !done && !errors.Is(err, errFull) {
			t.Errorf("a cache for %d files: %v", n, err)
		}
		// The next root, twice; timestamp, snapshot, targets, ci, ci.deep.
		if done != (n == 7) {
			t.Errorf("a cache for %d files: %v", n, err)
		}
	}
}

// TestRefreshTampered: also the one read of a refresh with nothing due notices
// that the collection went back.
func TestRefreshTampered(t *testing.T) {
	base := family(t)
	old := tampering(t, base).read("timestamp.json")
	base.mustPublish(add("x", "x"))
	for data, want := range map[string]string{old: "timestamp.json: version 3, but version 4 was there before", "garbage": "verify timestamp.json"} {
		w := tampering(t, base)
		w.cache = base.cache.clone()
		w.write("timestamp.json", data)
		_, err := w.refresh(false)
		wantRefused(t, "refresh", err, want)
	}
}

// TestLoadUnpublished: nothing there is no error for Load, and one for all who
// need something.
func TestLoadUnpublished(t *testing.T) {
	w := newWorld(t)
	v := w.view()
	if v.Published() {
		t.Error("it is published")
	}
	if _, err := v.List(t.Context()); !errors.Is(err, repo.ErrNotPublished) {
		t.Errorf("List: %v", err)
	}
	if _, err := w.refresh(true); !errors.Is(err, repo.ErrNotPublished) {
		t.Errorf("Refresh: %v", err)
	}
	if got := w.check(); len(got) != 2 {
		t.Errorf("check: %q", got)
	}
	if got := objects(t, w.store); len(got) > 0 {
		t.Errorf("something was written: %q", got)
	}
}

// TestLoadDamagedCache: what is damaged on the user's side is read again.
func TestLoadDamagedCache(t *testing.T) {
	w := family(t)
	w.mustPublish(add("x", "x"))
	want := w.targets()
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json", "ci.json", "ci.deep.json"} {
		for _, damage := range []string{"", "garbage", "null", "{}"} {
			again := w.with(t, w.store, w.cache.clone())
			if _, ok := again.cache[name]; !ok {
				t.Fatalf("%s is not cached", name)
			}
			again.cache[name] = []byte(damage)
			if err := again.load(false); err != nil {
				t.Errorf("%s is %q: %v", name, damage, err)
			}
			again.mustPublish(in("ci", add("ci/x", name+damage)))
			want["ci/x"] = sum(name + damage)
			if diff := cmp.Diff(want, again.targets()); diff != "" {
				t.Errorf("%s is %q: %s", name, damage, diff)
			}
		}
	}
	w.mustBeClean()
}

// TestOrphans: what an unfinished publish left in the next slots costs their
// numbers, however often and whatever it is.
func TestOrphans(t *testing.T) {
	base := family(t)
	for _, data := range []string{"", "garbage", "{}", strings.Repeat("x", 1<<20)} {
		w := tampering(t, base)
		for n := range int64(3) {
			w.write(repo.SlotName("targets", 3+n), data)
			w.write(repo.SlotName("snapshot", 4+n), data)
			w.write(repo.SlotName("ci", 3+n), data)
		}
		w.mustPublish(add("x", "x"), in("ci", add("ci/x", "x")))
		v := w.view()
		got := map[string]int64{"snapshot": v.Snapshot.Signed.Version, "timestamp": v.Timestamp.Signed.Version}
		for _, role := range []string{"targets", "ci"} {
			got[role] = v.Snapshot.Signed.Meta[role+".json"].Version
		}
		if diff := cmp.Diff(map[string]int64{"targets": 6, "ci": 6, "snapshot": 7, "timestamp": 4}, got); diff != "" {
			t.Error(diff)
		}
		w.mustBeClean()
		for n := range int64(3) {
			if w.read(repo.SlotName("targets", 3+n)) != data {
				t.Errorf("an orphan was replaced")
			}
		}
	}
}

// TestOrphanTooOld: an orphan with the very bytes that are to be written is
// built upon while it is young, and left alone when it may be about to go.
func TestOrphanTooOld(t *testing.T) {
	for hours, want := range map[int]int64{23: 2, 25: 3} {
		w := newWorld(t)
		w.mustPublish()
		top, err := w.view().Role(t.Context(), tuf.RoleTargets)
		if err != nil {
			t.Fatal(err)
		}
		next := forge.Successor(top, w.now.Add(48*time.Hour))
		slot := forge.Signed(t, w.ring, next, top.Signatures[0].KeyID)
		key := repo.SlotKey(collection, "targets", 2)
		if _, err := w.store.Put(t.Context(), key, strings.NewReader(string(slot.Bytes())), ""); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Duration(hours) * time.Hour)
		sub := &repo.Submission{Collection: collection, Files: map[string][]byte{"targets": slot.Bytes()}}
		_, err = w.committer().Commit(t.Context(), nil, sub)
		var burned *repo.BurnedError
		if want == 2 && err != nil || want == 3 && (!errors.As(err, &burned) || burned.Version != 2) {
			t.Errorf("after %d hours: %v", hours, err)
		}
		w.mustPublish(add("x", "x"))
		if got := w.view().Snapshot.Signed.Meta["targets.json"].Version; got != 3 {
			t.Errorf("after %d hours the next publish has version %d", hours, got)
		}
	}
}

// TestOrphanTarget: an object that is not what its name says is not published.
func TestOrphanTarget(t *testing.T) {
	w := tampering(t, family(t))
	key := repo.TargetKey(collection, "x", sum("x"))
	w.put(key, "y")
	before := objects(t, w.raw)
	if _, err := w.publish(add("x", "x")); err == nil || !strings.Contains(err.Error(), "has the sha256 "+sum("y")) {
		t.Errorf("a target of another content: %v", err)
	}
	if diff := cmp.Diff(before, objects(t, w.raw)); diff != "" {
		t.Errorf("something was written: %s", diff)
	}
}

// blind is a cache of which one file cannot be read.
type blind struct {
	memoryCache
	name string
}

func (b blind) Get(name string) ([]byte, error) {
	if name == b.name {
		return nil, errFull
	}
	return b.memoryCache.Get(name)
}

// TestLoadBlindCache: what was seen before is not taken for nothing because it
// cannot be read.
func TestLoadBlindCache(t *testing.T) {
	w := newWorld(t)
	w.mustPublish(add("a", "1"))
	for name, want := range map[string]string{"root.json": "read trusted root: ", "timestamp.json": "read cached timestamp.json: "} {
		l := w.loader()
		l.Cache = blind{w.newCache(), name}
		if _, err := l.Load(t.Context()); !errors.Is(err, errFull) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

// TestLoadEndlessRoots: a chain of roots that has no end is not followed for ever.
func TestLoadEndlessRoots(t *testing.T) {
	w := newWorld(t)
	root := parse[tuf.Root](t, w.root).Signed
	for range 1100 {
		root.Version++
		f := forge.Signed(t, w.ring, root, root.Roles[tuf.RoleRoot].KeyIDs...)
		w.put(w.store, repo.SlotKey(collection, tuf.RoleRoot, root.Version), string(f.Bytes()))
	}
	if _, err := w.loader().Load(t.Context()); !errors.As(err, new(*repo.VerifyError)) || !strings.Contains(err.Error(), "new ones") {
		t.Error(err)
	}
}

// TestLoadOvertaken: whoever will write, and finds that the newest root does not
// verify what they have read, begins again if that was replaced meanwhile, and
// gives up only when it is every time.
func TestLoadOvertaken(t *testing.T) {
	for _, row := range []struct{ times, want int }{{1, 2}, {1000, 100}} {
		w := newWorld(t)
		w.store = w.newMemory()
		w.mustPublish(add("a", "1"))
		good, loads := objects(t, w.store)[repo.TimestampKey(collection)], 0
		w.overwrite("timestamp.json", []byte("{}"))
		l := &repo.Loader{Collection: collection, Cache: w.newCache(), Now: w.now, TimestampFirst: true}
		l.Source = storagetest.NewFaults(w.store, func(r storagetest.Request) storagetest.Fault {
			if strings.HasSuffix(r.Key, "/2.root.json") { // after the timestamp was read
				loads++
				switch {
				case loads < row.times:
					w.overwrite("timestamp.json", fmt.Appendf(nil, "{%d", loads))
				case loads == row.times:
					w.overwrite("timestamp.json", []byte(good))
				}
			}
			return storagetest.None
		}).Store()
		_, err := l.Load(t.Context())
		if loads != row.want {
			t.Errorf("replaced %d times: loaded %d times", row.times, loads)
		}
		if row.times == 1 && err != nil {
			t.Errorf("replaced once: %v", err)
		}
		if row.times > 1 && (!errors.Is(err, storage.ErrConflict) || err.Error() != "load: "+storage.ErrConflict.Error()+", 100 times in a row") {
			t.Errorf("replaced each time: %v", err)
		}
	}
}
