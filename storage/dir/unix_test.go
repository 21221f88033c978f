//go:build unix

package dir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"publisher/storage"
)

// The test binary is also the second process of some tests.
func TestMain(m *testing.M) {
	switch root := os.Getenv("DIR_TEST_ROOT"); os.Getenv("DIR_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "increment":
		childIncrement(root)
	case "hang":
		childHang(root)
	}
}

func child(t *testing.T, what, root string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "DIR_TEST_CHILD="+what, "DIR_TEST_ROOT="+root)
	cmd.Stderr = os.Stderr
	return cmd
}

const increments = 100

// childIncrement makes the object "n" longer by one byte, increments times.
func childIncrement(root string) {
	s, _ := Open(root)
	ctx := context.Background()
	for done := 0; done < increments; {
		data, v, err := storage.Read(ctx, s, "n", 1000)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			panic(err)
		}
		_, err = s.Put(ctx, "n", strings.NewReader(string(data)+"\n"), v)
		switch {
		case err == nil:
			done++
		case !errors.Is(err, storage.ErrConflict):
			panic(err)
		}
	}
}

// childHang dies, when it is killed, in the middle of a batch.
func childHang(root string) {
	s, _ := Open(root)
	b, _, _ := s.Batch()
	if _, err := b.Put(context.Background(), "k", strings.NewReader("x"), storage.Absent); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
	runtime.KeepAlive(s) // with it the lock that says that we are alive
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var benchKeys = func() (keys []string) {
	for i := range 10_000 {
		name := fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
		keys = append(keys, "example.com/scripts/targets/"+name[:1]+"/"+name+".file")
	}
	return keys
}()

// Processes that write one object lose none of each other's writes.
func TestProcesses(t *testing.T) {
	root := t.TempDir()
	var children []*exec.Cmd
	for range 4 {
		c := child(t, "increment", root)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, c)
	}
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	data, _, err := storage.Read(t.Context(), open(t, root), "n", 1000)
	if err != nil || len(data) != 4*increments {
		t.Errorf("4 processes made %d increments of 4x%d (%v)", len(data), increments, err)
	}
	wantFiles(t, root, "n")
}

// The next writer removes what a killed process left, and nothing that belongs
// to a living one.
func TestLeftovers(t *testing.T) {
	root := t.TempDir()
	var hanging []*exec.Cmd
	for range 2 {
		c := child(t, "hang", root)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 10)); err != nil { // until it is ready
			t.Fatal(err)
		}
		hanging = append(hanging, c)
	}
	s := open(t, root)
	kill := func(c *exec.Cmd) {
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.Wait() // an error: it was killed
	}
	kill(hanging[0])
	if n := len(files(t, root)); n != 5 {
		t.Fatalf("%d files of two batches, want 5: %q", n, files(t, root))
	}
	v := put(t, s, "a", "x", storage.Absent)
	if n := len(files(t, root)); n != 4 {
		t.Errorf("after one of two was killed %d files are left, want 4: %q", n, files(t, root))
	}
	kill(hanging[1])
	put(t, s, "a", "y", v)
	wantFiles(t, root, "a")
}

func TestFIFOIsNoObject(t *testing.T) {
	s := open(t, t.TempDir())
	if err := syscall.Mkfifo(filepath.Join(s.path, "fifo"), 0o666); err != nil {
		t.Skip(err)
	}
	if _, err := s.Get(t.Context(), "fifo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of a FIFO: %v, want fs.ErrNotExist", err)
	}
	for e := range s.List(t.Context(), "") {
		t.Errorf("List yields %q", e.Key)
	}
}

func BenchmarkBatch10000(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1024)
	sum := sha256.Sum256(body)
	for b.Loop() {
		s := open(b, b.TempDir())
		before := cpuTime()
		batch, flush, discard := s.Batch()
		for _, key := range benchKeys {
			if _, err := batch.Put(b.Context(), key, storage.WithSHA256(bytes.NewReader(body), sum[:], 1024), storage.Absent); err != nil {
				b.Fatal(err)
			}
		}
		if err := flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		discard()
		b.ReportMetric(float64((cpuTime() - before).Milliseconds()), "cpu-ms/op")
	}
}
