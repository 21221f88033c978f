package policy

import (
	"regexp"
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

// TestDrafts: who may publish may share drafts and sign those of others, of their
// own collection, and write nothing else beside them; the signer has no part in
// it.
func TestDrafts(t *testing.T) {
	at := Places{Public: Place{Bucket: "public"}, Inbox: Place{Bucket: "inbox"}}
	id := strings.Repeat("a", 64)
	publisher, signer := Publisher(at, "example.com/a"), Signer(at)
	for key, want := range map[string]bool{
		repo.DraftKey("example.com/a", id):              true,
		repo.DraftSignatureKey("example.com/a", id, id): true,
		repo.DraftDiscardedKey("example.com/a", id):     true,
		repo.DraftKey("example.com/b", id):              false,
		repo.DraftKey("example.com/a/b", id):            false,
	} {
		for _, action := range []string{"s3:PutObject", "s3:GetObject"} {
			if got := allows(publisher, action, arn+"inbox/"+key); got != want {
				t.Errorf("%s of %s: %t", action, key, got)
			}
		}
		if allows(publisher, "s3:DeleteObject", arn+"inbox/"+key) || allows(signer, "s3:PutObject", arn+"inbox/"+key) {
			t.Errorf("%s can be deleted, or written by the signer", key)
		}
	}
}

// allows reports whether a statement allows an action, as S3 matches: * is any
// characters, slashes too, and ? is one.
func allows(p Policy, action, resource string) bool {
	for _, s := range p.Statement {
		if s.Effect != "Allow" || !slices.Contains(s.Action, action) {
			continue
		}
		for _, r := range s.Resource {
			pattern := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(r))
			if regexp.MustCompile("^" + pattern + "$").MatchString(resource) {
				return true
			}
		}
	}
	return false
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
