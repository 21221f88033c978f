//go:build unix

// Command bench measures publisher beside other tools that do the same work, in
// turns, on one machine, in one run: adding a target to collections of several
// sizes, publishing many small files at once, and publishing large ones.
//
// The other tool is tuf, the command line of go-tuf v0.7; for large files also
// sha256sum, cp and sync one after the other, which is the least that hashing,
// storing and making durable can be. Private keys are unencrypted on both sides.
//
// On ext4 wait five minutes between two runs: it makes files slowly near many
// that were deleted a moment ago, as those of the run before.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	parts := flag.String("parts", "one,many,big", "what to measure, separated by commas")
	runs := flag.Int("n", 5, "how often; the medians are shown")
	bigRuns := flag.Int("n-big", 3, "how often for the big files, each 2 GB")
	place := flag.String("dir", "", "where to work, 20 GB on a real disk (default the user's cache directory)")
	flag.Parse()
	if flag.NArg() == 3 && flag.Arg(0) == countVerb {
		return countStaged(ctx, flag.Arg(1), flag.Arg(2))
	}
	if flag.NArg() > 0 || *runs < 1 || *bigRuns < 1 {
		return errors.New("usage: bench [-parts one,many,big] [-n runs] [-n-big runs] [-dir directory]")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if *place == "" {
		*place = cache
	}
	b, err := newBench(ctx, *place, cache)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.describe()
	for part := range strings.SplitSeq(*parts, ",") {
		if err := b.part(part, *runs, *bigRuns); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// A bench is one run of this program.
type bench struct {
	ctx       context.Context
	dir       string // all that is made lies below it
	publisher string // the programs that are compared
	tuf       string
	count     int // of the directories made
}

func newBench(ctx context.Context, place, cache string) (_ *bench, err error) {
	if err := os.MkdirAll(place, 0o777); err != nil {
		return nil, err
	}
	b := &bench{ctx: ctx}
	if b.dir, err = os.MkdirTemp(place, "publisher-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(b.dir)
		}
	}()
	b.publisher = filepath.Join(b.dir, "publisher")
	if err := command(ctx, "go", "build", "-trimpath", "-o", b.publisher, "publisher/cmd/publisher"); err != nil {
		return nil, err
	}
	b.tuf, err = installTUF(ctx, filepath.Join(cache, "publisher-bench"))
	return b, err
}

// command runs what is not measured.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func (b *bench) describe() {
	fmt.Printf("%s, %d CPUs, %s/%s, %s, %s on %s\n", time.Now().UTC().Format(time.RFC3339),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.dir, fileSystem(b.dir))
	fmt.Println("medians; CPU is user and system time of all processes of a row, memory the peak of the largest one;")
	fmt.Println("requests are those of one more such publish, counted at the storage interface; × is beside the last row;")
	fmt.Println("publisher makes everything durable before it ends, tuf leaves that to the system")
}

// part measures one part and prints it.
func (b *bench) part(name string, runs, bigRuns int) error {
	switch name {
	case "one":
		for _, size := range []int{1, 1000, 10_000} {
			if err := b.one(size, runs); err != nil {
				return err
			}
		}
		return nil
	case "many":
		return b.many(10_000, runs)
	case "big":
		return b.big(4, 500_000_000, bigRuns)
	}
	return errors.New("there is no such part")
}

// fresh makes a directory that no run before has used. They stay to the end:
// ext4 passes over inodes that were freed in the last minutes, one at a time.
func (b *bench) fresh() (string, error) {
	b.count++
	dir := filepath.Join(b.dir, fmt.Sprintf("run%d", b.count))
	return dir, os.Mkdir(dir, 0o777)
}

// fileSystem is the type of the file system of dir, where the system tells.
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "an unknown file system"
	}
	kind, longest := "an unknown file system", -1
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if rel, err := filepath.Rel(f[1], dir); err == nil && filepath.IsLocal(rel) && len(f[1]) >= longest {
			kind, longest = f[2], len(f[1])
		}
	}
	return kind
}

// A contender does the work of a part in one way.
type contender struct {
	name string
	run  func(i int) (figures, error) // prepares what it needs, and measures
	got  []figures
}

// alternate runs the contenders in turns, another one first each time, with
// nothing of the one before left to be written.
func alternate(runs int, contenders ...*contender) error {
	for i := range runs {
		for k := range contenders {
			c := contenders[(i+k)%len(contenders)]
			f, err := c.run(i)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.got = append(c.got, f)
		}
	}
	return nil
}

// median takes each figure by itself.
func (c *contender) median() figures {
	var f figures
	f.wall = median(c.got, func(f figures) time.Duration { return f.wall })
	f.cpu = median(c.got, func(f figures) time.Duration { return f.cpu })
	f.memory = median(c.got, func(f figures) int64 { return f.memory })
	return f
}

func median[T time.Duration | int64](all []figures, of func(figures) T) T {
	values := make([]T, len(all))
	for i, f := range all {
		values[i] = of(f)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
