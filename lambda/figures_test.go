package lambda_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/sync/errgroup"

	"publisher/internal/ownertest"
	"publisher/lambda"
	"publisher/repo"
	"publisher/repo/keys/sealed"
	"publisher/repo/tuf"
	"publisher/storage"
	"publisher/storage/dir"
	"publisher/storage/storagetest"
)

// An estate is any number of collections behind one signer, with everything
// counted.
type estate struct {
	public, private *storagetest.Counter
	signer          *lambda.Signer
	keys            *countedKeys
	now             time.Time
}

var estateBegins = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newEstate(public, private storage.Store) *estate {
	e := &estate{
		public: storagetest.NewCounter(public), private: storagetest.NewCounter(private),
		keys: &countedKeys{Keys: lambda.SealedKeys{Sealer: sealed.KMS{Keys: openKeys{}}}},
		now:  estateBegins,
	}
	e.restart()
	return e
}

// restart forgets what the signer has in memory.
func (e *estate) restart() {
	e.signer = &lambda.Signer{
		Public: e.public.Store(), Private: e.private.Store(), Keys: e.keys,
		Now: func() time.Time { return e.now }, Create: func(string) error { return nil },
	}
}

// add publishes a collection with one target through the signer.
func (e *estate) add(ctx context.Context, name string, life repo.Lifetimes) error {
	o := &ownertest.Owner{
		Collection: name, Public: e.public.Store(), Inbox: e.private.Store(), Invoke: e.signer.Handle,
		Now: func() time.Time { return e.now }, Lifetimes: life,
	}
	if err := o.Create(ctx); err != nil {
		return err
	}
	_, err := o.Publish(ctx, map[string]string{"hello.txt": "hello"})
	return err
}

// reset begins to count anew.
func (e *estate) reset() {
	e.public.Reset()
	e.private.Reset()
	e.keys.opened.Store(0)
	e.keys.signed.Store(0)
}

// A bill is what a run cost.
type bill struct {
	Public, Private storagetest.Counts
	Opened, Signed  int64 // keys, files
}

// total is the number of requests to both stores, without listing.
func (b bill) total() int {
	n := 0
	for _, c := range []storagetest.Counts{b.Public, b.Private} {
		n += c.Reads + c.Writes + c.Deletes
	}
	return n
}

// sweep is what the schedule does, and what it cost.
func (e *estate) sweep(ctx context.Context, event string) (lambda.Counts, bill, error) {
	e.reset()
	answer, err := e.signer.Handle(ctx, []byte(event))
	if err != nil {
		return lambda.Counts{}, bill{}, err
	}
	var c lambda.Counts
	err = json.Unmarshal(answer, &c)
	return c, bill{e.public.Counts(), e.private.Counts(), e.keys.opened.Load(), e.keys.signed.Load()}, err
}

// countedKeys counts what is opened, and every signature.
type countedKeys struct {
	lambda.Keys
	opened, signed atomic.Int64
}

func (k *countedKeys) Open(ctx context.Context, key *lambda.Key) (signature.Signer, error) {
	k.opened.Add(1)
	s, err := k.Keys.Open(ctx, key)
	return &countedSigner{s, &k.signed}, err
}

type countedSigner struct {
	signature.Signer
	n *atomic.Int64
}

func (s *countedSigner) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	s.n.Add(1)
	return s.Signer.SignMessage(message, opts...)
}

// openKeys hands out data keys unencrypted: figures have no secrets.
type openKeys struct{}

func (openKeys) GenerateDataKey(context.Context, map[string]string) (plain, encrypted []byte, err error) {
	return make([]byte, 32), make([]byte, 32), nil
}

func (openKeys) DecryptDataKey(_ context.Context, encrypted []byte, _ map[string]string) ([]byte, error) {
	return encrypted, nil
}

const day = 24 * time.Hour

// TestFiguresOfOne: what refreshing one collection costs, warm and cold.
func TestFiguresOfOne(t *testing.T) {
	const name = "example.com/scripts"
	event := `{"action": "refresh", "collection": "` + name + `"}`
	none := storagetest.Counts{}
	for _, tt := range []struct {
		name string
		cold bool
		wait time.Duration
		want bill
	}{
		{"warm, nothing due", false, 6 * day, bill{Public: storagetest.Counts{Reads: 1}, Private: none}},
		{"cold, nothing due", true, 6 * day, bill{Public: storagetest.Counts{Reads: 1}, Private: none}},
		{"warm, timestamp due", false, 8 * day, bill{Public: storagetest.Counts{Reads: 3, Writes: 1}, Private: none, Signed: 1}},
		{"warm, both due", false, 16 * day, bill{Public: storagetest.Counts{Reads: 3, Writes: 2}, Private: none, Signed: 2}},
		// The note on what was seen, the first root, the snapshot and two keys, and
		// targets to tell when it expires.
		{"cold, both due", true, 16 * day, bill{Public: storagetest.Counts{Reads: 6, Writes: 2}, Private: storagetest.Counts{Reads: 3}, Opened: 2, Signed: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEstate(storage.NewMemory(), storage.NewMemory())
			if err := e.add(t.Context(), name, nil); err != nil {
				t.Fatal(err)
			}
			e.now = e.now.Add(tt.wait)
			if tt.cold {
				e.restart()
			}
			_, got, err := e.sweep(t.Context(), event)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("it cost %+v, want %+v\n%s\n%s", got, tt.want, strings.Join(e.public.Log(), "\n"), strings.Join(e.private.Log(), "\n"))
			}
		})
	}
}

