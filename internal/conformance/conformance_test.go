package main

import (
	"crypto/elliptic"
	"fmt"
	"slices"
	"strings"
	"testing"

	"publisher/repo/tuf"
)

// These tests are the most telling ones of the suite, by their subjects; the
// suite itself is a program in Python that drives this one.

const month = 30 // days that everything lasts here

var all1 = []string{"root 1", "snapshot 1", "targets 1", "timestamp 1"}

// both runs a test against repositories that list lengths and hashes, and such
// that do not.
func both(t *testing.T, test func(t *testing.T, s *sim)) {
	for _, detailed := range []bool{false, true} {
		t.Run(fmt.Sprintf("detailed=%v", detailed), func(t *testing.T) {
			s := newSim(t)
			s.detailed = detailed
			s.list()
			test(t, s)
		})
	}
}

func TestRefresh(t *testing.T) {
	both(t, func(t *testing.T, s *sim) {
		s.trusts("root 1")
		s.refresh().succeeds()
		s.asked("2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json")
		s.trusts(all1...)

		s.refresh().succeeds()
		s.asked("2.root.json", "timestamp.json")
		s.trusts(all1...)

		s.publish()
		s.refresh().succeeds()
		s.asked("2.root.json", "timestamp.json", "2.snapshot.json")
		s.trusts("root 1", "snapshot 2", "targets 1", "timestamp 2")
	})
}

func TestRoots(t *testing.T) {
	s := newSim(t)
	for range 40 {
		s.bumpRoot()
	}
	s.refresh().succeeds()
	s.trusts("root 41", "snapshot 1", "targets 1", "timestamp 1")
	if len(s.requests) != 41+3 || s.requests[0] != "2.root.json" || s.requests[40] != "42.root.json" {
		t.Errorf("requests: %q", s.requests)
	}
}

// TestBadRoots: the roots before the bad one are kept, and nothing after it is
// looked at.
func TestBadRoots(t *testing.T) {
	tests := []struct {
		name    string
		publish func(s *sim) // root 3
		message string
	}{
		{"gap", func(s *sim) { s.root.Version = 4; s.publishRoot() }, "version 4, not 3"},
		{"same version", func(s *sim) { s.root.Version = 2; s.publishRoot() }, "version 2, not 3"},
		{"rollback", func(s *sim) { s.root.Version = 1; s.publishRoot() }, "version 1, not 3"},
		{"signed by the new key alone", func(s *sim) {
			s.rotate(tuf.RoleRoot, newEd25519(t))
			s.bumpRoot()
		}, "by the keys of the root before it: root: 0 of 1"},
		{"signed by the old key alone", func(s *sim) {
			old := s.signers[tuf.RoleRoot]
			s.rotate(tuf.RoleRoot, newEd25519(t))
			s.signers[tuf.RoleRoot] = nil
			s.bumpRoot(old...)
		}, "by its own keys: root: 0 of 1"},
		{"signed by nobody", func(s *sim) { s.signers[tuf.RoleRoot] = nil; s.bumpRoot() }, "0 of 1"},
		{"below the new threshold", func(s *sim) {
			old := s.signers[tuf.RoleRoot]
			s.rotate(tuf.RoleRoot, newEd25519(t), newEd25519(t))
			s.signers[tuf.RoleRoot] = s.signers[tuf.RoleRoot][:1]
			s.bumpRoot(old...)
		}, "by its own keys: root: 1 of 2"},
		{"threshold 0", func(s *sim) {
			r := s.root.Roles[tuf.RoleRoot]
			r.Threshold = 0
			s.root.Roles[tuf.RoleRoot] = r
			s.bumpRoot()
		}, "threshold 0"},
		{"of another type", func(s *sim) { s.roots = append(s.roots, sealed(t, s.timestamp, s.signers["root"]...)) }, "3.root.json"},
		{"not JSON", func(s *sim) { s.roots = append(s.roots, []byte("<html>")) }, "3.root.json"},
		{"empty", func(s *sim) { s.roots = append(s.roots, []byte{}) }, "3.root.json"},
		{"too large", func(s *sim) { s.roots = append(s.roots, make([]byte, 600_000)) }, "larger than allowed"},
		{"without a role", func(s *sim) { delete(s.root.Roles, "snapshot"); s.bumpRoot() }, "snapshot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim(t)
			s.bumpRoot()
			tt.publish(s)
			s.refresh().fails(tt.message)
			s.trusts("root 2")
		})
	}
}

