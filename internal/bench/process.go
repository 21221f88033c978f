//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// figures is what work took.
type figures struct {
	wall, cpu time.Duration
	memory    int64 // peak, in bytes
}

// add puts work behind work.
func (f figures) add(g figures) figures {
	return figures{f.wall + g.wall, f.cpu + g.cpu, max(f.memory, g.memory)}
}

// A program is a command and where it runs.
type program struct {
	path string
	dir  string
	env  []string
}

// measure runs the program once for each list of arguments, one after the
// other, with nothing left to be written by those before.
func (p program) measure(ctx context.Context, calls ...[]string) (figures, error) {
	syscall.Sync()
	var sum figures
	for _, args := range calls {
		f, err := p.call(ctx, args)
		if err != nil {
			return sum, err
		}
		sum = sum.add(f)
	}
	return sum, nil
}

func (p program) call(ctx context.Context, args []string) (figures, error) {
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Dir = p.dir
	cmd.Env = append(cmd.Environ(), p.env...)
	var talk bytes.Buffer
	cmd.Stderr = &talk
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return figures{}, fmt.Errorf("%s %s: %w\n%s", p.path, strings.Join(args, " "), err, &talk)
	}
	state := cmd.ProcessState
	return figures{time.Since(began), state.UserTime() + state.SystemTime(), peak(state.SysUsage().(*syscall.Rusage))}, nil
}

func peak(usage *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" { // which counts bytes
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
