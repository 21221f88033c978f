package tuf_test

import (
	"bytes"
	stdjson "encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"publisher/repo/tuf"
)

func TestCanonical(t *testing.T) {
	for _, row := range []struct{ name, data, want string }{
		{"white space", " {\n\t\"b\" : [ 1 , 2 ] ,\r\n \"a\" : { } } ", `{"a":{},"b":[1,2]}`},
		{"names that start alike", `{"ab":1,"a":2,"a b":3,"A":4,"":5}`, `{"":5,"A":4,"a":2,"a b":3,"ab":1}`},
		{"nested", `{"b":{"d":1,"c":{"f":[{"h":1,"g":2}],"e":0}},"a":1}`, `{"a":1,"b":{"c":{"e":0,"f":[{"g":2,"h":1}]},"d":1}}`},
		{"values", `[true,false,null,0,-5,9007199254740991,"",[],{}]`, `[true,false,null,0,-5,9007199254740991,"",[],{}]`},
		{"only quote and backslash stay escaped", `"\"\\\/\b\u0041\u00e9\u2028<>&"`, "\"\\\"\\\\/\bAé\u2028<>&\""},
		{"control characters stand bare", `{"\u0001":"\u0000\n\t\u001f\u007f"}`, "{\"\x01\":\"\x00\n\t\x1f\x7f\"}"},
		{"escaped names sort by what they mean", `{"b":1,"\u0061":2,"\"":3,"\\":4,"!":5,"#":6}`, `{"!":5,"\"":3,"#":6,"\\":4,"a":2,"b":1}`},
		// In UTF-16, which some libraries sort by, U+1F600 is before U+FF5E.
		{"code points, not UTF-16", `{"\ud83d\ude00":1,"\uff5e":2,"é":3,"z":4}`, `{"z":4,"é":3,"～":2,"😀":1}`},
		{"the last code points", `{"\udbff\udfff":1,"\uffff":2,"\ue000":3,"\ud7ff":4}`, "{\"\ud7ff\":4,\"\ue000\":3,\"\uffff\":2,\"\U0010ffff\":1}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := tuf.Canonical([]byte(row.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			theirs, err := cjson.EncodeCanonical(stdjson.RawMessage(row.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(theirs), string(got)); diff != "" {
				t.Errorf("(-cjson +got):\n%s", diff)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, data := range []string{"", "{", `{"a"`, `{"a":}`, `["`, "[1,]", `{1:2}`, `"\ud800"`} {
		if got, err := tuf.Canonical([]byte(data)); err == nil {
			t.Errorf("%q gives %q", data, got)
		}
	}
}

// TestCanonicalIdempotent wants what we write to be in its last form.
func TestCanonicalIdempotent(t *testing.T) {
	for _, file := range []string{unknownRoot, unknownTargets, unknownSnapshot, unknownTimestamp} {
		once, err := tuf.Canonical([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		again, err := tuf.Canonical(once)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, again) {
			t.Errorf("once\n%s\ntwice\n%s", once, again)
		}
	}
}
