// Package policy says in the language of IAM who may do what with the two
// stores. It is the same for Amazon S3 and for servers that speak its policies.
package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"publisher/repo"
)

// A Policy is a policy document. Without a Principal in its statements it is one
// for a user or a role.
type Policy struct {
	Version   string
	Statement []Statement
}

// A Statement allows or denies actions.
type Statement struct {
	Effect    string
	Principal *Principal `json:",omitempty"`
	Action    []string
	Resource  []string
	Condition map[string]map[string]string `json:",omitempty"`
}

// A Principal is whom a statement of a bucket's policy is about.
type Principal struct{ AWS []string }

// Places is where the two stores are. Buckets, prefixes and the names of
// collections may be placeholders for others to fill in.
type Places struct {
	Public, Inbox Place

	// Conditional adds what makes Amazon S3 refuse a write without If-None-Match
	// or If-Match: with it, whoever may create an object may not replace it. Other
	// servers refuse the condition keys s3:if-none-match, s3:if-match and
	// s3:ObjectCreationOperation, or ignore them: versitygw does not take a policy
	// that has them. There a publisher can replace the targets, parts and
	// submissions of their own collection, which ends in a refused submission or in
	// a target that no client accepts; metadata they cannot write either way.
	Conditional bool
}

// A Place is a bucket, or a prefix in one.
type Place struct{ Bucket, Prefix string }

const arn = "arn:aws:s3:::"

func (p Place) bucket() string { return arn + p.Bucket }

// objects is the ARN of what matches a pattern.
func (p Place) objects(pattern string) string {
	if prefix := strings.Trim(p.Prefix, "/"); prefix != "" {
		pattern = prefix + "/" + pattern
	}
	return p.bucket() + "/" + pattern
}

// ulid matches 26 characters, as names of submissions have.
var ulid = strings.Repeat("?", 26)

// Publisher is for whoever publishes one collection through an online signer,
// delegates too: they create targets, submissions, drafts and signatures of
// drafts, read what is public, the drafts and their receipts, and delete nothing.
//
// They may list both buckets, for S3 says of a missing object that it is missing
// to those alone who may; that shows the names of other collections' objects,
// not what is in them. To invoke the signer is another permission,
// lambda:InvokeFunction, which servers other than Amazon's do not know.
func Publisher(at Places, collection string) Policy {
	created := []string{
		at.Public.objects(repo.TargetsDir(collection) + "/*"),
		at.Inbox.objects(repo.PartKey(collection, "*")),
		at.Inbox.objects(repo.SubmissionKey(collection, ulid)),
		at.Inbox.objects(repo.DraftsDir(collection) + "*"),
	}
	answers := []string{at.Inbox.objects(repo.QuarantineKey(collection, ulid)), at.Inbox.objects(repo.ReceiptsDir(collection) + "*")}
	statements := []Statement{
		list(at),
		allow([]string{"s3:GetObject"}, slices.Concat([]string{at.Public.objects(collection + "/*")}, created[1:], answers)...),
		allow([]string{"s3:PutObject"}, created...),
		allow([]string{"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}, created[0]),
	}
	if at.Conditional {
		statements = append(statements, createOnly(created...))
	}
	return document(statements)
}

// Signer is for the online signer: it alone writes metadata and answers
// submissions, and submissions are all that it deletes, beside notes of its own.
func Signer(at Places) Policy {
	slots := at.Public.objects(repo.MetadataDir("*") + "/*.*.json")
	timestamp := at.Public.objects(repo.TimestampKey("*"))
	notes := at.Inbox.objects(repo.SignerDir + "*")
	written := []string{
		at.Inbox.objects(repo.ReceiptsDir("*") + "*"),
		at.Inbox.objects("*/keys/*"),
		at.Inbox.objects(repo.QuarantineKey("*", ulid)),
	}
	statements := []Statement{
		list(at),
		allow([]string{"s3:GetObject"}, at.Public.objects("*"), at.Inbox.objects("*")),
		allow([]string{"s3:PutObject"}, append([]string{slots, timestamp, notes}, written...)...),
		allow([]string{"s3:DeleteObject"}, at.Inbox.objects(repo.SubmissionKey("*", ulid)), notes),
	}
	if at.Conditional {
		statements = append(statements, createOnly(append([]string{slots}, written...)...), swapOnly(timestamp, notes))
	}
	return document(statements)
}

// list is what tells missing from forbidden. A condition on the prefix would
// take that away again: a request for an object has none.
func list(at Places) Statement {
	return allow([]string{"s3:ListBucket"}, at.Public.bucket(), at.Inbox.bucket())
}

func allow(actions []string, resources ...string) Statement {
	return Statement{Effect: "Allow", Action: actions, Resource: resources}
}

// createOnly denies to write what is there. The parts of a multipart upload have
// no condition, its completion has.
func createOnly(resources ...string) Statement {
	return Statement{
		Effect: "Deny", Action: []string{"s3:PutObject"}, Resource: resources,
		Condition: map[string]map[string]string{
			"Null": {"s3:if-none-match": "true"},
			"Bool": {"s3:ObjectCreationOperation": "true"},
		},
	}
}

// swapOnly denies to write over a version that the writer has not named.
func swapOnly(resources ...string) Statement {
	return Statement{
		Effect: "Deny", Action: []string{"s3:PutObject"}, Resource: resources,
		Condition: map[string]map[string]string{"Null": {"s3:if-none-match": "true", "s3:if-match": "true"}},
	}
}

func document(statements []Statement) Policy {
	return Policy{Version: "2012-10-17", Statement: statements}
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

// Bucket is the policy of a bucket.
func Bucket(statements ...[]Statement) Policy {
	var all []Statement
	for _, s := range statements {
		all = append(all, s...)
	}
	return document(all)
}

// JSON is the document, with placeholders as they are.
func (p Policy) JSON() string {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		panic("policy: " + err.Error()) // strings: cannot fail
	}
	return strings.TrimSpace(text.String())
}
