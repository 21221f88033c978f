package trust_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"publisher/repo"
	"publisher/trust"
)

const changelistFile = "changelist.jsonl"

func TestChangelist(t *testing.T) {
	c := created(t, trust.Open(t.TempDir()))
	if changes := list(t, c); len(changes) > 0 {
		t.Fatalf("a new changelist has %d changes", len(changes))
	}
	given := additions(5)
	given[1].Target.Custom = jsontext.Value("{\n \"a\": \"\\n\",\n \"b\": [ 1 ]\n}\n")
	given[2] = repo.Change{Action: repo.Remove, Role: "releases.ci", Name: "a\nb ü\""}
	var staged []repo.Change
	staged = append(staged, stage(t, c, given[0])...)
	staged = append(staged, stage(t, c, given[1:4]...)...)
	staged = append(staged, stage(t, c)...)
	staged = append(staged, stage(t, c, given[4])...)

	if diff := cmp.Diff(given, staged, cmpopts.IgnoreFields(repo.Change{}, "ID")); diff != "" {
		t.Errorf("staged:\n%s", diff)
	}
	listed := list(t, c)
	staged[1].Target.Custom = jsontext.Value(`{"a":"\n","b":[1]}`)
	if diff := cmp.Diff(staged, listed); diff != "" {
		t.Errorf("listed:\n%s", diff)
	}
	seen := map[string]bool{}
	for i, change := range listed {
		if change.ID == "" || seen[change.ID] {
			t.Errorf("change %d has the ID %q", i, change.ID)
		}
		seen[change.ID] = true
	}
	if batch := listed[1:4]; !slices.IsSortedFunc(batch, func(a, b repo.Change) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("the IDs of one Append are not in order: %v", batch)
	}
	if given[1].ID != "" { // Append got this very slice
		t.Error("the caller's change was written to")
	}
}

