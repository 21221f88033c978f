package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"publisher/internal/interop"
	"publisher/internal/kmsfake"
	"publisher/internal/policy"
	"publisher/internal/testserver"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// others is somebody else's collection, whose name begins like that of ours.
const others = scripts + "-2"

// An authority is two buckets, and those who may do something with them.
type authority struct {
	places        policy.Places
	public, inbox testserver.S3 // the owner of the buckets, who is none of the following

	signer, publisher, other, nobody testserver.S3
}

func newAuthority(t *testing.T, server testserver.S3) *authority {
	a := &authority{public: server, inbox: server.NewBucket(t), nobody: server}
	a.places.Public = policy.Place{Bucket: a.public.Bucket, Prefix: prefix}
	a.places.Inbox = policy.Place{Bucket: a.inbox.Bucket, Prefix: inboxPrefix}
	return a
}

// TestAuthority: who has been given what a publisher needs publishes through a
// signer that has what it needs, and neither can do more. Users of versitygw get
// their rights from the policies of the buckets.
func TestAuthority(t *testing.T) {
	a := newAuthority(t, testserver.VersityGW(t))
	a.signer, a.publisher, a.other = a.public.NewUser(t, "signer"), a.public.NewUser(t, "publisher"), a.public.NewUser(t, "other")
	for _, bucket := range []string{a.public.Bucket, a.inbox.Bucket} {
		document := policy.Bucket(
			policy.Signer(a.places).For(bucket, a.signer.AccessKey),
			policy.Publisher(a.places, scripts).For(bucket, a.publisher.AccessKey),
			policy.Publisher(a.places, others).For(bucket, a.other.AccessKey),
		)
		if bucket == a.public.Bucket {
			document.Statement = append(document.Statement, policy.Statement{
				Effect: "Allow", Principal: &policy.Principal{AWS: []string{"*"}},
				Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"},
			})
		}
		in := &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(document.JSON())}
		if _, err := a.public.Client().PutBucketPolicy(t.Context(), in); err != nil {
			t.Fatalf("%v: %s", err, document.JSON())
		}
	}
	a.test(t)

	a.places.Conditional = true
	document := policy.Bucket(policy.Signer(a.places).For(a.public.Bucket, a.signer.AccessKey))
	in := &s3.PutBucketPolicyInput{Bucket: &a.public.Bucket, Policy: aws.String(document.JSON())}
	if _, err := a.public.Client().PutBucketPolicy(t.Context(), in); err == nil {
		t.Error("versitygw knows the conditions of Amazon S3: test with them, and change the comment of Conditional")
	}
}

// TestAuthorityMinIO is TestAuthority with policies of those who ask.
func TestAuthorityMinIO(t *testing.T) {
	a := newAuthority(t, testserver.MinIO(t))
	a.signer = a.public.Assume(t, policy.Signer(a.places).JSON())
	a.publisher = a.public.Assume(t, policy.Publisher(a.places, scripts).JSON())
	a.other = a.public.Assume(t, policy.Publisher(a.places, others).JSON())
	publish(t, a.public.Client(), a.public.Bucket)
	a.test(t)
}

func (a *authority) test(t *testing.T) {
	a.nobody.AccessKey, a.nobody.SecretKey = "", ""
	a.publishes(t)
	a.requests(t)
}

