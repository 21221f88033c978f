package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"publisher/internal/durable"
	"publisher/repo"
)

// An output takes content that is not trusted yet. It lies in a temporary file
// until keep shows it under its name, whole; discard, which may follow keep,
// leaves nothing behind.
type output struct {
	*os.File
	keep func() error
}

// toFile is an output that becomes the file of that name, which keep replaces
// only if told to. The temporary file is beside it: that is where there must be
// room, and the permission to write.
func toFile(name string, replace bool) (*output, error) {
	if err := checkDestination(name, replace); err != nil {
		return nil, err
	}
	temp := filepath.Join(filepath.Dir(name), ".publisher-"+rand.Text())
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, unwritable(name, err)
	}
	move := durable.MoveNew
	if replace {
		move = os.Rename
	}
	keep := func() error {
		err := errors.Join(f.Sync(), f.Close())
		if err == nil {
			err = move(temp, name)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		return durable.SyncDir(filepath.Dir(name))
	}
	return &output{f, keep}, nil
}

// unwritable is an error about the file beside which the temporary one cannot
// be made, which nobody has heard of.
func unwritable(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	err = fmt.Errorf("write %s: %w", name, err)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted(err, "%s", toType("mkdir -p", filepath.Dir(name)))
	}
	return err
}

// checkDestination reports why nothing can be written under that name. What is
// no regular file stays: renaming over a device would take the device away.
func checkDestination(name string, replace bool) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s %w, and is not a regular file", name, fs.ErrExist)
	case !replace:
		return hinted(fmt.Errorf("%s: %w", name, fs.ErrExist), "--yes to replace it, or -o FILE to write another one")
	}
	return nil
}

// toStdout is an output that keep copies to stdout.
func (a *app) toStdout() (*output, error) {
	f, err := os.CreateTemp("", "publisher-")
	if err != nil {
		return nil, err
	}
	keep := func() error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.Copy(a.out, f)
		return err
	}
	return &output{f, keep}, nil
}

// discard removes the temporary file. There is nobody left to tell of an error.
func (o *output) discard() {
	_ = o.Close()
	_ = os.Remove(o.Name())
}

// copyTarget copies what must be the content of target from r to w. It fails
// with a VerifyError, after at most one byte more than the target has, if it is
// another. Until it has returned nothing that was written is to be believed.
func copyTarget(ctx context.Context, w io.Writer, r io.Reader, target repo.Target) error {
	digest, err := repo.NewDigest(target.Hashes)
	if err != nil {
		return &repo.VerifyError{File: target.Name, Err: err}
	}
	limited := io.LimitReader(&endable{ctx: ctx, r: r}, target.Length+1)
	if _, err := io.CopyBuffer(io.MultiWriter(digest, w), limited, make([]byte, 256<<10)); err != nil {
		return err
	}
	err = digest.Check()
	switch n := digest.Len(); {
	case n > target.Length:
		err = fmt.Errorf("more than the signed length of %d bytes", target.Length)
	case n < target.Length:
		err = fmt.Errorf("%d bytes, the signed length is %d", n, target.Length)
	}
	if err != nil {
		return &repo.VerifyError{File: printable(target.Name), Err: err}
	}
	return nil
}

// endable stops reading when the context ends, also while a Read waits for a
// terminal, a pipe or a server that says nothing.
type endable struct {
	ctx context.Context
	r   io.Reader
	buf []byte // r's, and not the caller's: a Read that was given up goes on
}

func (e *endable) Read(p []byte) (int, error) {
	if len(e.buf) < len(p) {
		e.buf = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	buf := e.buf[:len(p)]
	go func() {
		n, err := e.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case <-e.ctx.Done():
		e.buf = nil
		return 0, e.ctx.Err()
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	}
}