func TestChangelistRemove(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	staged := slices.Concat(stage(t, c, additions(3)...), stage(t, c, addition("x")), stage(t, c, additions(2)...))
	ids := func(changes ...repo.Change) (ids []string) {
		for _, c := range changes {
			ids = append(ids, c.ID)
		}
		return ids
	}
	if err := c.Changelist().Remove(ids(staged[1], staged[3], staged[5])...); err != nil {
		t.Fatal(err)
	}
	rest := []repo.Change{staged[0], staged[2], staged[4]}
	if diff := cmp.Diff(rest, list(t, c)); diff != "" {
		t.Error(diff)
	}
	before, err := os.Stat(file(d, changelistFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Changelist().Remove(append(ids(staged[1]), "unknown")...); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(file(d, changelistFile)); err != nil || !os.SameFile(before, after) {
		t.Errorf("removing nothing wrote the file: %v", err)
	}
	if err := c.Changelist().Remove(ids(rest...)...); err != nil {
		t.Fatal(err)
	}
	if changes := list(t, c); len(changes) > 0 {
		t.Errorf("left: %v", changes)
	}
	stage(t, c, addition("y"))
	if err := c.Changelist().Clear(); err != nil {
		t.Fatal(err)
	}
	if changes := list(t, c); len(changes) > 0 {
		t.Errorf("left after Clear: %v", changes)
	}
}

// TestTruncatedChangelist is a crash after any number of bytes of a write: all
// that was acknowledged before it is there, nothing of it is, and the next
// change gets in.
func TestTruncatedChangelist(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	name := file(d, changelistFile)
	ends := []int64{0} // ends[i] is the file's size after i batches
	var batches [][]repo.Change
	for _, changes := range [][]repo.Change{additions(1), additions(3), {addition("a\nb")}} {
		batches = append(batches, stage(t, c, changes...))
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(whole) + 1 {
		if err := os.WriteFile(name, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		complete := 0
		for complete+1 < len(ends) && ends[complete+1] <= int64(size) {
			complete++
		}
		want := slices.Concat(batches[:complete]...)
		if diff := cmp.Diff(want, list(t, c)); diff != "" {
			t.Fatalf("after %d bytes:\n%s", size, diff)
		}
		want = append(want, stage(t, c, addition("after"))...)
		if diff := cmp.Diff(want, list(t, c)); diff != "" {
			t.Fatalf("after %d bytes and an append:\n%s", size, diff)
		}
		if err := c.Changelist().Remove(want[0].ID); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[1:], list(t, c), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("after %d bytes, an append and a remove:\n%s", size, diff)
		}
	}
}

func TestUnreadableChange(t *testing.T) {
	for _, line := range []string{
		"", "null", "[]", "[{}]", "{}", "[null]", "garbage", "[{", "\x00\x00\x00",
		`[{"id":"1","action":"add","role":"targets","name":"a"}] x`,
		`[{"id":"1","action":"add","role":"targets","name":"a","future":true}]`,
		`[{"id":"1","action":"add","action":"remove","role":"targets","name":"a"}]`,
		`[{"id":"1","action":"update","role":"targets","name":"a"}]`,
		`[{"id":"","action":"add","role":"targets","name":"a"}]`,
		`[{"id":"1","action":"add","role":"targets","name":"` + "\xff" + `"}]`,
	} {
		t.Run(line, func(t *testing.T) {
			d := trust.Open(t.TempDir())
			c := created(t, d)
			staged := stage(t, c, addition("a"))
			name := file(d, changelistFile)
			first, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			broken := string(first) + line + "\n" + string(first)
			if err := os.WriteFile(name, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			_, listErr := c.Changelist().List()
			for _, err := range []error{listErr, c.Changelist().Remove(staged[0].ID)} {
				if err == nil || !strings.Contains(err.Error(), name+", line 2:") || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want one line that names line 2 of %s", err, name)
				}
			}
			if data, err := os.ReadFile(name); err != nil || string(data) != broken {
				t.Errorf("the file was changed to %q, %v", data, err)
			}
			if err := c.Changelist().Clear(); err != nil {
				t.Fatal(err)
			}
			if changes := list(t, c); len(changes) > 0 {
				t.Errorf("left after Clear: %v", changes)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	stage(t, c, addition("a"))
	before := tree(t, d.Path())
	custom := addition("a")
	custom.Target.Custom = jsontext.Value(`{"a":`)
	for name, bad := range map[string]repo.Change{
		"no action":      {Role: "targets", Name: "a"},
		"unknown action": {Action: "update", Role: "targets", Name: "a"},
		"invalid UTF-8":  addition("\xff"),
		"broken custom":  custom,
	} {
		if staged, err := c.Changelist().Append(addition("good"), bad); err == nil {
			t.Errorf("%s: staged as %v", name, staged)
		}
	}
	if diff := cmp.Diff(before, tree(t, d.Path())); diff != "" {
		t.Error(diff)
	}
}

// appendChild stages args[1] changes one by one, named after args[0].
func appendChild(c *trust.Collection, args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range n {
		if _, err := c.Changelist().Append(addition(fmt.Sprintf("%s-%d", args[0], i))); err != nil {
			return err
		}
	}
	return nil
}

// TestProcessesAppend has eight processes append while this one takes away what
// it sees, as publish does. Each change must be seen once and in its order.
func TestProcessesAppend(t *testing.T) {
	const processes, each = 8, 50
	d := trust.Open(t.TempDir())
	c := created(t, d)
	var running sync.WaitGroup
	for p := range processes {
		child := command(t, d, "append", fmt.Sprint(p), fmt.Sprint(each))
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		running.Go(func() { wait(t, child) })
	}
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()

	seen := map[string]bool{}
	next := make([]int, processes)
	take := func() {
		changes := list(t, c)
		var ids []string
		for _, change := range changes {
			var p, i int
			if _, err := fmt.Sscanf(change.Name, "%d-%d", &p, &i); err != nil || seen[change.ID] || next[p] != i {
				t.Fatalf("unexpected %v: want %d next of process %d", change, next[p], p)
			}
			seen[change.ID] = true
			next[p]++
			ids = append(ids, change.ID)
		}
		if err := c.Changelist().Remove(ids...); err != nil {
			t.Fatal(err)
		}
	}
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-time.After(5 * time.Millisecond):
		}
		take()
	}
	if len(seen) != processes*each {
		t.Errorf("%d changes of %d", len(seen), processes*each)
	}
}

// appendAckChild stages changes for ever, three at a time, and prints their
// number once they are acknowledged.
func appendAckChild(c *trust.Collection, _ []string) error {
	for i := 0; ; i++ {
		name := fmt.Sprint(i)
		if _, err := c.Changelist().Append(addition(name), addition(name), addition(name)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func TestKilledAppend(t *testing.T) {
	for round := range 10 {
		d := trust.Open(t.TempDir())
		c := created(t, d)
		child := command(t, d, "append-ack")
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		acked := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if acked++; acked == 3+round {
				time.Sleep(time.Duration(round) * 300 * time.Microsecond)
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child was not killed")
		}
		changes := list(t, c)
		if n := len(changes); n%3 != 0 || n < 3*acked || n > 3*(acked+1) {
			t.Fatalf("%d changes after %d acknowledged batches of 3", n, acked)
		}
		for i, change := range changes {
			if change.Name != fmt.Sprint(i/3) {
				t.Fatalf("change %d is %s", i, change.Name)
			}
		}
	}
}

func TestAppendAfterDelete(t *testing.T) {
	d := trust.Open(t.TempDir())
	c := created(t, d)
	if err := c.Delete(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Changelist().Append(addition("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Lstat(filepath.Dir(file(d, changelistFile))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the collection is back: %v", err)
	}
}

const many = 10_000

func BenchmarkAppend10000(b *testing.B) {
	c := created(b, trust.Open(b.TempDir()))
	changes := additions(many)
	for b.Loop() {
		stage(b, c, changes...)
		b.StopTimer()
		if err := c.Changelist().Clear(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkAppendTo10000(b *testing.B) {
	c := created(b, trust.Open(b.TempDir()))
	stage(b, c, additions(many)...)
	for b.Loop() {
		stage(b, c, addition("one more"))
	}
}

func BenchmarkList10000(b *testing.B) {
	for name, batch := range map[string]int{"one batch": many, "batches of one": 1} {
		b.Run(name, func(b *testing.B) {
			c := created(b, trust.Open(b.TempDir()))
			for part := range slices.Chunk(additions(many), batch) {
				stage(b, c, part...)
			}
			for b.Loop() {
				if n := len(list(b, c)); n != many {
					b.Fatal(n)
				}
			}
		})
	}
}
