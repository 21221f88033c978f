package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	gocmp "github.com/google/go-cmp/cmp"

	"publisher/internal/interop"
	"publisher/internal/kmsfake"
	"publisher/internal/policy"
	"publisher/internal/testserver"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
)

// others is somebody else's collection, whose name begins like that of ours.
const others = scripts + "-2"

// A grant is a document of selfhost/policies, and the collection that it is for.
type grant struct{ document, collection string }

// everybody is whom the documents speak of.
var everybody = map[string]grant{
	"publisher": {"publisher", scripts},
	"other":     {"publisher", others},
	"delegate":  {"delegate", scripts},
	"publish":   {"signer-publish", ""},
	"refresh":   {"signer-refresh", ""},
	"collector": {"gc", ""},
}

// An authority is two buckets, and users who may do something with them.
type authority struct {
	places        policy.Places
	public, inbox testserver.S3 // the owner of the buckets, who is none of the following
	users         map[string]testserver.S3
	kms           *kmsfake.KMS
	keys          string // how the signer keeps its own
}

func newAuthority(t *testing.T, server testserver.S3) *authority {
	a := &authority{public: server, inbox: server.NewBucket(t), users: map[string]testserver.S3{}, kms: kmsfake.Start(t)}
	a.places.Public = policy.Place{Bucket: a.public.Bucket, Prefix: prefix}
	a.places.Inbox = policy.Place{Bucket: a.inbox.Bucket, Prefix: inboxPrefix}
	a.keys = sealedKeys(a.kms)
	nobody := server
	nobody.AccessKey, nobody.SecretKey = "", ""
	a.users["nobody"] = nobody
	return a
}

func (a *authority) read(t *testing.T, g grant) policy.Policy {
	t.Helper()
	p, err := policy.Read("../selfhost/policies", g.document, a.places, cmp.Or(g.collection, scripts))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// byBuckets makes users of versitygw, who get their rights from the policies of
// the buckets.
func (a *authority) byBuckets(t *testing.T, grants map[string]grant) {
	t.Helper()
	for name := range grants {
		a.users[name] = a.public.NewUser(t, name)
	}
	for _, bucket := range []string{a.public.Bucket, a.inbox.Bucket} {
		var all [][]policy.Statement
		for name, g := range grants {
			all = append(all, a.read(t, g).For(bucket, a.users[name].AccessKey))
		}
		if bucket == a.public.Bucket {
			all = append(all, policy.Served(bucket))
		}
		document := policy.Bucket(all...).JSON()
		in := &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &document}
		if _, err := a.public.Client().PutBucketPolicy(t.Context(), in); err != nil {
			t.Fatalf("%v: %s", err, document)
		}
	}
}

// byUsers makes users of MinIO, each with a policy of their own.
func (a *authority) byUsers(t *testing.T, grants map[string]grant) {
	t.Helper()
	for name, g := range grants {
		a.users[name] = a.public.NewMinIOUser(t, name, a.read(t, g).JSON())
	}
	publish(t, a.public.Client(), a.public.Bucket)
}

// as is how a user reaches the public store, and clients do.
func (a *authority) as(t *testing.T, name string) store {
	return store{
		url: s3Address(a.public).url, env: s3Address(a.users[name]).env,
		public: inFrontOf(t, a.public.Endpoint) + "/" + a.public.Bucket + "/" + (&url.URL{Path: prefix}).EscapedPath(),
	}
}

// function starts the signer, with a user's credentials, as the function that
// does only that.
func (a *authority) function(t *testing.T, user, only string) *deployment {
	t.Helper()
	d := &deployment{kms: a.kms, served: store{url: s3Address(a.public).url}, url: inboxAddress(a.inbox)}
	d.env = append(s3Address(a.users[user]).env,
		"PUBLISHER_STORE="+d.served.url, "PUBLISHER_INBOX="+d.url, "PUBLISHER_CREATE=example.com",
		"PUBLISHER_FUNCTION="+only, "AWS_ENDPOINT_URL_KMS="+d.kms.Endpoint)
	d.start(t, a.keys)
	return d
}

// online is what the function is to those who publish.
func (a *authority) online(d *deployment) []string {
	signer := "lambda:signer?" + url.Values{"region": {a.public.Region}, "endpoint": {d.fn.Endpoint}}.Encode()
	return []string{"--inbox", d.url, "--online", signer}
}