// publishes tells the story of two collections that are started, published to,
// rotated and read by those who may do no more than the policies say.
func (a *authority) publishes(t *testing.T) {
	d := &deployment{kms: kmsfake.Start(t), served: store{url: s3Address(a.public).url}, url: inboxAddress(a.inbox)}
	d.env = append(s3Address(a.signer).env,
		"PUBLISHER_STORE="+d.served.url, "PUBLISHER_INBOX="+d.url, "PUBLISHER_CREATE=example.com",
		"AWS_ENDPOINT_URL_KMS="+d.kms.Endpoint)
	d.start(t, sealedKeys(d.kms))
	signer := "lambda:signer?" + url.Values{"region": {a.public.Region}, "endpoint": {d.fn.Endpoint}}.Encode()
	for collection, as := range map[string]testserver.S3{scripts: a.publisher, others: a.other} {
		by := store{url: d.served.url, env: s3Address(as).env, public: inFrontOf(t, a.public.Endpoint) + "/" + a.public.Bucket + "/" + (&url.URL{Path: prefix}).EscapedPath()}
		o := newOwner(t, by)
		root := o.init(t, collection, "--online", signer, "--inbox", d.url)
		tree, there := t.TempDir(), files{"hello.txt": "hello from " + collection, "sub dir/tool": "a tool of " + collection}
		there.write(t, tree)
		o.run(t, "add", collection, "-R", tree, "--publish")
		o.run(t, "key", "rotate", collection, "snapshot", "-r", "--yes")
		o.run(t, "remove", collection, "sub dir/tool", "--publish")
		delete(there, "sub dir/tool")
		o.run(t, "submissions", collection)
		o.run(t, "refresh", collection)
		job := pull(t, by, collection, root, there.sums())
		job.Dir = t.TempDir()
		for _, c := range interop.Clients(t) {
			if err := c.Pull(t.Context(), job); err != nil {
				t.Error(err)
			}
		}
		if n := o.check(t, collection); n != len(there) {
			t.Errorf("check counts %d targets of %s, want %d", n, collection, len(there))
		}
	}
}

// inboxAddress is that of an inbox in a bucket.
func inboxAddress(s testserver.S3) string {
	query := url.Values{"region": {s.Region}, "endpoint": {s.Endpoint}}
	return (&url.URL{Scheme: "s3", Host: s.Bucket, Path: "/" + inboxPrefix, RawQuery: query.Encode()}).String()
}

// An attempt is a request to a bucket, by somebody.
type attempt struct {
	as   testserver.S3
	verb string
	key  string // of an object of the bucket, its prefix included
}

