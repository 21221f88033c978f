package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"

	"publisher/internal/interop"
	"publisher/internal/kmsfake"
	"publisher/internal/lambdaemu"
	"publisher/internal/ownertest"
	"publisher/internal/testserver"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/s3"
)

// bootstrap builds the function, once for all tests.
var bootstrap = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "lambda")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	return lambdaemu.Build(dir, "publisher/lambda/bootstrap")
})

// A deployment is the signer as a function, with its two buckets and KMS.
type deployment struct {
	fn     *lambdaemu.Emulator
	kms    *kmsfake.KMS
	env    []string
	served store  // the public store, as clients see it
	bucket string // of the inbox
	url    string // of the inbox
	public storage.Store
	inbox  storage.Store
	cold   bool // every invocation starts a process
}

// Where the inbox is in its bucket: a name that is encoded in some events.
const inboxPrefix = "in box"

// deploy deploys the function with keys held in the way that keys says.
func deploy(t *testing.T, server testserver.S3, keys func(*kmsfake.KMS) string) *deployment {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", server.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.SecretKey)
	private := server.NewBucket(t)
	inbox := (&url.URL{
		Scheme: "s3", Host: private.Bucket, Path: "/" + inboxPrefix,
		RawQuery: url.Values{"region": {server.Region}, "endpoint": {server.Endpoint}}.Encode(),
	}).String()
	d := &deployment{kms: kmsfake.Start(t), served: throughS3(t, server.NewBucket(t)), bucket: private.Bucket, url: inbox}
	d.public, d.inbox = openS3(t, d.served.url), openS3(t, inbox)
	d.env = append([]string{
		"PUBLISHER_STORE=" + d.served.url, "PUBLISHER_INBOX=" + inbox, "PUBLISHER_CREATE=example.com",
		"AWS_ENDPOINT_URL_KMS=" + d.kms.Endpoint,
	}, d.served.env...)
	d.start(t, keys(d.kms))
	return d
}

// start starts the function anew, with a configuration of its keys that d.env
// may override.
func (d *deployment) start(t *testing.T, keys string) {
	t.Helper()
	bin, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	d.fn = lambdaemu.Start(t, lambdaemu.Function{
		Name: "signer", Bootstrap: bin, Memory: 128, Timeout: time.Minute, Concurrency: 2, Retries: -1,
		Env: append([]string{"PUBLISHER_KEYS=" + keys}, d.env...),
	})
}