func TestRootKeyRotation(t *testing.T) {
	s := newSim(t)
	first := s.signers[tuf.RoleRoot]
	s.rotate(tuf.RoleRoot, newEd25519(t), newEd25519(t))
	s.bumpRoot(first...)
	second := s.signers[tuf.RoleRoot]
	s.rotate(tuf.RoleRoot, first[0])
	s.bumpRoot(second...)
	s.refresh().succeeds()
	s.trusts("root 3", "snapshot 1", "targets 1", "timestamp 1")
}

// TestExpiry: what expired is refused, unless it is followed by what did not.
func TestExpiry(t *testing.T) {
	heads := map[string]func(s *sim) *tuf.Common{
		"root":      func(s *sim) *tuf.Common { return s.root.Head() },
		"timestamp": func(s *sim) *tuf.Common { return s.timestamp.Head() },
		"snapshot":  func(s *sim) *tuf.Common { return s.snapshot.Head() },
		"targets":   func(s *sim) *tuf.Common { return s.targets["targets"].Head() },
	}
	for role, head := range heads {
		t.Run("new "+role, func(t *testing.T) {
			s := newSim(t)
			s.refresh().succeeds()
			head(s).Expires = start.AddDate(0, 0, -1)
			s.targets["targets"].Version++
			s.publish()
			s.bumpRoot()
			s.refresh().fails(role + " expired")
			want := map[string][]string{
				"root":      {"root 2", "snapshot 1", "targets 1", "timestamp 1"},
				"timestamp": {"root 2", "snapshot 1", "targets 1", "timestamp 1"},
				"snapshot":  {"root 2", "snapshot 1", "targets 1", "timestamp 2"},
				"targets":   {"root 2", "snapshot 2", "targets 1", "timestamp 2"},
			}
			s.trusts(want[role]...)
		})
		t.Run("trusted "+role, func(t *testing.T) {
			s := newSim(t)
			s.refresh().succeeds()
			s.now = start.AddDate(0, 0, month+1)
			s.refresh().fails("expired")
			for other, head := range heads {
				if other != role {
					head(s).Expires = s.now.AddDate(0, 0, month)
				}
			}
			s.targets["targets"].Version++
			s.publish()
			s.bumpRoot()
			s.refresh().fails(role + " expired")
			head(s).Expires = s.now.AddDate(0, 0, month)
			s.targets["targets"].Version++
			s.publish()
			s.bumpRoot()
			s.refresh().succeeds()
			s.trusts("root 3", "snapshot 3", "targets 3", "timestamp 3")
		})
	}
}

func TestExpiredRootInBetween(t *testing.T) {
	s := newSim(t)
	s.root.Expires = start.AddDate(0, 0, -1)
	s.bumpRoot()
	s.root.Expires = start.AddDate(0, 0, month)
	s.bumpRoot()
	s.refresh().succeeds()
}

func TestSignatures(t *testing.T) {
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		for name, signers := range map[string][]signer{"nobody": nil, "a stranger": {newEd25519(t)}} {
			t.Run(role+" by "+name, func(t *testing.T) {
				both(t, func(t *testing.T, s *sim) {
					s.refresh().succeeds()
					s.signers[role] = signers
					s.targets["targets"].Version++
					s.publish()
					s.refresh().fails("0 of 1 required signatures")
				})
			})
		}
		t.Run(role+" changed", func(t *testing.T) {
			s := newSim(t)
			name := map[string]string{"timestamp": "timestamp.json"}[role]
			if name == "" {
				name = "1." + role + ".json"
			}
			s.spoil[name] = edit(func(f map[string]any) { f["signed"].(map[string]any)["x"] = "y" })
			s.refresh().fails("0 of 1 required signatures")
		})
	}
}