const (
	sweepCollections = 10_000
	sweepDue         = 100
	sweepMemory      = 128 << 20 // bytes
)

// TestFiguresOfSweep: two sweeps over 10,000 collections, of which the same 100
// are due each time, by a process of their own.
func TestFiguresOfSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 collections take a while to publish")
	}
	store := scratch(t)
	publishMany(t, store)
	first, second, peak := sweepTwice(t, store)
	t.Logf("cold: %+v", first)
	t.Logf("warm: %+v", second)
	t.Logf("resident at most: %d MiB", peak>>20)
	for _, s := range []swept{first, second} {
		if s.Counts.Collections != sweepCollections || s.Counts.Refreshed != sweepDue || s.Counts.Failed != 0 || s.Counts.Unfinished {
			t.Errorf("the sweep did %+v", &s.Counts)
		}
		if want := int64(2 * sweepDue); s.Bill.Signed > want || s.Bill.Signed < sweepDue {
			t.Errorf("%d signatures, at most %d expected", s.Bill.Signed, want)
		}
	}
	if got, most := second.Bill.total(), sweepCollections+5*sweepDue; got > most {
		t.Errorf("the warm sweep took %d requests, at most %d expected", got, most)
	}
	// Cold, three more files are read, a note, and two keys: see TestFiguresOfOne.
	// Four requests are about notes; that collections were looked for is written
	// once.
	if got, most := first.Bill.total(), sweepCollections+10*sweepDue+4; got > most {
		t.Errorf("the cold sweep took %d requests, at most %d expected", got, most)
	}
	if peak > sweepMemory {
		t.Errorf("%d MiB were resident, at most %d expected", peak>>20, sweepMemory>>20)
	}
}

// scratch is a directory in memory where the system has such: 100,000 files are
// slow on a disk, and none of them needs to last.
func scratch(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "publisher-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// publishMany publishes the collections, each in memory, and writes what came of
// it to the directories public and private: writes that are made durable take
// longer.
func publishMany(t *testing.T, to string) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range sweepCollections {
		life := repo.Lifetimes(nil)
		if i%(sweepCollections/sweepDue) == 0 {
			life = repo.Lifetimes{tuf.RoleTimestamp: 2 * day, tuf.RoleSnapshot: 2 * day}
		}
		g.Go(func() error {
			public, private := storage.NewMemory(), storage.NewMemory()
			return errors.Join(
				newEstate(public, private).add(ctx, fmt.Sprintf("example.com/%02d/%04d", i%17, i), life),
				writeOut(ctx, public, filepath.Join(to, "public")),
				writeOut(ctx, private, filepath.Join(to, "private")),
			)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func writeOut(ctx context.Context, s storage.Store, to string) error {
	for entry, err := range s.List(ctx, "") {
		if err != nil {
			return err
		}
		data, _, err := storage.Read(ctx, s, entry.Key, 1<<20)
		if err != nil {
			return err
		}
		file := filepath.Join(to, filepath.FromSlash(entry.Key))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, data, 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// swept is what the process says of one sweep.
type swept struct {
	Counts lambda.Counts
	Bill   bill
}

const sweepEnv = "PUBLISHER_TEST_SWEEP"

// sweepTwice runs TestSweepProcess on its own.
func sweepTwice(t *testing.T, store string) (first, second swept, peak int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSweepProcess$", "-test.v")
	cmd.Env = append(os.Environ(), sweepEnv+"="+store)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := []*swept{&first, &second}
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, "peak "); ok {
			if peak, err = strconv.ParseInt(strings.TrimSpace(text), 10, 64); err != nil {
				t.Fatal(err)
			}
		} else if text, ok := strings.CutPrefix(line, "swept "); ok && len(lines) > 0 {
			if err := json.Unmarshal([]byte(text), lines[0]); err != nil {
				t.Fatal(err)
			}
			lines = lines[1:]
		}
	}
	if len(lines) > 0 {
		t.Fatalf("the process printed\n%s", out)
	}
	return first, second, peak
}

// TestSweepProcess is the process that TestFiguresOfSweep starts.
func TestSweepProcess(t *testing.T) {
	store := os.Getenv(sweepEnv)
	if store == "" {
		t.Skip("run by TestFiguresOfSweep")
	}
	open := func(name string) storage.Store {
		s, err := dir.Open(filepath.Join(store, name))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	e := newEstate(open("public"), open("private"))
	for range 2 {
		e.now = e.now.Add(3 * day / 2)
		counts, bill, err := e.sweep(t.Context(), `{"action": "refresh"}`)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(&swept{Counts: counts, Bill: bill})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("swept %s\n", text)
	}
	fmt.Printf("peak %d\n", peakMemory(t))
}

// peakMemory is the most that this process ever held resident, in bytes; 0 where
// the system does not tell.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kb int64
		if _, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatal("there is no VmHWM in /proc/self/status")
	return 0
}
