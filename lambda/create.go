package lambda

import (
	"errors"
	"fmt"
	"strings"
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
