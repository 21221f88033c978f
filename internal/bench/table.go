//go:build unix

package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// A row is a line of a table. Requests and goals may be empty.
type row struct {
	c        *contender
	requests string
	goals    string
}

// printTable prints a table of medians, each beside that of one contender.
func printTable(title string, beside *contender, rows ...row) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s\twall\tCPU\tmemory\trequests\twall ×\tCPU ×\tto reach\n", title)
	for _, r := range rows {
		f := r.c.median()
		fmt.Fprintf(w, "  %s\t%s\t%s\t%d MB\t%s\t%.2f\t%.2f\t%s\n", r.c.name, seconds(f.wall), seconds(f.cpu),
			f.memory/1e6, r.requests, ratio(wall, r.c, beside), ratio(cpu, r.c, beside), r.goals)
	}
	return w.Flush()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func wall(f figures) time.Duration { return f.wall }
func cpu(f figures) time.Duration  { return f.cpu }

// ratio is how many times as much of something c takes as d, by the medians.
func ratio(of func(figures) time.Duration, c, d *contender) float64 {
	return float64(of(c.median())) / float64(of(d.median()))
}

func atMost(what string, limit, got float64) string {
	return fmt.Sprintf("%s ≤ %g: %s", what, limit, verdict(got <= limit, got))
}

func atLeast(what string, limit, got float64) string {
	return fmt.Sprintf("%s ≥ %g: %s", what, limit, verdict(got >= limit, got))
}

func verdict(reached bool, got float64) string {
	if reached {
		return fmt.Sprintf("reached, %.2f", got)
	}
	return fmt.Sprintf("missed, %.2f", got)
}
