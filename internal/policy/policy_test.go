package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"publisher/repo"
)

var update = flag.Bool("update", false, "write selfhost/policies anew from the Terraform module")

const folder = "../../selfhost/policies"

// documents are what the folder has, and whom the module says that they are of:
// ci is a delegate who owns releases/.
var documents = map[string]string{
	"publisher": "writers " + collection, "delegate": "writers " + collection + ":ci",
	"signer-publish": "signer publish", "signer-refresh": "signer refresh", "gc": "gc gc",
}

// TestDocuments: the documents are what the Terraform module says, without the
// conditions that only Amazon S3 knows.
func TestDocuments(t *testing.T) {
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		if os.Getenv("TERRAFORM_CHECK") != "" || os.Getenv("GITHUB_ACTIONS") != "" {
			t.Fatal(err) // as tools/check-terraform does
		}
		t.Skip("there is no terraform to compare with")
	}
	cmd := exec.CommandContext(t.Context(), terraform, "-chdir=../../terraform/modules/policies", "console", "-var-file="+variables(t))
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
	cmd.Stdin = strings.NewReader(`jsonencode(merge([for kind, of in local.documents : {for who, d in of : "${kind} ${who}" => jsondecode(d)}]...))` + "\n")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &complaints)
	}
	printed, err := strconv.Unquote(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatalf("%v: terraform printed %s", err, out)
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal([]byte(printed), &said); err != nil {
		t.Fatal(err)
	}
	if len(said) != len(documents) {
		t.Errorf("the module has %d documents, here are %d", len(said), len(documents))
	}
	for document, who := range documents {
		compare(t, filepath.Join(folder, document+".json"), said[who])
	}
}

// variables is a file of what the module is given.
func variables(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "documents.tfvars.json")
	text := `{"public_bucket": "PUBLIC", "inbox_bucket": "INBOX", "conditional": false,
		"collections": {"example.com/scripts": {"delegates": {"ci": ["releases/"]}}}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func compare(t *testing.T, file string, document json.RawMessage) {
	t.Helper()
	var want bytes.Buffer
	if err := json.Indent(&want, document, "", "  "); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	want.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, want.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("%s is not what the module says, run go test ./internal/policy -update:\n%s", file, diff)
	}
}

// TestBuckets: versitygw gets the same documents as policies of its buckets, for
// users with the names that setup.sh gives them.
func TestBuckets(t *testing.T) {
	users := [][2]string{{"signer-publish", "signer"}, {"publisher", "publisher"}, {"gc", "collector"}}
	at := Places{Public: Place{Bucket: publicBucket}, Inbox: Place{Bucket: inboxBucket}}
	for file, all := range map[string][][]Statement{
		publicBucket: {Served(publicBucket)}, inboxBucket: nil,
	} {
		for _, u := range users {
			p, err := Read(folder, u[0], at, collection)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p.For(file, u[1]))
		}
		compare(t, filepath.Join(folder, "versitygw-"+strings.ToLower(file)+".json"), json.RawMessage(Bucket(all...).JSON()))
	}
}

// TestLayout: the module knows the words of the layout, which no collection's
// name may have, wherever it writes them down.
func TestLayout(t *testing.T) {
	var want []string
	for _, key := range []string{
		repo.MetadataDir("c"), repo.TargetsDir("c"), repo.PartKey("c", "x"), repo.SubmissionsDir("c"),
		repo.ReceiptsDir("c"), repo.OnlineKeysDir("c", "x"), repo.DraftsDir("c"),
	} {
		word := strings.Split(key, "/")[1]
		if repo.CheckCollection("c/"+word) == nil {
			t.Errorf("a collection may be called c/%s", word)
		}
		want = append(want, word)
	}
	for _, file := range []string{"variables.tf", "modules/policies/variables.tf"} {
		text, err := os.ReadFile(filepath.Join("../../terraform", file))
		if err != nil {
			t.Fatal(err)
		}
		list := regexp.MustCompile(`\[("metadata"[^]]*)\]`).FindSubmatch(text)
		if list == nil {
			t.Fatalf("%s does not have them", file)
		}
		got := strings.Split(strings.ReplaceAll(string(list[1]), `"`, ""), ", ")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s has others:\n%s", file, diff)
		}
	}
}

// TestRead: nothing that stands for a name is left, and a bucket's name is no
// part of another's.
func TestRead(t *testing.T) {
	at := Places{Public: Place{"bucket", "/tuf/"}, Inbox: Place{Bucket: "bucket-inbox"}}
	for document := range documents {
		p, err := Read(folder, document, at, "example.org/x")
		if err != nil {
			t.Fatal(err)
		}
		for _, left := range []string{publicBucket, inboxBucket, collection} {
			if strings.Contains(p.JSON(), left) {
				t.Errorf("%s: %s is left in %s", document, left, p.JSON())
			}
		}
	}
	p, err := Read(folder, "publisher", at, "example.org/x")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, s := range p.For("bucket", "one", "two") {
		got[s.Sid] = append(s.Principal.AWS, s.Resource...)
	}
	want := map[string][]string{
		"TellMissingFromForbidden": {"one", "two", "arn:aws:s3:::bucket"},
		"Read":                     {"one", "two", "arn:aws:s3:::bucket/tuf/example.org/x/*"},
		"Create":                   {"one", "two", "arn:aws:s3:::bucket/tuf/example.org/x/targets/*"},
		"UploadInParts":            {"one", "two", "arn:aws:s3:::bucket/tuf/example.org/x/targets/*"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