// TestThreshold: neither a signature nor a key counts twice.
func TestThreshold(t *testing.T) {
	s := newSim(t)
	a, b := newEd25519(t), newEd25519(t)
	s.rotate(tuf.RoleTimestamp, a, b)
	s.bumpRoot()
	s.refresh().succeeds()

	s.signers[tuf.RoleTimestamp] = []signer{a}
	s.timestamp.Version++
	s.refresh().fails("1 of 2")

	s.spoil["timestamp.json"] = edit(func(f map[string]any) {
		sigs := f["signatures"].([]any)
		f["signatures"] = append(sigs, sigs...)
	})
	s.refresh().fails("signatures")
	delete(s.spoil, "timestamp.json")

	twin := a
	twin.id = strings.Repeat("a", 64)
	s.rotate(tuf.RoleTimestamp, a, twin)
	s.bumpRoot()
	s.refresh().fails("1 of 2")

	s.signers[tuf.RoleTimestamp] = []signer{a, b}
	s.rotate(tuf.RoleTimestamp, a, b)
	s.bumpRoot()
	s.refresh().succeeds()
	s.trusts("root 4", "snapshot 1", "targets 1", "timestamp 2")
}

func TestKeyTypes(t *testing.T) {
	for name, key := range map[string]signer{
		"ed25519":                 newEd25519(t),
		"ecdsa P-256":             newECDSA(t, "ecdsa", "ecdsa-sha2-nistp256", elliptic.P256()),
		"ecdsa P-256, named so":   newECDSA(t, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", elliptic.P256()),
		"ecdsa P-384":             newECDSA(t, "ecdsa", "ecdsa-sha2-nistp384", elliptic.P384()),
		"RSA-PSS, salt of 222":    newRSA(t),
		"beside an unknown type":  newEd25519(t),
		"beside an unknown curve": newEd25519(t),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t)
			old := s.signers[tuf.RoleRoot]
			for _, role := range tuf.TopLevel {
				s.rotate(role, key)
			}
			if strings.HasPrefix(name, "beside") {
				unknown := describe(tuf.Key{Type: "new", Scheme: "newer", Value: tuf.KeyValue{Public: "newest"}}, nil)
				s.root.Keys[unknown.id] = unknown.key
				r := s.root.Roles[tuf.RoleTimestamp]
				r.KeyIDs = append([]string{unknown.id}, r.KeyIDs...)
				s.root.Roles[tuf.RoleTimestamp] = r
			}
			s.bumpRoot(old...)
			s.refresh().succeeds()
			s.trusts("root 2", "snapshot 1", "targets 1", "timestamp 1")
		})
	}
}

