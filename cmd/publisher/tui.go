package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// This file is how the program speaks. The rules: results go to stdout, as text
// or, with --json, as one JSON value; everything else goes to stderr, without a
// capital or a period; colour and progress only on a terminal.

var (
	red  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red)
	cyan = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	warn = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
)

func (a *app) errorf(format string, args ...any) {
	a.talk(red.Render("error:"), format, args...)
}

func (a *app) hintf(format string, args ...any) {
	a.talk(cyan.Render("hint:"), format, args...)
}

// warnf tells of something that works, and may not be meant.
func (a *app) warnf(format string, args ...any) {
	if !a.flags.quiet {
		a.talk(warn.Render("warning:"), format, args...)
	}
}

// infof tells what was done.
func (a *app) infof(format string, args ...any) {
	if !a.flags.quiet {
		a.talk("", format, args...)
	}
}

// debugf tells what happens, to those who asked.
func (a *app) debugf(format string, args ...any) {
	if a.flags.verbose {
		a.talk("", format, args...)
	}
}

// talk tells something in as much style as stderr can show, and with NO_COLOR
// in none at all. It cannot report a failure anywhere, so it does not.
func (a *app) talk(label, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if label != "" {
		text = label + " " + text
	}
	styled := colorprofile.NewWriter(a.err, os.Environ())
	if os.Getenv("NO_COLOR") != "" {
		styled.Profile = colorprofile.NoTTY
	}
	_, _ = fmt.Fprintln(styled, text)
}

// result prints a result: v as JSON, or what text writes.
func (a *app) result(v any, text func(w io.Writer) error) error {
	if !a.flags.json {
		return text(a.out)
	}
	err := json.MarshalWrite(a.out, v, json.Deterministic(true), jsontext.Multiline(true), json.FormatNilSliceAsNull(false))
	if err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	_, err = fmt.Fprintln(a.out)
	return err
}

// counted is a number of things, whose plural ends in s.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printTable prints rows under a header, in columns as wide as their content.
// (The table of lipgloss lays out terminals, and takes seconds for 10,000 rows.)
func printTable(w io.Writer, header []string, rows [][]string) error {
	rows = append([][]string{header}, rows...)
	widths := make([]int, len(header))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	out := bufio.NewWriter(w)
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+2))
		}
		// Errors stay with the writer until Flush.
		_, _ = fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
	return out.Flush()
}

// progress is a bar for work of total bytes, or -1 for an unknown number, that
// appears if the work takes more than a second, on a terminal only. Its advance
// is safe for concurrent use; finish takes the bar away.
func (a *app) progress(what string, total int64) (advance func(n int64), finish func()) {
	return a.bar(what, total, progressbar.OptionShowBytes(true))
}

// progressOf is progress for a number of things.
func (a *app) progressOf(what string, total int) (advance, finish func()) {
	add, finish := a.bar(what, int64(total), progressbar.OptionShowCount())
	return func() { add(1) }, finish
}

func (a *app) bar(what string, total int64, unit progressbar.Option) (advance func(n int64), finish func()) {
	if a.flags.quiet || !isTerminal(a.err) {
		return func(int64) {}, func() {}
	}
	started := time.Now()
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(delayed{a.err, started.Add(time.Second)}),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
		unit,
	)
	// Else its clock starts with the first advance, which may be all of the work,
	// and it shows a rate of terabytes per second.
	bar.StartWithoutRender()
	// A bar that cannot be drawn is no reason to fail. It is drawn after the first
	// second also if nothing advances then.
	first := time.AfterFunc(time.Second, func() { _ = bar.RenderBlank() })
	return func(n int64) { _ = bar.Add64(n) }, func() { first.Stop(); _ = bar.Finish() }
}

// wait shows for how long something has been waited for, from the first second
// on, on a terminal only, until stop is called.
func (a *app) wait(what string) (stop func()) {
	if a.flags.quiet || !isTerminal(a.err) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		started, tick := time.Now(), time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = fmt.Fprintf(a.err, "\r%s, %v", what, time.Since(started).Round(time.Second))
			case <-ctx.Done():
				_, _ = fmt.Fprint(a.err, "\r\x1b[K")
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// silence is how long an interrupted command ends without a word.
const silence = 300 * time.Millisecond

// tellEnding tells of what an interrupted upload waits for, if it takes a while,
// until stop is called.
func (a *app) tellEnding(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(silence):
			a.infof("interrupted: parts of files are on their way; waiting for the store to answer, for some seconds, and to drop them")
		case <-done:
		}
	})
	return func() {
		forget()
		close(done)
	}
}

// delayed swallows what is written before a moment.
type delayed struct {
	w    io.Writer
	from time.Time
}

func (d delayed) Write(p []byte) (int, error) {
	if time.Now().Before(d.from) {
		return len(p), nil
	}
	return d.w.Write(p)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
