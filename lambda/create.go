package lambda

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"publisher/repo"
)

// CreateBelow is a Signer's Create: it lets be created what is one of the names
// or lies below it, and, where one ends in a slash, dot or dash, what begins with
// it. Without any nothing may be created.
func CreateBelow(names ...string) func(collection string) error {
	return func(collection string) error {
		for _, name := range names {
			if name == "" {
				continue
			}
			rest, ok := strings.CutPrefix(collection, name)
			if ok && (rest == "" || rest[0] == '/' || strings.ContainsAny(name[len(name)-1:], "/.-")) {
				return nil
			}
		}
		if len(names) == 0 {
			return errors.New("no collections are created here")
		}
		return fmt.Errorf("only those below %s are created here", strings.Join(names, ", "))
	}
}

// CheckCreate refuses a name for CreateBelow with which no collection's begins.
func CheckCreate(name string) error {
	// What a name can begin with is a name, perhaps up to a slash, dot or dash.
	return repo.CheckCollection(strings.TrimSuffix(name, "/"))
}

// FirstRoots is a Signer's Genesis: it reads collection=sha256 pairs.
func FirstRoots(pairs ...string) (func(collection string) (sha256 string, ok bool), error) {
	sums := map[string]string{}
	for _, pair := range pairs {
		collection, sum, _ := strings.Cut(pair, "=")
		if err := repo.CheckCollection(collection); err != nil {
			return nil, err
		}
		if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 || hex.EncodeToString(raw) != sum {
			return nil, fmt.Errorf("%.80q is not the SHA-256 of a root, in lower-case hex", sum)
		}
		if old, ok := sums[collection]; ok && old != sum {
			return nil, fmt.Errorf("%s is there twice", collection)
		}
		sums[collection] = sum
	}
	return func(collection string) (string, bool) {
		sum, ok := sums[collection]
		return sum, ok
	}, nil
}