func TestRollback(t *testing.T) {
	tests := []struct {
		name    string
		change  func(s *sim) // versions are 2 and known to the client
		message string
		trusted []string
	}{
		{"timestamp", func(s *sim) { s.timestamp.Version = 1 }, "version 1, but version 2", []string{"snapshot 2", "targets 2", "timestamp 2"}},
		{"snapshot in the timestamp", func(s *sim) {
			s.timestamp.Version, s.snapshot.Version = 3, 1
			s.listSnapshot()
		}, "snapshot version 1, but version 2", []string{"snapshot 2", "targets 2", "timestamp 2"}},
		{"targets in the snapshot", func(s *sim) {
			s.targets["targets"].Version = 1
			s.publish()
		}, "version 1, but version 2", []string{"snapshot 2", "targets 2", "timestamp 3"}},
		{"a role is gone from the snapshot", func(s *sim) {
			delete(s.targets, "other")
			delete(s.snapshot.Meta, "other.json")
			s.publish()
		}, "other.json is no longer listed", []string{"snapshot 2", "targets 2", "timestamp 3"}},
		{"snapshot of another version", func(s *sim) {
			s.publish()
			s.timestamp.Meta["snapshot.json"] = tuf.MetaFile{Version: 4}
		}, "says version 3", []string{"snapshot 2", "targets 2", "timestamp 3"}},
		{"targets of another version", func(s *sim) {
			s.publish()
			s.snapshot.Meta["targets.json"] = tuf.MetaFile{Version: 3}
		}, "says version 2", []string{"snapshot 3", "targets 2", "timestamp 3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim(t)
			s.targets["targets"].Version = 2
			s.targets["other"] = &tuf.Targets{Targets: map[string]tuf.TargetFile{}}
			s.targets["other"].Version = 1
			s.publish()
			s.refresh().succeeds()
			tt.change(s)
			s.refresh().fails(tt.message)
			s.trusts(append([]string{"root 1"}, tt.trusted...)...)
		})
	}
}

// TestSameTimestamp: one that has the version of the trusted one is not taken,
// whatever it says.
func TestSameTimestamp(t *testing.T) {
	both(t, func(t *testing.T, s *sim) {
		s.refresh().succeeds()
		s.snapshot.Version++
		s.listSnapshot()
		s.refresh().succeeds()
		s.asked("2.root.json", "timestamp.json")
		s.trusts(all1...)
	})
}

// TestFastForward: after a thief has used up the versions, new keys bring the
// old ones back; TUF specification, section 5.3.11.
func TestFastForward(t *testing.T) {
	tests := []struct {
		name            string
		forward, recall func(s *sim)
		rotate          []string
	}{
		{
			"timestamp", func(s *sim) { s.timestamp.Version = 99_999 },
			func(s *sim) { s.timestamp.Version = 1 }, []string{"timestamp"},
		},
		{
			"snapshot", func(s *sim) { s.snapshot.Version = 99_999; s.timestamp.Version++; s.listSnapshot() },
			func(s *sim) { s.snapshot.Version = 1; s.timestamp.Version++; s.listSnapshot() }, []string{"timestamp", "snapshot"},
		},
		{
			"targets", func(s *sim) { s.targets["targets"].Version = 99_999; s.publish() },
			func(s *sim) { s.targets["targets"].Version = 1; s.publish() }, []string{"snapshot"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, s *sim) {
				tt.forward(s)
				s.refresh().succeeds()
				tt.recall(s)
				s.refresh().fails("was there before")
				for _, role := range tt.rotate {
					s.rotate(role, newEd25519(t))
				}
				s.bumpRoot()
				s.publish()
				s.refresh().succeeds()
			})
		})
	}
}

// TestKeysOfCachedFiles: what was verified with keys that are revoked now is
// not used, though its version is still the one.
func TestKeysOfCachedFiles(t *testing.T) {
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		t.Run(role, func(t *testing.T) {
			s := newSim(t)
			s.refresh().succeeds()
			s.rotate(role, newEd25519(t))
			s.bumpRoot()
			s.refresh().succeeds()
			name := map[string]string{"timestamp": "timestamp.json"}[role]
			if name == "" {
				name = "1." + role + ".json"
			}
			if !slices.Contains(s.requests, name) {
				t.Errorf("requests: %q", s.requests)
			}
		})
	}
}

