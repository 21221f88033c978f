package tuf_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"publisher/repo/strict"
	"publisher/repo/tuf"
)

// many is the content of a targets file with n targets.
func many(n int) tuf.Targets {
	t := tuf.Targets{Targets: make(map[string]tuf.TargetFile, n)}
	t.Version, t.Expires = 1, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	t.Publisher.Collection = "example.com/bench"
	for i := range n {
		name := fmt.Sprintf("pool/main/%c/package-%06d_1.0+b%d_amd64.deb", 'a'+i%26, i, i%7)
		sum := sha256.Sum256([]byte(name))
		t.Targets[name] = tuf.TargetFile{
			Length: int64(i) * 7919,
			Hashes: map[string]string{"sha256": hex.EncodeToString(sum[:])},
		}
	}
	return t
}

// stored is content as a file with one signature.
func stored[T tuf.Content](tb testing.TB, content T) []byte {
	tb.Helper()
	f, err := tuf.New(content)
	if err != nil {
		tb.Fatal(err)
	}
	if err := f.AddSignature("ab", []byte("signature")); err != nil {
		tb.Fatal(err)
	}
	return f.Bytes()
}

const benchTargets = 10_000

// BenchmarkParse reads a large role, beside go-tuf reading the same bytes.
func BenchmarkParse(b *testing.B) {
	data := stored(b, many(benchTargets))
	measure := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("Check", func() error { return strict.Check(data, 1<<30, strict.Targets) })
	measure("Canonical", func() error { _, err := tuf.Canonical(data); return err })
	measure("Parse", func() error { _, err := tuf.Parse[tuf.Targets](data, 1<<30); return err })
	measure("go-tuf", func() error { _, err := metadata.Targets().FromBytes(data); return err })
}

// BenchmarkNew writes a large role, beside go-tuf encoding the same content:
// once for the payload, once for the file.
func BenchmarkNew(b *testing.B) {
	content := many(benchTargets)
	theirs, err := metadata.Targets().FromBytes(stored(b, content))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("New", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			stored(b, content)
		}
	})
	b.Run("go-tuf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := theirs.ToBytes(false); err != nil {
				b.Fatal(err)
			}
		}
	})
}
