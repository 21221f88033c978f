package lambda_test

import (
	"strings"
	"testing"

	"publisher/lambda"
)

// TestFirstRootsRefused: what would allow no root, or leave open which one, is
// refused at the start.
func TestFirstRootsRefused(t *testing.T) {
	sum, other := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	for want, pairs := range map[string][]string{
		"collection name": {"../x=" + sum},
		`"" is not the SHA-256 of a root, in lower-case hex`:                             {scripts},
		`"zz" is not the SHA-256 of a root, in lower-case hex`:                           {scripts + "=zz"},
		`"0a" is not the SHA-256 of a root, in lower-case hex`:                           {scripts + "=0a"},
		`"` + strings.ToUpper(sum) + `" is not the SHA-256 of a root, in lower-case hex`: {scripts + "=" + strings.ToUpper(sum)},
		scripts + " is there twice":                                                      {scripts + "=" + sum, scripts + "=" + other},
	} {
		if _, err := lambda.FirstRoots(pairs...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %s", pairs, err, want)
		}
	}
	first, err := lambda.FirstRoots(scripts+"="+sum, scripts+"="+sum)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := first(scripts); got != sum || !ok {
		t.Errorf("%q, %v", got, ok)
	}
}

// TestCheckCreate: a name with which no collection's begins allows nothing.
func TestCheckCreate(t *testing.T) {
	for name, good := range map[string]bool{"example.com": true, "example.com/": true, "example.com//": false, "": false, "../x": false, "a b": false} {
		if err := lambda.CheckCreate(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