// requests holds the servers to every line of the policies.
func (a *authority) requests(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", a.public.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", a.public.SecretKey)
	public, inbox := openS3(t, s3Address(a.public).url), openS3(t, inboxAddress(a.inbox))
	for _, c := range []string{scripts, others} {
		// What is there for a moment only.
		put(t, inbox, repo.SubmissionKey(c, waiting), "a submission")
		put(t, inbox, repo.DraftKey(c, strings.Repeat("e", 64)), "a draft")
	}
	in := func(as testserver.S3, verb string, keys ...string) (all []attempt) {
		as.Bucket = a.inbox.Bucket
		for _, key := range keys {
			all = append(all, attempt{as, verb, inboxPrefix + "/" + key})
		}
		return all
	}
	out := func(as testserver.S3, verb string, keys ...string) (all []attempt) {
		as.Bucket = a.public.Bucket
		for _, key := range keys {
			all = append(all, attempt{as, verb, prefix + "/" + key})
		}
		return all
	}

	timestamp, root := repo.TimestampKey(scripts), repo.SlotKey(scripts, tuf.RoleRoot, 1)
	target, theirTarget := anyOf(t, public, repo.TargetsDir(scripts)+"/"), anyOf(t, public, repo.TargetsDir(others)+"/")
	key, theirKey := anyOf(t, inbox, repo.OnlineKeysDir(scripts, tuf.RoleSnapshot)), anyOf(t, inbox, repo.OnlineKeysDir(others, tuf.RoleTimestamp))
	receipt, theirReceipt := anyOf(t, inbox, repo.ReceiptsDir(scripts)), anyOf(t, inbox, repo.ReceiptsDir(others))
	part, theirPart := anyOf(t, inbox, repo.PartKey(scripts, "")), anyOf(t, inbox, repo.PartKey(others, ""))
	submission, theirs := repo.SubmissionKey(scripts, waiting), repo.SubmissionKey(others, waiting)
	quarantined, slot := repo.QuarantineKey(scripts, waiting), repo.SlotKey(scripts, tuf.RoleSnapshot, 99)

	var refused, allowed []attempt
	refuse := func(rows []attempt) { refused = append(refused, rows...) }
	allow := func(rows []attempt) { allowed = append(allowed, rows...) }

	// A publisher and metadata.
	for _, verb := range []string{"put", "swap", "delete", "deletes", "copy", "multipart"} {
		refuse(out(a.publisher, verb, timestamp, root))
	}
	refuse(out(a.publisher, "create", slot, repo.SlotKey(scripts, tuf.RoleRoot, 99), repo.MetadataDir(scripts)+"/x", repo.TimestampKey(others)+"x"))
	refuse(out(a.publisher, "create", "index.html", scripts+"/index.html", repo.TargetsDir(scripts+"/sub")+"/x"))
	// A publisher and targets.
	refuse(out(a.publisher, "delete", target, theirTarget))
	refuse(out(a.publisher, "put", theirTarget))
	refuse(out(a.publisher, "create", repo.TargetsDir(others)+"/x"))
	refuse(out(a.publisher, "multipart", repo.TargetsDir(others)+"/x"))
	// A publisher and the inbox.
	refuse(in(a.publisher, "get", key, theirKey, theirPart, theirReceipt, theirs))
	for _, verb := range []string{"put", "delete"} {
		refuse(in(a.publisher, verb, key, receipt, theirKey, theirReceipt, theirPart, theirs))
	}
	refuse(in(a.publisher, "deletes", submission, theirs))
	refuse(in(a.publisher, "delete", submission, part))
	refuse(in(a.publisher, "create", repo.OnlineKeyKey(scripts, tuf.RoleSnapshot, "x"), repo.ReceiptKey(scripts, "x"), repo.PartKey(others, "x"), repo.SubmissionKey(others, another), quarantined))
	draft := func(collection string) []string {
		id := strings.Repeat("d", 64)
		return []string{repo.DraftKey(collection, id), repo.DraftSignatureKey(collection, id, id), repo.DraftDiscardedKey(collection, id)}
	}
	refuse(in(a.publisher, "create", draft(others)...))
	refuse(in(a.signer, "create", draft(scripts)...))
	refuse(in(a.publisher, "delete", repo.DraftKey(scripts, strings.Repeat("e", 64))))
	refuse(in(a.publisher, "policy", ""))
	refuse(out(a.publisher, "policy", ""))
	// Everybody.
	refuse(in(a.nobody, "get", key, receipt, part, submission))
	refuse(in(a.nobody, "list", ""))
	refuse(out(a.nobody, "put", timestamp, target))
	refuse(out(a.nobody, "delete", timestamp, target))
	// The signer.
	refuse(out(a.signer, "delete", timestamp, root, target))
	refuse(out(a.signer, "put", target))
	refuse(out(a.signer, "create", repo.TargetsDir(scripts)+"/x", "index.html"))
	refuse(in(a.signer, "delete", key, receipt, part))
	refuse(in(a.signer, "create", repo.SubmissionKey(scripts, another), repo.PartKey(scripts, "x")))
	refuse(in(a.signer, "policy", ""))

	allow(out(a.publisher, "get", timestamp, root, target))
	allow(out(a.publisher, "missing", slot, repo.TargetsDir(scripts)+"/x"))
	allow(out(a.publisher, "create", repo.TargetsDir(scripts)+"/x"))
	allow(out(a.publisher, "multipart", repo.TargetsDir(scripts)+"/y"))
	allow(in(a.publisher, "get", receipt, part, submission))
	allow(in(a.publisher, "missing", repo.ReceiptKey(scripts, "x")))
	allow(in(a.publisher, "create", repo.PartKey(scripts, "x"), repo.SubmissionKey(scripts, another)))
	allow(in(a.publisher, "create", draft(scripts)...))
	allow(in(a.publisher, "get", draft(scripts)...))
	allow(in(a.publisher, "list", repo.ReceiptsDir(scripts), repo.DraftsDir(scripts)))
	allow(in(a.other, "get", theirReceipt, theirPart, theirs))
	allow(out(a.nobody, "get", timestamp, root, target))
	allow(out(a.signer, "get", timestamp, root, target))
	allow(out(a.signer, "missing", slot))
	allow(out(a.signer, "create", slot))
	allow(out(a.signer, "swap", timestamp))
	allow(in(a.signer, "list", ""))
	allow(in(a.signer, "get", key, receipt, part, submission))
	allow(in(a.signer, "create", quarantined, repo.OnlineKeyKey(scripts, tuf.RoleSnapshot, "x"), repo.ReceiptKey(scripts, "x")))
	allow(in(a.signer, "delete", submission, theirs))

	before := []map[string]string{contents(t, public), contents(t, inbox)}
	for _, r := range refused {
		if done, err := r.run(t.Context()); done || err != nil {
			t.Errorf("%v: done %t, %v, and should be refused", r, done, err)
		}
	}
	if diff := cmp.Diff(before, []map[string]string{contents(t, public), contents(t, inbox)}); diff != "" {
		t.Errorf("refused requests changed something:\n%s", diff)
	}
	for _, r := range allowed {
		if done, err := r.run(t.Context()); !done || err != nil {
			t.Errorf("%v: done %t, %v, and should be allowed", r, done, err)
		}
	}
	t.Logf("%d requests refused, %d allowed", len(refused), len(allowed))
}

