//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// one measures publishing one more target into a collection of size.
func (b *bench) one(size, runs int) error {
	base, err := b.files(size, 1024)
	if err != nil {
		return err
	}
	o, err := b.newOurs(base)
	if err != nil {
		return err
	}
	t, err := b.newTheirs(base)
	if err != nil {
		return err
	}
	add := func(name string, calls func(...string) [][]string) *contender {
		return &contender{name: name, run: func(int) (figures, error) {
			file, err := b.newFile()
			if err != nil {
				return figures{}, err
			}
			return o.measure(b.ctx, calls(filepath.Base(file), file)...)
		}}
	}
	once, twice := add("publisher add -p", o.atOnce), add("publisher add, publish", o.inTwo)
	tuf := &contender{name: "tuf add, snapshot, timestamp, commit", run: func(int) (figures, error) {
		file, err := b.newFile()
		if err == nil {
			err = t.stage(filepath.Dir(file))
		}
		if err != nil {
			return figures{}, err
		}
		return t.measure(b.ctx, t.publish()...)
	}}
	if err := alternate(runs, tuf, once, twice); err != nil {
		return err
	}
	requests, err := b.countOne(o)
	if err != nil {
		return err
	}
	goal := ""
	if size >= 10_000 {
		goal = atMost("CPU", 1, ratio(cpu, once, tuf))
	}
	return printTable(fmt.Sprintf("1 target into a collection of %d", size), tuf,
		row{once, requests, goal}, row{c: twice}, row{c: tuf})
}

// many measures adding and publishing n files of 1 KB to an empty collection.
func (b *bench) many(n, runs int) error {
	source, err := b.files(n, 1024)
	if err != nil {
		return err
	}
	add := func(name string, calls func(*ours) [][]string) *contender {
		return &contender{name: name, run: func(int) (figures, error) {
			o, err := b.newOurs("")
			if err != nil {
				return figures{}, err
			}
			return o.measure(b.ctx, calls(o)...)
		}}
	}
	once := add("publisher add -R -p", func(o *ours) [][]string { return o.atOnce("-R", source) })
	twice := add("publisher add -R, publish", func(o *ours) [][]string { return o.inTwo("-R", source) })
	tuf := b.tufAll(source)
	if err := alternate(runs, tuf, once, twice); err != nil {
		return err
	}
	requests, err := b.countMany(source)
	if err != nil {
		return err
	}
	return printTable(fmt.Sprintf("%d files of 1 KB into a new collection", n), tuf,
		row{once, requests, atMost("CPU", 0.5, ratio(cpu, once, tuf))}, row{c: twice}, row{c: tuf})
}

// tufAll has tuf publish what is below source in a new repository.
func (b *bench) tufAll(source string) *contender {
	return &contender{name: "tuf add, snapshot, timestamp, commit", run: func(int) (figures, error) {
		t, err := b.newTheirs("")
		if err == nil {
			err = t.stage(source)
		}
		if err != nil {
			return figures{}, err
		}
		return t.measure(b.ctx, t.publish()...)
	}}
}

// big measures adding and publishing n files of length bytes to an empty
// collection.
func (b *bench) big(n int, length int64, runs int) error {
	source, err := b.files(n, length)
	if err != nil {
		return err
	}
	own := &contender{name: "publisher add -R -p", run: func(int) (figures, error) {
		o, err := b.newOurs("")
		if err != nil {
			return figures{}, err
		}
		defer os.RemoveAll(o.dir)
		return o.measure(b.ctx, o.atOnce("-R", source)...)
	}}
	base := &contender{name: "sha256sum, cp, sync", run: func(int) (figures, error) { return b.byHand(source) }}
	tuf := b.tufAll(source)
	if err := alternate(runs, tuf, own, base); err != nil {
		return err
	}
	requests, err := b.countMany(source)
	if err != nil {
		return err
	}
	goals := atLeast("speed", 0.8, ratio(wall, base, own)) + ", " + atMost("MB", 64, float64(own.median().memory)/1e6)
	return printTable(fmt.Sprintf("%d files of %d MB into a new collection", n, length/1e6), base,
		row{own, requests, goals}, row{c: tuf}, row{c: base})
}

// byHand hashes, copies and makes durable what is below source.
func (b *bench) byHand(source string) (sum figures, err error) {
	dir, err := b.fresh()
	if err != nil {
		return sum, err
	}
	defer os.RemoveAll(dir)
	files, err := filepath.Glob(filepath.Join(source, "*", "*"))
	if err != nil {
		return sum, err
	}
	syscall.Sync()
	for _, call := range [][]string{
		append([]string{"sha256sum"}, files...),
		{"cp", "-R", source, filepath.Join(dir, "copy")},
		{"sync"},
	} {
		f, err := program{path: call[0], dir: dir}.call(b.ctx, call[1:])
		if err != nil {
			return sum, err
		}
		sum = sum.add(f)
	}
	return sum, nil
}

// files makes n files of length random bytes, a hundred to a directory, and
// returns the directory above.
func (b *bench) files(n int, length int64) (string, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("%d-files-of-%d", n, length))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	for i := range n {
		file := filepath.Join(dir, fmt.Sprintf("%03d", i/100), fmt.Sprintf("file%05d.bin", i))
		if err := writeRandom(file, length); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// newFile makes another file of 1 KB, alone in its directory.
func (b *bench) newFile() (string, error) {
	dir, err := b.fresh()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, filepath.Base(dir)+".bin")
	return file, writeRandom(file, 1024)
}

// random is the same in each run of this program, so that names and contents
// are.
var random = rand.NewChaCha8([32]byte{})

func writeRandom(file string, length int64) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, random, length)
	return errors.Join(err, f.Close())
}
