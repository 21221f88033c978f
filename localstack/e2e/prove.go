package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"publisher/internal/console"
)

// A story is a collection on its way from nothing to its pullers.
type story struct {
	ctx   context.Context
	cloud *cloud
	proof *proof
	shell *console.Shell
	pull  puller

	name    string // of the collection
	root    []byte
	targets map[string][]byte
}

// prove tells two stories: of a collection that is published and pulled, and of
// one whose signatures do not last.
func prove(ctx context.Context, c *cloud, p *proof, pull puller) (err error) {
	dir, err := os.MkdirTemp("", "publisher-e2e-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	shell, err := console.New(ctx, dir)
	if err != nil {
		return err
	}
	shell.Env = append(append(shell.Env, c.env()...), "PUBLISHER_TRUST_DIR="+filepath.Join(dir, "owner"))
	unique := time.Now().UTC().Format("20060102-150405.000")
	long := &story{ctx: ctx, cloud: c, proof: p, shell: shell, pull: pull, name: c.create + "e2e-" + unique}
	brief := &story{ctx: ctx, cloud: c, proof: p, shell: shell, pull: pull, name: long.name + "-brief"}
	for _, step := range []func() error{long.publish, long.sweep, long.examine, brief.refresh} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the collection, whose online keys the function makes, with some
// targets staged.
func (s *story) begin(args ...string) error {
	s.shell.Say("A collection, of which the function holds the keys of snapshot and timestamp.")
	all := []string{"init", s.name, "--store", s.cloud.store(s.cloud.public), "--inbox", s.cloud.store(s.cloud.inbox),
		"--online", s.cloud.online(), "--no-passphrase"}
	if err := s.shell.Publisher(append(all, args...)...); err != nil {
		return err
	}
	root, err := s.shell.Output("trust", "export", s.name, "-o", "-")
	s.root, s.targets = root, map[string][]byte{}
	return err
}

// stage stages a file.
func (s *story) stage(name, content string) error {
	file := filepath.Join(s.shell.Dir, "staged")
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		return err
	}
	s.targets[name] = []byte(content)
	return s.shell.Publisher("add", s.name, name, file, "-q")
}

// publish publishes through the function and has clients pull.
func (s *story) publish() error {
	if err := s.begin(); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"install.sh":                   "echo hello\n",
		"docs/release notes 1.0+b.txt": "names with a space and a + are the ones that servers get wrong\n",
	} {
		if err := s.stage(name, content); err != nil {
			return err
		}
		// A file of its own for each: what is staged is read when it is published.
		if err := s.shell.Publisher("publish", s.name); err != nil {
			return err
		}
	}
	s.proof.prove("%s was made and published %d times through the function %s", s.name, 1+len(s.targets), s.cloud.publishing())
	return s.pulled("what was published")
}

// pulled has every target pulled, and notes it.
func (s *story) pulled(what string) error {
	who, err := s.pull(s.ctx, pull{
		URL: strings.TrimSuffix(s.cloud.url, "/") + "/" + s.name, Root: s.root, Targets: s.targets,
		Dir: filepath.Join(s.shell.Dir, "clients", s.name),
	})
	if err != nil {
		return fmt.Errorf("pull %s: %w", what, err)
	}
	s.proof.prove("%s pulled %s: %d targets, byte for byte", strings.Join(who, ", "), what, len(s.targets))
	return nil
}

// sweep leaves a submission that nobody waits for, which an event of the inbox
// has committed.
func (s *story) sweep() error {
	s.shell.Say("A submission that nobody waits for.")
	if err := s.stage("left.txt", "left, and not waited for\n"); err != nil {
		return err
	}
	before, err := s.version()
	if err != nil {
		return err
	}
	if err := s.shell.Publisher("publish", s.name, "--no-wait"); err != nil {
		return err
	}
	if s.cloud.events == 0 {
		err = s.tell()
	} else {
		err = s.await(before)
	}
	if err != nil {
		return err
	}
	after, err := s.version()
	if err == nil && after <= before {
		err = fmt.Errorf("the timestamp is still version %d: the submission was not committed", after)
	}
	if err != nil {
		return err
	}
	s.proof.prove("a submission that nobody waited for was committed on an event of %s: timestamp %d, then %d", s.cloud.inbox, before, after)
	return s.pulled("what was left in the inbox")
}

// tell sends the function the events that S3 sends of the submissions that wait.
func (s *story) tell() error {
	prefix := s.name + "/submissions/"
	list, err := s.cloud.s3.ListObjectsV2(s.ctx, &s3.ListObjectsV2Input{Bucket: &s.cloud.inbox, Prefix: &prefix})
	if err != nil {
		return fmt.Errorf("list the inbox: %w", err)
	}
	if len(list.Contents) != 1 {
		return fmt.Errorf("%d submissions wait in the inbox, where one belongs", len(list.Contents))
	}
	counts, err := s.cloud.send(s.ctx, s.cloud.publishing(), created(s.cloud.inbox, *list.Contents[0].Key))
	if err == nil && (counts.Committed != 1 || counts.Failed != 0) {
		err = fmt.Errorf("the function committed %d submissions and failed on %d: %q", counts.Committed, counts.Failed, counts.Errors)
	}
	return err
}