// Names of submissions.
const (
	waiting = "01JD3W2Y4N0000000000000000"
	another = "01JD3W2Y4N0000000000000001"
)

func put(t *testing.T, s storage.Store, key, content string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, strings.NewReader(content), storage.Absent); err != nil {
		t.Fatal(err)
	}
}

// anyOf is the name of an object below a prefix.
func anyOf(t *testing.T, s storage.Store, below string) string {
	t.Helper()
	for e, err := range s.List(t.Context(), below) {
		if err != nil {
			t.Fatal(err)
		}
		return e.Key
	}
	t.Fatalf("nothing below %s", below)
	return ""
}

func (r attempt) String() string {
	return fmt.Sprintf("%q %s %s/%s", r.as.AccessKey, r.verb, r.as.Bucket, r.key)
}

// run makes the request. It returns an error for one that was neither done nor
// forbidden.
func (r attempt) run(ctx context.Context) (done bool, err error) {
	err = r.send(ctx, r.as.Client())
	var status interface{ HTTPStatusCode() int }
	switch {
	case err == nil:
		return r.verb != "missing", nil
	case errors.Is(err, errForbidden), errors.As(err, &status) && status.HTTPStatusCode() == 403:
		return false, nil
	case errors.As(err, &status) && status.HTTPStatusCode() == 404 && r.verb == "missing":
		return true, nil
	}
	return false, err
}

func (r attempt) send(ctx context.Context, client *s3.Client) (err error) {
	bucket, key := &r.as.Bucket, &r.key
	body := strings.NewReader("overwritten")
	switch r.verb {
	case "get", "missing":
		_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	case "list":
		_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: key})
	case "put":
		_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: body})
	case "create":
		_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: body, IfNoneMatch: aws.String("*")})
	case "swap":
		err = swap(ctx, client, bucket, key)
	case "copy":
		source := (&url.URL{Path: *bucket + "/" + prefix + "/" + repo.TimestampKey(others)}).EscapedPath()
		_, err = client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: key, CopySource: &source})
	case "multipart":
		_, err = client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	case "delete":
		_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key})
	case "deletes":
		err = deletes(ctx, client, bucket, key)
	case "policy":
		everything := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::%s/*"}]}`, *bucket)
		_, err = client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &everything})
	default:
		err = fmt.Errorf("no verb %s", r.verb)
	}
	return err
}

// swap replaces the version of an object that it has read, as the signer does
// with timestamp.json.
func swap(ctx context.Context, client *s3.Client, bucket, key *string) error {
	old, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return err
	}
	defer old.Body.Close()
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("swapped"), IfMatch: old.ETag})
	return err
}

// deletes names one object in the request that deletes many, which answers 200
// whatever happens.
func deletes(ctx context.Context, client *s3.Client, bucket, key *string) error {
	out, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key}}},
	})
	if err == nil && len(out.Errors) > 0 && aws.ToString(out.Errors[0].Code) == "AccessDenied" {
		return errForbidden
	}
	return err
}

// errForbidden is a 403 inside of a 200.
var errForbidden = errors.New("access denied")