func openS3(t *testing.T, address string) storage.Store {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := s3.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// invoke invokes the function as the command line does.
func (d *deployment) invoke(ctx context.Context, event []byte) ([]byte, error) {
	if d.cold {
		d.fn.Recycle()
	}
	name := "signer"
	out, err := d.fn.Client().Invoke(ctx, &awslambda.InvokeInput{FunctionName: &name, Payload: event})
	switch {
	case err != nil:
		return nil, err
	case out.FunctionError != nil:
		return nil, errors.New(string(out.Payload))
	}
	return out.Payload, nil
}

// send delivers an event as the services of AWS do, and waits until it is done.
func (d *deployment) send(t *testing.T, event string) {
	t.Helper()
	if d.cold {
		d.fn.Recycle()
	}
	name := "signer"
	in := &awslambda.InvokeInput{FunctionName: &name, InvocationType: types.InvocationTypeEvent, Payload: []byte(event)}
	if _, err := d.fn.Client().Invoke(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	d.fn.Drain()
	all := d.fn.Invocations()
	if last := all[len(all)-1]; last.Error != "" {
		t.Errorf("%s failed: %+v", event, last)
	}
}

func (d *deployment) owner(t *testing.T, collection string, life repo.Lifetimes) *ownertest.Owner {
	t.Helper()
	o := &ownertest.Owner{
		Collection: collection, Public: d.public, Inbox: d.inbox, Invoke: d.invoke, Now: time.Now, Lifetimes: life,
	}
	if err := o.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

// A puller is every client, with what it remembers.
type puller struct {
	d     *deployment
	owner *ownertest.Owner
	dir   string
	there files
}

func (p *puller) pull(t *testing.T) {
	t.Helper()
	job := pull(t, p.d.served, p.owner.Collection, hexSum(p.owner.Root()), p.there.sums())
	for _, dir := range []string{p.dir, ""} {
		job.Dir = dir
		for _, c := range interop.Clients(t) {
			if err := c.Pull(t.Context(), job); err != nil {
				t.Error(err)
			}
		}
	}
}

// publish publishes through the function, after which every client must get
// what is there, whether it has been there before or not.
func (p *puller) publish(t *testing.T, targets files) {
	t.Helper()
	receipt, err := p.owner.Publish(t.Context(), targets)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Versions[tuf.RoleTargets] == 0 || receipt.Versions[tuf.RoleTimestamp] == 0 {
		t.Errorf("the receipt is %+v", receipt)
	}
	maps.Copy(p.there, targets)
	p.pull(t)
}

const (
	scripts = "example.com/scripts"
	brief   = "example.com/brief"
)

func sealedKeys(k *kmsfake.KMS) string { return "sealed:kms:" + k.NewSymmetric() }

func TestLambdaSealed(t *testing.T) {
	server := testserver.VersityGW(t)
	for name, cold := range map[string]bool{"warm": false, "cold": true} {
		t.Run(name, func(t *testing.T) {
			d := deploy(t, server, sealedKeys)
			d.cold = cold
			tellStory(t, d, func() {})
			for _, c := range d.kms.Calls() {
				collection := c.Context["publisher:collection"]
				if c.Refused != "" || len(c.Context) != 1 || collection != scripts && collection != brief ||
					c.Operation != "GenerateDataKey" && c.Operation != "Decrypt" {
					t.Errorf("asked of KMS: %+v", c)
				}
			}
			if n := d.kms.Count()["GenerateDataKey"]; n != 5 {
				t.Errorf("%d data keys were made for 5 online keys", n)
			}
			for _, inv := range d.fn.Invocations() {
				if cold && inv.Init == 0 || inv.MaxMemory > 128<<20 {
					t.Errorf("not cold, or large: %+v", inv)
				}
			}
		})
	}
}

func TestLambdaKMS(t *testing.T) {
	var first, second string
	d := deploy(t, testserver.VersityGW(t), func(k *kmsfake.KMS) string {
		before, after := k.NewP256(), k.NewP256()
		rest := ",timestamp=" + k.NewP256() + ";collection=" + brief + ",snapshot=" + k.NewP256() + ",timestamp=" + k.NewP256()
		first = "awskms:collection=" + scripts + ",snapshot=" + before + rest
		second = "awskms:collection=" + scripts + ",snapshot=" + after + ",snapshot=" + before + rest
		return first
	})
	tellStory(t, d, func() { d.start(t, second) })
	for _, c := range d.kms.Calls() {
		if c.Refused != "" || c.Operation != "GetPublicKey" && c.Operation != "Sign" {
			t.Errorf("asked of KMS: %+v", c)
		}
	}
	if d.kms.Count()["Sign"] == 0 {
		t.Error("nothing was signed in KMS")
	}
}

// tellStory is the life of a collection. Before its snapshot key is replaced,
// reconfigure is called.
func tellStory(t *testing.T, d *deployment, reconfigure func()) {
	o := d.owner(t, scripts, nil)
	if err := o.Create(t.Context()); err != nil { // again: nobody holds the first root yet
		t.Fatal(err)
	}
	p := &puller{d, o, t.TempDir(), files{}}
	p.publish(t, files{"hello.txt": "hello\n", "a b+c": "encoded"})
	p.publish(t, files{"hello.txt": "hello again\n"})

	reconfigure()
	before := keysOf(t, d, tuf.RoleSnapshot)
	made, err := o.RotateKey(t.Context(), tuf.RoleSnapshot)
	if err != nil {
		t.Fatal(err)
	}
	p.pull(t)
	if after := keysOf(t, d, tuf.RoleSnapshot); after == before || after != made.ID() {
		t.Errorf("the snapshot key was %s, then %s was made, now it is %s", before, made.ID(), after)
	}

	for i, event := range []func(bucket, key string) string{created, queued, bridged} {
		targets := files{fmt.Sprint("event ", i): "left in the inbox"}
		name, id, err := o.Leave(t.Context(), targets)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // events come twice
			d.send(t, event(d.bucket, inboxPrefix+"/"+repo.SubmissionKey(scripts, name)))
		}
		receipt, err := repo.Inbox{Store: d.inbox, Collection: scripts}.Receipt(t.Context(), id)
		if err != nil || receipt.Err() != nil {
			t.Fatalf("event %d: receipt %+v, %v", i, receipt, err)
		}
		maps.Copy(p.there, targets)
		if _, err := o.Commit(t.Context(), name); err == nil || !strings.Contains(err.Error(), "not in the inbox") {
			t.Errorf("what was committed is asked for again: %v", err)
		}
	}
	p.pull(t)
	refreshBySchedule(t, d)
}

// keysOf is the ID of the one key that the newest root names for a role.
func keysOf(t *testing.T, d *deployment, role string) string {
	t.Helper()
	var newest string
	for version := int64(1); ; version++ {
		data, _, err := storage.Read(t.Context(), d.public, repo.SlotKey(scripts, tuf.RoleRoot, version), repo.MaxRoot)
		if err != nil {
			return newest
		}
		root, err := tuf.Parse[tuf.Root](data, repo.MaxRoot)
		if err != nil || len(root.Signed.Roles[role].KeyIDs) != 1 {
			t.Fatalf("root %d: %v", version, err)
		}
		newest = root.Signed.Roles[role].KeyIDs[0]
	}
}

// refreshBySchedule: a collection whose signatures last for seconds, kept alive
// by both kinds of schedule.
func refreshBySchedule(t *testing.T, d *deployment) {
	const life = 4 * time.Second
	o := d.owner(t, brief, repo.Lifetimes{tuf.RoleSnapshot: life, tuf.RoleTimestamp: life})
	if _, err := o.Publish(t.Context(), files{"a": "a"}); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"aws.events", "aws.scheduler"} {
		time.Sleep(life/2 + time.Second) // due, and the store's clock is coarse
		var counts lambda.Counts
		out, err := d.invoke(t.Context(), []byte(scheduled(source)))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &counts); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lambda.Counts{Collections: 2, Refreshed: 1}, counts); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
	}
	data, _, err := storage.Read(t.Context(), d.public, repo.TimestampKey(brief), repo.MaxTimestamp)
	if err != nil {
		t.Fatal(err)
	}
	if ts, err := tuf.Parse[tuf.Timestamp](data, repo.MaxTimestamp); err != nil || ts.Signed.Version != 3 {
		t.Errorf("timestamp.json has version %d: %v", ts.Signed.Version, err)
	}
}

