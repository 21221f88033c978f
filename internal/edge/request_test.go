package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A message is a request or a response, as CloudFront's functions have them.
type message struct {
	Method     string           `json:"method,omitempty"`
	URI        string           `json:"uri,omitempty"`
	Query      map[string]value `json:"querystring,omitempty"`
	Headers    map[string]value `json:"headers,omitempty"`
	StatusCode int              `json:"statusCode,omitempty"`
	Status     string           `json:"statusDescription,omitempty"`
}

type value struct {
	Value string `json:"value"`
}

// preflight is what a browser asks before it reads from another origin with
// headers of its own.
var preflight = map[string]value{
	"origin":                         {"https://example.org"},
	"access-control-request-method":  {"GET"},
	"access-control-request-headers": {"x-requested-with"},
}

// TestRequest runs request.js as CloudFront does: what is a file passes, with
// plus signs as S3 reads them and nothing else changed; folders and listings do
// not, and preflights are answered.
func TestRequest(t *testing.T) {
	missing := message{StatusCode: 404, Status: "Not Found"}
	allowed := message{StatusCode: 204, Status: "No Content", Headers: cors(t)}
	pass := func(method, uri string) message { return message{Method: method, URI: uri} }
	list := map[string]value{"list-type": {"2"}, "prefix": {"example.com/"}}
	tests := []struct {
		name      string
		ask, want message
	}{
		{"the bucket", pass("GET", "/"), missing},
		{"the bucket, by HEAD", pass("HEAD", "/"), missing},
		{"a listing", message{Method: "GET", URI: "/", Query: list}, missing},
		{"a folder", pass("GET", "/example.com/scripts/"), missing},
		{"a listing of a folder", message{Method: "GET", URI: "/example.com/scripts/", Query: list}, missing},
		{"a folder below a plus sign", pass("GET", "/a+b/"), missing},
		{"a file", pass("GET", "/example.com/scripts/metadata/timestamp.json"), pass("GET", "/example.com/scripts/metadata/timestamp.json")},
		{"a file, by HEAD", pass("HEAD", "/example.com/scripts/metadata/1.root.json"), pass("HEAD", "/example.com/scripts/metadata/1.root.json")},
		{"a file with a query", message{Method: "GET", URI: "/c/targets/x", Query: list}, message{Method: "GET", URI: "/c/targets/x", Query: list}},
		{"a file for another origin", message{Method: "GET", URI: "/c/targets/x", Headers: preflight}, message{Method: "GET", URI: "/c/targets/x", Headers: preflight}},
		{"no slash at the end", pass("GET", "/example.com"), pass("GET", "/example.com")},
		{"plus signs", pass("GET", "/c/targets/g++_1.0+b1.deb"), pass("GET", "/c/targets/g%2B%2B_1.0%2Bb1.deb")},
		{"plus signs that are escaped", pass("GET", "/c/targets/g%2B%2B"), pass("GET", "/c/targets/g%2B%2B")},
		{"slashes that are escaped", pass("GET", "/c/targets/sub%2Fdir%2Fa+b"), pass("GET", "/c/targets/sub%2Fdir%2Fa%2Bb")},
		{"spaces and what is not ASCII", pass("GET", "/c/targets/a%20b%C3%BC"), pass("GET", "/c/targets/a%20b%C3%BC")},
		{"a preflight", message{Method: "OPTIONS", URI: "/c/metadata/1.root.json", Headers: preflight}, allowed},
		{"a preflight of a folder", message{Method: "OPTIONS", URI: "/c/", Headers: preflight}, allowed},
		{"OPTIONS", pass("OPTIONS", "/c/targets/a+b"), allowed},
	}
	var asked []message
	for _, tt := range tests {
		asked = append(asked, tt.ask)
	}
	for i, got := range handle(t, asked) {
		if diff := cmp.Diff(tests[i].want, got); diff != "" {
			t.Errorf("%s: %s", tests[i].name, diff)
		}
	}
}

const runner = `
const fs = require("fs");
const handler = new Function(process.argv[1] + "; return handler;")();
const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const context = { eventType: "viewer-request" };
console.log(JSON.stringify(asked.map((request) => handler({ version: "1.0", context, request }))));
`

// handle is what the function makes of each request.
func handle(t *testing.T, asked []message) (got []message) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node to run it with")
	}
	requests, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("../../terraform/request.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "-e", runner, string(code))
	cmd.Stdin = bytes.NewReader(requests)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(asked) {
		t.Fatalf("%d answers to %d requests: %v: %s", len(got), len(asked), err, out)
	}
	return got
}

// cors is the headers of a preflight's answer that the headers policy of the
// module gives to all other answers.
func cors(t *testing.T) map[string]value {
	t.Helper()
	text, err := os.ReadFile("../../terraform/cdn.tf")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "cors_config {")
	headers := map[string]value{}
	for header, name := range map[string]string{"origin": "origins", "methods": "methods", "headers": "headers"} {
		items := find(t, block, fmt.Sprintf(`access_control_allow_%s {\s+items = \[(.*)\]`, name))
		headers["access-control-allow-"+header] = value{strings.ReplaceAll(items, `"`, "")}
	}
	headers["access-control-max-age"] = value{find(t, block, `access_control_max_age_sec += (\d+)`)}
	return headers
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("terraform/cdn.tf has no %s", pattern)
	}
	return found[1]
}