// TestAuthority: publisher, delegate, both functions of the signer and the
// collector of garbage can do their work with what the documents give them, and
// nothing else.
func TestAuthority(t *testing.T) {
	a := newAuthority(t, testserver.VersityGW(t, "--sidecar", t.TempDir()))
	a.byBuckets(t, everybody)
	a.test(t)

	conditions := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
		"Resource": "arn:aws:s3:::%s/*", "Condition": {"Null": {"s3:if-none-match": "true"}}}]}`, a.public.Bucket)
	in := &s3.PutBucketPolicyInput{Bucket: &a.public.Bucket, Policy: &conditions}
	if _, err := a.public.Client().PutBucketPolicy(t.Context(), in); err == nil {
		t.Error("versitygw knows the conditions of Amazon S3: have the documents of selfhost/policies made with them")
	}
}

// TestAuthorityMinIO is TestAuthority with policies of users.
func TestAuthorityMinIO(t *testing.T) {
	a := newAuthority(t, testserver.MinIO(t))
	a.byUsers(t, everybody)
	a.test(t)
}

func (a *authority) test(t *testing.T) {
	publishes, refreshes := a.function(t, "publish", lambda.Publishing), a.function(t, "refresh", lambda.Refreshing)
	a.publishes(t, publishes)
	a.refreshes(t, publishes, refreshes)
	a.requests(t)
}

// publishes tells the story of a collection that is started, published to by its
// owner and by a delegate, rotated, read, and rid of its garbage by those who may
// do no more than the documents say.
func (a *authority) publishes(t *testing.T, d *deployment) {
	by := a.as(t, "publisher")
	o := newOwner(t, by)
	root := o.init(t, scripts, a.online(d)...)
	tree, there := t.TempDir(), files{"hello.txt": "hello", "sub dir/tool": "a tool"}
	there.write(t, tree)
	o.run(t, "add", scripts, "-R", tree, "--publish")
	o.run(t, "key", "rotate", scripts, "snapshot", "-r", "--yes")
	o.run(t, append([]string{"delegation", "add", scripts, "targets/releases", "--paths", "releases/*", "-p"}, o.keys(t, scripts, "targets/releases", 1)...)...)
	delegate := o.another(t)
	delegate.store = a.as(t, "delegate")
	for _, name := range []string{"releases/one", "releases/two"} {
		delegate.run(t, "add", scripts, name, filepath.Join(tree, "hello.txt"), "-r", "targets/releases", "-p")
	}
	o.run(t, "remove", scripts, "sub dir/tool", "--publish")
	delete(there, "sub dir/tool")
	o.run(t, "submissions", scripts)

	collector := o.another(t)
	collector.store = a.as(t, "collector")
	a.collects(t, collector)
	delegate.run(t, "remove", scripts, "releases/two", "-r", "targets/releases", "-p")

	job := pull(t, by, scripts, root, there.sums())
	for _, c := range interop.Clients(t) {
		if err := c.Pull(t.Context(), job); err != nil {
			t.Error(err)
		}
	}
	if n := o.check(t, scripts); n != len(there)+1 {
		t.Errorf("check counts %d targets, want %d", n, len(there)+1)
	}
}

// collects: forty days from now all that was replaced is garbage, also that of an
// attempt to make the collection that never came to anything.
func (a *authority) collects(t *testing.T, o *owner) {
	t.Helper()
	put(t, openAs(t, a.public, s3Address(a.public).url), repo.ProbeKey(scripts, "left"), "a probe")
	day := time.Now().Add(40 * 24 * time.Hour).Format(time.RFC3339)
	var done struct {
		Garbage []string `json:"garbage"`
		Removed int      `json:"removed"`
	}
	out := o.run(t, "gc", scripts, "--yes", "--json", "--now", day)
	if err := json.Unmarshal(out, &done); err != nil {
		t.Fatalf("gc printed %s: %v", out, err)
	}
	kinds := map[string]bool{}
	for _, key := range done.Garbage {
		kind, _, _ := strings.Cut(strings.TrimPrefix(key, "inbox/"), "/")
		kinds[kind] = true
	}
	want := map[string]bool{"metadata": true, "targets": true, "parts": true, "receipts": true}
	if diff := gocmp.Diff(want, kinds); diff != "" || done.Removed != len(done.Garbage) {
		t.Errorf("gc removed %d of %d objects of other kinds than there are: %s", done.Removed, len(done.Garbage), diff)
	}
}

// refreshes: a collection whose signatures last for seconds is kept alive by the
// function that refreshes.
func (a *authority) refreshes(t *testing.T, publishes, refreshes *deployment) {
	o := newOwner(t, a.as(t, "other"))
	o.init(t, others, append(a.online(publishes), "--expires", "snapshot=30s,timestamp=30s")...)
	tree := t.TempDir()
	files{"tool": "a tool"}.write(t, tree)
	o.run(t, "add", others, "-R", tree, "--publish")
	for refreshed := 0; refreshed == 0; {
		out, err := refreshes.invoke(t.Context(), []byte(scheduled("aws.scheduler")))
		if err != nil {
			t.Fatal(err)
		}
		var counts lambda.Counts
		if err := json.Unmarshal(out, &counts); err != nil {
			t.Fatal(err)
		}
		refreshed = counts.Refreshed
	}
	if n := o.check(t, others); n != 1 {
		t.Errorf("check counts %d targets", n)
	}
}

// openAs opens a store as a user, whoever else does.
func openAs(t *testing.T, user testserver.S3, address string) storage.Store {
	t.Setenv("AWS_ACCESS_KEY_ID", user.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", user.SecretKey)
	return openS3(t, address)
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
	public, inbox := openAs(t, a.public, s3Address(a.public).url), openAs(t, a.public, inboxAddress(a.inbox))
	publisher, other, delegate, nobody := a.users["publisher"], a.users["other"], a.users["delegate"], a.users["nobody"]
	publish, refresh, collector := a.users["publish"], a.users["refresh"], a.users["collector"]
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
	released, known := repo.TargetsDir(scripts)+"/releases/x", repo.KnownKey(scripts)
	quarantined, slot := repo.QuarantineKey(scripts, waiting), repo.SlotKey(scripts, tuf.RoleSnapshot, 99)

	var refused, allowed []attempt
	refuse := func(rows []attempt) { refused = append(refused, rows...) }
	allow := func(rows []attempt) { allowed = append(allowed, rows...) }

	// A publisher and metadata.
	for _, verb := range []string{"put", "swap", "delete", "deletes", "copy", "multipart"} {
		refuse(out(publisher, verb, timestamp, root))
	}
	refuse(out(publisher, "create", slot, repo.SlotKey(scripts, tuf.RoleRoot, 99), repo.MetadataDir(scripts)+"/x", repo.TimestampKey(others)+"x"))
	refuse(out(publisher, "create", "index.html", scripts+"/index.html", repo.TargetsDir(scripts+"/sub")+"/x"))
	// A publisher and targets.
	refuse(out(publisher, "delete", target, theirTarget))
	refuse(out(publisher, "put", theirTarget))
	refuse(out(publisher, "create", repo.TargetsDir(others)+"/x"))
	refuse(out(publisher, "multipart", repo.TargetsDir(others)+"/x"))
	// A publisher and the inbox.
	refuse(in(publisher, "get", key, theirKey, theirPart, theirReceipt, theirs))
	for _, verb := range []string{"put", "delete"} {
		refuse(in(publisher, verb, key, receipt, theirKey, theirReceipt, theirPart, theirs))
	}
	refuse(in(publisher, "deletes", submission, theirs))
	refuse(in(publisher, "delete", submission, part))
	refuse(in(publisher, "create", repo.OnlineKeyKey(scripts, tuf.RoleSnapshot, "x"), repo.ReceiptKey(scripts, "x"), repo.PartKey(others, "x"), repo.SubmissionKey(others, another), quarantined))
	draft := func(collection string) []string {
		id := strings.Repeat("d", 64)
		return []string{repo.DraftKey(collection, id), repo.DraftSignatureKey(collection, id, id), repo.DraftDiscardedKey(collection, id)}
	}
	refuse(in(publisher, "create", draft(others)...))
	refuse(in(publish, "create", draft(scripts)...))
	refuse(in(publisher, "delete", repo.DraftKey(scripts, strings.Repeat("e", 64))))
	refuse(in(publisher, "policy", ""))
	refuse(out(publisher, "policy", ""))
	// Everybody.
	refuse(in(nobody, "get", key, receipt, part, submission))
	refuse(in(nobody, "list", ""))
	refuse(out(nobody, "put", timestamp, target))
	refuse(out(nobody, "delete", timestamp, target))
	// The signer.
	refuse(out(publish, "delete", timestamp, root, target))
	refuse(out(publish, "put", target))
	refuse(out(publish, "create", repo.TargetsDir(scripts)+"/x", "index.html", repo.TargetsDir(scripts)+"/metadata/1.x.json"))
	refuse(in(publish, "delete", key, receipt, part))
	refuse(in(publish, "create", repo.SubmissionKey(scripts, another), repo.PartKey(scripts, "x")))
	refuse(in(publish, "policy", ""))
	refuse(out(publish, "create", repo.GarbageKey(scripts)))
	// The function that refreshes.
	refuse(out(refresh, "create", repo.SlotKey(scripts, tuf.RoleTargets, 99), repo.SlotKey(scripts, tuf.RoleRoot, 99), repo.TargetsDir(scripts)+"/z"))
	refuse(out(refresh, "create", repo.TargetsDir(scripts)+"/metadata/1.snapshot.json"))
	refuse(out(refresh, "delete", timestamp, root, target))
	refuse(in(refresh, "get", submission, part, receipt))
	refuse(in(refresh, "create", repo.ReceiptKey(scripts, "z"), repo.OnlineKeyKey(scripts, tuf.RoleSnapshot, "z")))
	refuse(in(refresh, "delete", submission, known))
	// A delegate.
	refuse(out(delegate, "create", repo.TargetsDir(scripts)+"/elsewhere", repo.TargetsDir(others)+"/releases/x", slot))
	refuse(out(delegate, "multipart", repo.TargetsDir(scripts)+"/elsewhere"))
	refuse(out(delegate, "delete", target, released))
	refuse(in(delegate, "get", key, theirReceipt))
	refuse(in(delegate, "create", append(draft(others), known+"x")...))
	refuse(in(delegate, "delete", part, submission))
	// The collector of garbage.
	refuse(out(collector, "delete", timestamp, root))
	refuse(out(collector, "put", timestamp, root, target))
	refuse(out(collector, "create", slot, repo.TargetsDir(scripts)+"/w"))
	refuse(in(collector, "get", key, known))
	refuse(in(collector, "delete", key, known, submission))
	refuse(in(collector, "create", repo.PartKey(scripts, "w"), repo.ReceiptKey(scripts, "w")))
	// The signer's notes.
	refuse(in(publisher, "get", known))
	refuse(in(publisher, "create", known+"x"))
	refuse(in(publisher, "delete", known))

	allow(out(publisher, "get", timestamp, root, target))
	allow(out(publisher, "missing", slot, repo.TargetsDir(scripts)+"/x"))
	allow(out(publisher, "create", repo.TargetsDir(scripts)+"/x"))
	allow(out(publisher, "multipart", repo.TargetsDir(scripts)+"/y"))
	allow(in(publisher, "get", receipt, part, submission))
	allow(in(publisher, "missing", repo.ReceiptKey(scripts, "x")))
	allow(in(publisher, "create", repo.PartKey(scripts, "x"), repo.SubmissionKey(scripts, another)))
	allow(in(publisher, "create", draft(scripts)...))
	allow(in(publisher, "get", draft(scripts)...))
	allow(in(publisher, "list", repo.ReceiptsDir(scripts), repo.DraftsDir(scripts)))
	allow(in(other, "get", theirReceipt, theirPart, theirs))
	allow(out(nobody, "get", timestamp, root, target))
	allow(out(publish, "get", timestamp, root, target))
	allow(out(publish, "missing", slot))
	allow(out(publish, "create", slot))
	allow(out(publish, "swap", timestamp))
	allow(in(publish, "list", ""))
	allow(in(publish, "get", key, receipt, part, submission))
	allow(in(publish, "create", quarantined, repo.OnlineKeyKey(scripts, tuf.RoleSnapshot, "x"), repo.ReceiptKey(scripts, "x")))
	allow(in(publish, "swap", known))
	allow(in(publish, "delete", submission, theirs, known))
	allow(out(refresh, "missing", repo.SlotKey(scripts, tuf.RoleRoot, 99)))
	allow(out(refresh, "create", repo.SlotKey(scripts, tuf.RoleSnapshot, 98)))
	allow(out(refresh, "swap", timestamp))
	allow(in(refresh, "get", key, theirKey))
	allow(in(refresh, "create", repo.ProgressKey("refresh")))
	allow(out(delegate, "get", timestamp, target))
	allow(out(delegate, "create", released))
	allow(out(delegate, "multipart", released+"y"))
	allow(in(delegate, "create", repo.PartKey(scripts, "v"), repo.DraftSignatureKey(scripts, "v", "v")))
	allow(in(delegate, "missing", repo.SubmissionKey(scripts, another[:25]+"2")))
	allow(out(collector, "create", repo.GarbageKey(scripts)))
	allow(out(collector, "delete", repo.GarbageKey(scripts), slot, repo.ProbeKey(scripts, "x"), target))
	allow(in(collector, "get", part, receipt))
	allow(in(collector, "delete", part, receipt, draft(scripts)[0]))

	before := []map[string]string{contents(t, public), contents(t, inbox)}
	for _, r := range refused {
		if done, err := r.run(t.Context()); done || err != nil {
			t.Errorf("%v: done %t, %v, and should be refused", r, done, err)
		}
	}
	if diff := gocmp.Diff(before, []map[string]string{contents(t, public), contents(t, inbox)}); diff != "" {
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