// TestLambdaKMSFails: what KMS does for a while loses no submission, and
// publishes nothing.
func TestLambdaKMSFails(t *testing.T) {
	var arn string
	d := deploy(t, testserver.VersityGW(t), func(k *kmsfake.KMS) string {
		arn = k.NewSymmetric()
		return "sealed:kms:" + arn
	})
	d.cold = true // so that keys are opened each time
	o := d.owner(t, scripts, nil)
	d.kms.Throttle(2)
	if _, err := o.Publish(t.Context(), files{"a": "a"}); err != nil {
		t.Errorf("throttled twice: %v", err)
	}
	name, id, err := o.Leave(t.Context(), files{"b": "b"})
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, d.public)
	for _, tt := range []struct {
		name      string
		fail, end func()
		want      string
	}{
		{"disabled", func() { d.kms.Disable(arn, true) }, func() { d.kms.Disable(arn, false) }, "DisabledException"},
		{"denied", func() { d.kms.Deny("Decrypt") }, func() { d.kms.Deny() }, "AccessDeniedException"},
	} {
		tt.fail()
		if _, err := o.Commit(t.Context(), name); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		event := queued(d.bucket, inboxPrefix+"/"+repo.SubmissionKey(scripts, name))
		if answer, err := d.invoke(t.Context(), []byte(event)); !strings.Contains(string(answer), messageID) {
			t.Errorf("%s: the queue is told %s, %v, and will not send it again", tt.name, answer, err)
		}
		tt.end()
		if diff := cmp.Diff(before, contents(t, d.public)); diff != "" {
			t.Errorf("%s: the public store changed: %s", tt.name, diff)
		}
	}
	d.send(t, scheduled("aws.events"))
	if r, err := (repo.Inbox{Store: d.inbox, Collection: scripts}).Receipt(t.Context(), id); err != nil || r.Err() != nil {
		t.Errorf("afterwards the receipt is %+v, %v", r, err)
	}
}

