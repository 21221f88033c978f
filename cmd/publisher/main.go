// Command publisher publishes collections of files that nobody can tamper with:
// it signs metadata of The Update Framework and uploads it to any object store,
// where any TUF client reads it.
//
// This package is the only place that knows flags, the environment, the
// terminal and every storage driver. Each verb has a file of its own.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	tuneMemory()
	// net/http tells the log package what servers do wrong, which is nothing
	// that users can act on: what matters to them comes back as an error.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once: what it would interrupt then
	// is safe to interrupt, as a crash is.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with everything that tests replace. It returns the exit code.
func run(ctx context.Context, args []string, stdin, stdout, stderr *os.File) int {
	a := newApp(stdin, stdout, stderr)
	cmd := newRoot(a)
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := flagGroup(cmd.ExecuteContext(ctx))
	if ctx.Err() != nil && err != nil {
		err = errInterrupted
	}
	return a.report(err)
}

// tuneMemory trades memory, up to a limit, for time: a command lives for a
// second, and most of what it holds it holds to the end, so that a fifth of its
// time would go into looking for garbage. Whoever sets GOGC or GOMEMLIMIT knows
// better.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1 << 30) // above that, memory counts for more
	}
}
