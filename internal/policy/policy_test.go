package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
)

// TestConditional: every object that somebody may write is one that they may
// write with a condition only, and the statements that allow are the same as
// without.
func TestConditional(t *testing.T) {
	for name, of := range map[string]func(Places) Policy{
		"publisher": func(at Places) Policy { return Publisher(at, "example.com/a") },
		"signer":    Signer,
	} {
		at := Places{Public: Place{"public", ""}, Inbox: Place{"inbox", "/in/"}}
		plain := of(at)
		at.Conditional = true
		all := of(at)
		if diff := cmp.Diff(plain.Statement, all.Statement[:len(plain.Statement)]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		written, denied := map[string]bool{}, map[string]bool{}
		for _, s := range all.Statement {
			for _, r := range s.Resource {
				switch {
				case s.Action[0] == "s3:PutObject" && s.Effect == "Allow":
					written[r] = true
				case s.Effect == "Deny":
					denied[r] = true
				}
			}
		}
		if diff := cmp.Diff(written, denied); diff != "" || len(written) == 0 {
			t.Errorf("%s: written without a condition: %s", name, diff)
		}
	}
}

// TestNotes: what the signer notes for itself is written by nobody else, and no
// more than with a condition. No name of a collection leads there.
func TestNotes(t *testing.T) {
	at := Places{Public: Place{Bucket: "public"}, Inbox: Place{"inbox", "in"}, Conditional: true}
	const notes = "arn:aws:s3:::inbox/in/" + repo.SignerDir
	if err := repo.CheckCollection(repo.SignerDir + "collections"); err == nil {
		t.Errorf("%s can begin the name of a collection", repo.SignerDir)
	}
	for _, s := range Publisher(at, "example.com/a").Statement {
		for _, r := range s.Resource {
			if strings.HasPrefix(r, notes) || strings.HasPrefix(r, "arn:aws:s3:::inbox/in/*") {
				t.Errorf("a publisher may %v on %s", s.Action, r)
			}
		}
	}
	may := map[string]bool{}
	for _, s := range Signer(at).Statement {
		if slices.Contains(s.Resource, notes+"*") {
			may[s.Effect+" "+s.Action[0]] = true
		}
	}
	want := map[string]bool{"Allow s3:PutObject": true, "Allow s3:DeleteObject": true, "Deny s3:PutObject": true}
	if diff := cmp.Diff(want, may); diff != "" {
		t.Errorf("the signer, of its notes: %s", diff)
	}
}

// TestPlaceholders: what is to be filled in stays readable for those who do.
func TestPlaceholders(t *testing.T) {
	at := Places{Public: Place{"${public}", "${prefix}"}, Inbox: Place{Bucket: "<inbox>"}}
	text := Publisher(at, "${collection}").JSON()
	for _, want := range []string{
		`"arn:aws:s3:::${public}/${prefix}/${collection}/targets/*"`,
		`"arn:aws:s3:::<inbox>/${collection}/submissions/??????????????????????????.json"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestFor(t *testing.T) {
	at := Places{Public: Place{Bucket: "public"}, Inbox: Place{Bucket: "public-inbox"}}
	got := Bucket(Signer(at).For("public", "one", "two"))
	want := `{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Allow","Principal":{"AWS":["one","two"]},"Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::public"]},` +
		`{"Effect":"Allow","Principal":{"AWS":["one","two"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::public/*"]},` +
		`{"Effect":"Allow","Principal":{"AWS":["one","two"]},"Action":["s3:PutObject"],"Resource":["arn:aws:s3:::public/*/metadata/*.*.json","arn:aws:s3:::public/*/metadata/timestamp.json"]}]}`
	if diff := cmp.Diff(want, got.JSON()); diff != "" {
		t.Error(diff)
	}
}