func TestListedContent(t *testing.T) {
	for _, role := range []string{"snapshot", "targets"} {
		for name, change := range map[string]func(m *tuf.MetaFile){
			"hash":         func(m *tuf.MetaFile) { m.Hashes = map[string]string{"sha256": hash("other")} },
			"length":       func(m *tuf.MetaFile) { m.Length++ },
			"small length": func(m *tuf.MetaFile) { m.Length-- },
			"unknown hash": func(m *tuf.MetaFile) { m.Hashes = map[string]string{"md5": "00"} },
		} {
			t.Run(role+" "+name, func(t *testing.T) {
				s := newSim(t)
				s.detailed = true
				s.list()
				meta := s.snapshot.Meta["targets.json"]
				change(&meta)
				if role == "targets" {
					s.snapshot.Meta["targets.json"] = meta
					s.listSnapshot()
				} else {
					meta = s.timestamp.Meta["snapshot.json"]
					change(&meta)
					s.timestamp.Meta["snapshot.json"] = meta
				}
				s.refresh().fails("1." + role + ".json")
				want := map[string][]string{"snapshot": {"root 1", "timestamp 1"}, "targets": {"root 1", "snapshot 1", "timestamp 1"}}
				s.trusts(want[role]...)
			})
		}
	}
}

func TestMissingFiles(t *testing.T) {
	for _, name := range []string{"timestamp.json", "1.snapshot.json", "1.targets.json"} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t)
			s.spoil[name] = func([]byte) []byte { return nil }
			s.refresh().fails("")
		})
	}
}

func TestDownload(t *testing.T) {
	both(t, func(t *testing.T, s *sim) {
		sums := map[string]string{}
		for _, name := range []string{"a", "dir/sub dir/b+c", "é"} {
			s.add("targets", name, "content of "+name)
			sums[name] = hash("content of " + name)
		}
		s.targets["targets"].Version++
		s.publish()
		s.download("a").succeeds()
		s.asked("2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json", sums["a"]+".a")
		s.download("dir/sub dir/b+c").succeeds()
		s.asked("2.root.json", "timestamp.json", "dir/sub%20dir/"+sums["dir/sub dir/b+c"]+".b+c")
		s.download("é").succeeds()
		s.download("a").succeeds() // it is there
		s.asked("2.root.json", "timestamp.json")
		s.download("missing").fails("no such target")
	})
}

func TestBadDownloads(t *testing.T) {
	for name, f := range map[string]func([]byte) []byte{
		"other bytes": func(b []byte) []byte { b[0]++; return b },
		"too long":    func(b []byte) []byte { return append(b, 'x') },
		"too short":   func(b []byte) []byte { return b[1:] },
		"empty":       func([]byte) []byte { return []byte{} },
		"missing":     func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t)
			s.add("targets", "a", "content")
			s.spoil[hash("content")+".a"] = f
			s.download("a").fails("")
		})
	}
}

func TestNotConsistent(t *testing.T) {
	both(t, func(t *testing.T, s *sim) {
		s.root.ConsistentSnapshot = false
		s.bumpRoot()
		s.add("targets", "dir/a", "content")
		s.delegate("targets", tuf.DelegatedRole{Name: "other", Paths: []string{"other/*"}})
		s.add("other", "other/b", "content")
		s.publish()
		s.download("dir/a").succeeds()
		s.asked("2.root.json", "3.root.json", "timestamp.json", "snapshot.json", "targets.json", "dir/a")
		s.download("other/b").succeeds()
		s.asked("3.root.json", "timestamp.json", "other.json", "other/b")
	})
}

// TestUnknownFields: what this client does not know is signed all the same.
func TestUnknownFields(t *testing.T) {
	s := newSim(t)
	s.timestamp.Unknown = []byte(`{"x-new":{"a":[1,"ü",null,true]}}`)
	s.root.Unknown = []byte(`{"x-new":"\u0000\"\\"}`)
	s.bumpRoot()
	s.refresh().succeeds()
}

// TestBytesAreKept: signatures must hold for what is in the cache.
func TestBytesAreKept(t *testing.T) {
	s := newSim(t)
	spaced := func(b []byte) []byte { return append([]byte(" \n"), append(b, '\n')...) }
	s.spoil["timestamp.json"], s.spoil["1.snapshot.json"] = spaced, spaced
	s.refresh().succeeds()
	s.refresh().succeeds()
	s.asked("2.root.json", "timestamp.json")
}
