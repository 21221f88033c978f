package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"publisher/internal/forge"
	"publisher/storage/dir"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"publisher": main})
}

// TestScripts runs the stories in testdata/script through the real binary. Each
// starts with an empty trust directory in $PUBLISHER_TRUST_DIR, without
// passphrases, and has, beside the commands of testscript:
//
//	exits N publisher …    the exit code is N; if that is not 0, stderr has one
//	                       error: line and one hint: line
//	refuses N publisher …  the same, and no file in $WORK has changed
//	let NAME [REGEXP]      the variable NAME is what the last command printed, or
//	                       of that what the group of the expression matches
//	expand FILE            ${NAME} in the file becomes the value of that variable
//	onejson                the last command printed one JSON value
//	dev, signer            servers, see devServer and signerServer
//	eventually REGEXP publisher …
//	                       run again and again, it prints what matches
//	notary ARGS…           Notary's own command line, see notaryUser
//	announce COLLECTION VERSION
//	                       somebody has stolen the timestamp key and can write the
//	                       store $WORK/store: it says that version
//	edge [SUFFIX FAULT]…   the variable EDGE is where $WORK/store is served, with
//	                       faults, see edgeServer
//	s3 NAME MODE           the variable NAME is the --store of a server of that
//	                       kind, see fakeS3
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition:           scriptCondition,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"refuses": refuses,
			"let":     let,

			"announce": announce,
			"misname":  misname,
			"expand":   expand,
			"dev":      devServer,
			"onejson":  onejson,
			"s3":       fakeS3,
			"edge":     edgeServer,
			"signer":   signerServer,

			"eventually": eventually,
			"notary":     notaryUser,
		},
	})
}

// setupScript keeps what the user of the test has out of it.
func setupScript(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("HOME", home)
	env.Setenv("USERPROFILE", home)
	env.Setenv("PUBLISHER_TRUST_DIR", filepath.Join(env.WorkDir, "trust"))
	env.Setenv("NO_COLOR", "1")
	repository, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	env.Setenv("REPOSITORY", repository)
	env.Values[signerProcess{}] = &signerProcess{}
	return os.Mkdir(home, 0o700)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if got != 0 {
		checkErrorLines(ts)
	}
}

// checkErrorLines fails if an error was not told as it should be: one line says
// what is wrong, one what to do.
func checkErrorLines(ts *testscript.TestScript) {
	counts := map[string]int{}
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		label, _, _ := strings.Cut(line, " ")
		counts[label]++
	}
	if counts["error:"] != 1 || counts["hint:"] != 1 || counts["panic:"] != 0 {
		ts.Fatalf("want one error: line and one hint: line, have:\n%s", ts.ReadFile("stderr"))
	}
}

func refuses(ts *testscript.TestScript, neg bool, args []string) {
	before := workFiles(ts)
	exits(ts, neg, args)
	if diff := cmp.Diff(before, workFiles(ts)); diff != "" {
		ts.Fatalf("the files changed:\n%s", diff)
	}
}

func announce(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: announce COLLECTION VERSION")
	}
	version, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ring, err := forge.ReadRing(filepath.Join(ts.Getenv("WORK"), "trust"))
	ts.Check(err)
	store, err := dir.Open(filepath.Join(ts.Getenv("WORK"), "store"))
	ts.Check(err)
	ts.Check(forge.Announce(context.Background(), store, args[0], ring, version))
}

func misname(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: misname COLLECTION ROLE PARENT")
	}
	ring, err := forge.ReadRing(filepath.Join(ts.Getenv("WORK"), "trust"))
	ts.Check(err)
	store, err := dir.Open(filepath.Join(ts.Getenv("WORK"), "store"))
	ts.Check(err)
	h := forge.Hand{Store: store, Collection: args[0], Ring: ring}
	ts.Check(h.Misname(context.Background(), args[1], args[2]))
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP program [args...]")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		err = ts.Exec(args[1], args[2:]...)
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("no match for %s after a minute: %v", pattern, err)
}

func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: let NAME [REGEXP]")
	}
	pattern, err := regexp.Compile(append(args, `(?s)^\s*(.*?)\s*$`)[1])
	ts.Check(err)
	match := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(match) != 2 {
		ts.Fatalf("no match for a group of %s", pattern)
	}
	ts.Setenv(args[0], match[1])
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// workFiles is the content of every file below $WORK. Empty files and
// directories, such as locks, do not count, nor does what a signer that runs
// notes for itself meanwhile, or has not finished writing.
func workFiles(ts *testscript.TestScript) map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(ts.Getenv("WORK"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() || slices.Contains([]string{"_signer", ".tmp"}, filepath.Base(filepath.Dir(path))) {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if len(data) > 0 {
			files[path] = string(data)
		}
		return err
	})
	ts.Check(err)
	return files
}
