package tuf_test

import (
	stdjson "encoding/json"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"publisher/repo/keys"
	"publisher/repo/tuf"
)

// awkward is custom data and names on which encoders differ.
const awkward = `{"z":"\u0000\u001f\n\"\\\/<>&\u2028","\ud83d\ude00":1,"\uff5e":[{"b":null,"a":true}],"":"","a b":-9007199254740991}`

var awkwardNames = []string{"a+b_1.0~rc1.deb", "a b", `"quoted"`, "<&>", "é", "～", "😀", "a/b/c"}

// TestGoTUFReads has go-tuf verify files made and signed here.
func TestGoTUFReads(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			s := newSigner(t, algorithm)
			root, err := metadata.Root().FromBytes(mustNew(t, ownRoot(s.Key), s).Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if err := root.VerifyDelegate("root", root); err != nil {
				t.Errorf("root: %v", err)
			}
			targets, err := metadata.Targets().FromBytes(mustNew(t, ownTargets(), s).Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if err := root.VerifyDelegate("targets", targets); err != nil {
				t.Errorf("targets: %v", err)
			}
			for _, name := range awkwardNames {
				if targets.Signed.Targets[name] == nil {
					t.Errorf("go-tuf does not see target %q", name)
				}
			}
		})
	}
}

func ownRoot(key tuf.Key) tuf.Root {
	role := tuf.Role{KeyIDs: []string{key.ID()}, Threshold: 1}
	root := tuf.Root{ConsistentSnapshot: true, Keys: map[string]tuf.Key{key.ID(): key}, Roles: map[string]tuf.Role{}}
	root.Version, root.Expires = 1, expires
	root.Publisher = tuf.Publisher{Collection: "example.com/a", Lifetimes: map[string]int64{"root": 1}, GraceUntil: expires}
	for _, name := range tuf.TopLevel {
		root.Roles[name] = role
	}
	return root
}

func ownTargets() tuf.Targets {
	targets := tuf.Targets{Targets: map[string]tuf.TargetFile{}}
	targets.Version, targets.Expires = 1, expires
	for _, name := range awkwardNames {
		targets.Targets[name] = tuf.TargetFile{Length: 1, Hashes: map[string]string{"sha256": "00"}, Custom: jsontext.Value(awkward)}
	}
	return targets
}

// TestReadsGoTUF verifies files that go-tuf made, compact and with tabs.
func TestReadsGoTUF(t *testing.T) {
	for _, algorithm := range algorithms {
		for name, pretty := range map[string]bool{"compact": false, "pretty": true} {
			t.Run(algorithm+" "+name, func(t *testing.T) {
				private, err := keys.Generate(algorithm)
				if err != nil {
					t.Fatal(err)
				}
				s, key, err := keys.NewSigner(private)
				if err != nil {
					t.Fatal(err)
				}
				data := theirs(t, theirTargets(), s, pretty)
				f := mustParse[tuf.Targets](t, data)
				role, known := tuf.Role{KeyIDs: []string{key.ID()}, Threshold: 1}, map[string]tuf.Key{key.ID(): key}
				if err := f.Verify("targets", role, known); err != nil {
					t.Error(err)
				}
				// Made again of what was read, the content is still what go-tuf signed.
				if diff := cmp.Diff(string(f.Payload()), string(mustNew(t, f.Signed).Payload())); diff != "" {
					t.Errorf("payload after New (-before +after):\n%s", diff)
				}
			})
		}
	}
}

func theirTargets() *metadata.Metadata[metadata.TargetsType] {
	targets := metadata.Targets(expires)
	targets.Signed.SpecVersion = tuf.SpecVersion
	custom := stdjson.RawMessage(awkward)
	for _, name := range awkwardNames {
		targets.Signed.Targets[name] = &metadata.TargetFiles{
			Length: 1, Hashes: metadata.Hashes{"sha256": {0}}, Custom: &custom,
		}
	}
	return targets
}

func theirs[T metadata.Roles](t *testing.T, m *metadata.Metadata[T], s signature.Signer, pretty bool) []byte {
	t.Helper()
	if _, err := m.Sign(s); err != nil {
		t.Fatal(err)
	}
	data, err := m.ToBytes(pretty)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