// await waits for the endpoint's own event to have its effect.
func (s *story) await(before int) error {
	return s.until(s.cloud.events, func() (bool, error) {
		v, err := s.version()
		return v > before, err
	})
}

const moment = 500 * time.Millisecond

// until asks again and again, for a time.
func (s *story) until(most time.Duration, done func() (bool, error)) error {
	for end := time.Now().Add(most); ; {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing happened within %s", most)
		}
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-time.After(moment):
		}
	}
}

// Of a timestamp that the schedule has to renew: the first half of this life is
// waited for, and what is left of a renewed one is time for every client.
const (
	briefLife = "20s"
	dueAfter  = 2 * time.Minute // to be sure
)

// refresh has the schedule renew a timestamp, which no publish has to.
func (s *story) refresh() error {
	s.shell.Say("The schedule, and a timestamp that lives for " + briefLife + ".")
	if err := s.begin("--expires", "timestamp="+briefLife); err != nil {
		return err
	}
	if err := s.stage("brief.txt", "signed again and again\n"); err != nil {
		return err
	}
	if err := s.shell.Publisher("publish", s.name); err != nil {
		return err
	}
	before, err := s.version()
	if err != nil {
		return err
	}
	sent := 0
	err = s.until(dueAfter, func() (bool, error) {
		sent++
		v, err := s.wake()
		return v > before, err
	})
	if err != nil {
		return fmt.Errorf("wait for a renewed timestamp: %w", err)
	}
	s.proof.prove("the event of the schedule renewed the timestamp of %s once it had lived half its life (event %d)", s.name, sent)
	return s.pullFresh()
}

// wake sends the event of the schedule, and returns the version of the timestamp
// after it.
func (s *story) wake() (int, error) {
	counts, err := s.cloud.send(s.ctx, s.cloud.refreshing(), scheduled)
	if err == nil && counts.Failed > 0 {
		err = fmt.Errorf("the schedule's run failed on %d collections: %q", counts.Failed, counts.Errors)
	}
	if err != nil {
		return 0, err
	}
	return s.version()
}

// pullFresh pulls, with the timestamp renewed once more if it expired before
// the last client was done: machines are slow at times.
func (s *story) pullFresh() error {
	for tries := 5; ; tries-- {
		begun := time.Now()
		err := s.pulled("it after that")
		life, _ := time.ParseDuration(briefLife)
		if err == nil || tries == 1 || time.Since(begun) < life/2 {
			return err
		}
		if _, err := s.wake(); err != nil {
			return err
		}
	}
}

// version is that of the timestamp, as pullers see it.
func (s *story) version() (int, error) {
	url := strings.TrimSuffix(s.cloud.url, "/") + "/" + s.name + "/metadata/timestamp.json"
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	var timestamp struct {
		Signed struct {
			Version int `json:"version"`
		} `json:"signed"`
	}
	if err == nil {
		err = json.Unmarshal(data, &timestamp)
	}
	if err != nil {
		return 0, fmt.Errorf("get %s: %w", url, err)
	}
	return timestamp.Signed.Version, nil
}

// examine has publisher look for what is wrong.
func (s *story) examine() error {
	s.shell.Say("Is it whole, and well kept?")
	if err := s.shell.Publisher("check", s.name, "--deep"); err != nil {
		return err
	}
	s.proof.prove("publisher check --deep finds %s whole", s.name)
	out, err := s.shell.Output("doctor", s.name, "--url", s.cloud.url, "--deep", "--json")
	var report struct {
		Findings []struct{ Check, Severity, What string }
		Passed   []string
	}
	if bad := json.Unmarshal(out, &report); bad != nil {
		return fmt.Errorf("%w\n%s", errors.Join(err, bad), out)
	}
	// An emulator asks nobody who they are, and doctor is right about that.
	open := []string{"nobody may write", "inbox is private"}
	failed := false
	for _, f := range report.Findings {
		fmt.Printf("# %s: %s: %s\n", f.Severity, f.Check, f.What)
		failed = failed || f.Severity == "error" && (s.cloud.endpoint == "" || !slices.Contains(open, f.Check))
	}
	if failed || err != nil && len(report.Findings) == 0 {
		return fmt.Errorf("%w\n%s", err, out)
	}
	s.proof.prove("publisher doctor finds no error in it: %s", strings.Join(report.Passed, ", "))
	return nil
}
