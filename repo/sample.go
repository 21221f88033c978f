package repo

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"publisher/repo/tuf"
)

// A Sample is how much is looked at of very many targets, or of very large ones.
type Sample struct {
	Targets int    // at most so many
	Bytes   int64  // at most so many are read of those
	Seed    string // another one chooses others
}

// Pick chooses among the targets, by object key: those to look at, sorted, and
// those of them to read.
func (s *Sample) Pick(listed map[string]tuf.TargetFile) (look []string, read map[string]bool) {
	order := map[string]string{}
	for key := range listed {
		sum := sha256.Sum256([]byte(s.Seed + "\x00" + key))
		order[key] = hex.EncodeToString(sum[:])
	}
	look = slices.SortedFunc(maps.Keys(listed), func(a, b string) int { return cmp.Compare(order[a], order[b]) })
	look = look[:min(len(look), s.Targets)]
	read, left := map[string]bool{}, s.Bytes
	for _, key := range look {
		if n := listed[key].Length; n <= left {
			read[key], left = true, left-n
		}
	}
	slices.Sort(look)
	return look, read
}
