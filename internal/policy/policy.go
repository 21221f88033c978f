// Package policy reads the policy documents of selfhost/policies, which are what
// the Terraform module prints, and makes them fit buckets of a test.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Policy is a policy document. Without a Principal in its statements it is one
// for a user or a role.
type Policy struct {
	Version   string
	Statement []Statement
}

// A Statement allows or denies actions.
type Statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Principal *Principal `json:",omitempty"`
	Action    []string
	Resource  []string
}

// A Principal is whom a statement of a bucket's policy is about.
type Principal struct{ AWS []string }

// Places is where the two stores are.
type Places struct{ Public, Inbox Place }

// A Place is a bucket, or a prefix in one.
type Place struct{ Bucket, Prefix string }

const arn = "arn:aws:s3:::"

func (p Place) arn() string {
	return strings.TrimSuffix(arn+p.Bucket+"/"+strings.Trim(p.Prefix, "/"), "/")
}

// The names that the documents have in the place of real ones.
const (
	publicBucket = "PUBLIC"
	inboxBucket  = "INBOX"
	collection   = "example.com/scripts"
)

// Read reads a document from the folder, such as publisher or gc, and puts the buckets and the name of a
// collection into it. Statements with a condition are refused: no server but
// Amazon's knows those of the module.
func Read(folder, document string, at Places, name string) (Policy, error) {
	text, err := os.ReadFile(filepath.Join(folder, document+".json"))
	if err != nil {
		return Policy{}, err
	}
	filled := strings.NewReplacer(
		`"`+arn+publicBucket+`"`, `"`+arn+at.Public.Bucket+`"`, arn+publicBucket, at.Public.arn(),
		`"`+arn+inboxBucket+`"`, `"`+arn+at.Inbox.Bucket+`"`, arn+inboxBucket, at.Inbox.arn(),
		"/"+collection+"/", "/"+name+"/",
	).Replace(string(text))
	d := json.NewDecoder(strings.NewReader(filled))
	d.DisallowUnknownFields()
	var p Policy
	if err := d.Decode(&p); err != nil {
		return Policy{}, fmt.Errorf("read policy %s: %w", document, err)
	}
	return p, nil
}

// For is the part of a policy that is about one bucket, as a policy of that
// bucket for the principals, for servers whose users have no policies of their
// own.
func (p Policy) For(bucket string, principals ...string) []Statement {
	var statements []Statement
	for _, s := range p.Statement {
		var resources []string
		for _, r := range s.Resource {
			if r == arn+bucket || strings.HasPrefix(r, arn+bucket+"/") {
				resources = append(resources, r)
			}
		}
		if len(resources) > 0 {
			s.Resource, s.Principal = resources, &Principal{AWS: principals}
			statements = append(statements, s)
		}
	}
	return statements
}

// Served lets everybody read the objects of a bucket.
func Served(bucket string) []Statement {
	everybody := &Principal{AWS: []string{"*"}}
	return []Statement{{Effect: "Allow", Principal: everybody, Action: []string{"s3:GetObject"}, Resource: []string{arn + bucket + "/*"}}}
}

// Bucket is the policy of a bucket.
func Bucket(statements ...[]Statement) Policy {
	all := Policy{Version: "2012-10-17"}
	for _, s := range statements {
		all.Statement = append(all.Statement, s...)
	}
	return all
}

// JSON is the document.
func (p Policy) JSON() string {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		panic("policy: " + err.Error()) // strings: cannot fail
	}
	return strings.TrimSpace(text.String())
}