// contents is every object of a store.
func contents(t *testing.T, s storage.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range listed(t, s) {
		data, _, err := storage.Read(t.Context(), s, key, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		all[key] = hexSum(data)
	}
	return all
}

// TestLambdaBadEvents: each is refused or ignored, in one process that lives on,
// and changes nothing.
func TestLambdaBadEvents(t *testing.T) {
	d := deploy(t, testserver.VersityGW(t), sealedKeys)
	o := d.owner(t, scripts, nil)
	if _, err := o.Publish(t.Context(), files{"a": "a"}); err != nil {
		t.Fatal(err)
	}
	submission := inboxPrefix + "/" + repo.SubmissionKey(scripts, "01JD8X3W6T0000000000000000")
	before := contents(t, d.public)
	begun := len(d.fn.Invocations())
	for _, tt := range []struct {
		name, event string
		want        string // part of the answer, or of the error
	}{
		{"empty", ``, "unknown kind"},
		{"null", `null`, "malformed"},
		{"a list", `[]`, "malformed"},
		{"a duplicate name", `{"action": "keys", "action": "refresh"}`, "malformed"},
		{"an unknown source", `{"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}}`, "aws.ec2"},
		{"an unknown action", `{"action": "delete", "collection": "example.com/scripts"}`, "unknown action"},
		{"a collection outside", `{"action": "keys", "collection": "../x"}`, "example.com/scripts"},
		{"a collection that may not be", `{"action": "keys", "collection": "example.org/x"}`, "may not be created"},
		{"no submission", `{"action": "commit", "collection": "example.com/scripts"}`, "ULID"},
		{"an unknown submission", `{"action": "commit", "collection": "example.com/scripts", "submission": "01JD8X3W6T0000000000000000"}`, "not in the inbox"},
		{"an offline role", `{"action": "rotate-key", "collection": "example.com/scripts", "role": "targets"}`, "not an online role"},
		{"an object already gone", created(d.bucket, submission), `"committed":0`},
		{"another bucket", created("another", submission), `"ignored":1`},
		{"another prefix", created(d.bucket, "x/"+submission), `"ignored":1`},
		{"the signer's own receipt", created(d.bucket, inboxPrefix+"/"+repo.ReceiptKey(scripts, strings.Repeat("0", 64))), `"ignored":1`},
		{"the signer's own key", bridged(d.bucket, inboxPrefix+"/"+repo.OnlineKeyKey(scripts, "snapshot", strings.Repeat("0", 64))), `"ignored":1`},
		{"an unknown collection", created(d.bucket, inboxPrefix+"/"+repo.SubmissionKey("example.com/none", "01JD8X3W6T0000000000000000")), `"failed":0`},
		{"a delete event", strings.ReplaceAll(created(d.bucket, submission), "ObjectCreated:Put", "ObjectRemoved:Delete"), `"ignored":1`},
		{"a delete event, bridged", strings.ReplaceAll(bridged(d.bucket, submission), "Object Created", "Object Deleted"), `"ignored":1`},
		{"a test event", `{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-22T12:00:00.000Z", "Bucket": "` + d.bucket + `", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"}`, `"ignored":1`},
		{"a message that is not JSON", queue("not JSON"), `"batchItemFailures":[]`},
		{"a thousand records", records(d.bucket, submission, 1000), `"committed":0`},
		{"a record of garbage", `{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": 7}}}]}`, `"ignored":1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := d.invoke(t.Context(), []byte(tt.event))
			if err != nil {
				answer = []byte(err.Error())
			}
			if !strings.Contains(string(answer), tt.want) || strings.Contains(string(answer), "goroutine") {
				t.Errorf("got %s, want %s", answer, tt.want)
			}
		})
	}
	for _, inv := range d.fn.Invocations()[begun:] {
		if inv.Init > 0 || strings.HasPrefix(inv.Error, "Runtime.") {
			t.Errorf("the process did not survive: %+v", inv)
		}
	}
	if diff := cmp.Diff(before, contents(t, d.public)); diff != "" {
		t.Errorf("the public store changed: %s", diff)
	}
}
