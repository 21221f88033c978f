package lambda_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"publisher/internal/cost"
	"publisher/lambda"
	"publisher/storage"
)

const scheduledRun = `{"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}`

// TestBill holds what docs/deploy-aws.md says against what runs of the schedule
// cost a signer that starts anew.
func TestBill(t *testing.T) {
	for _, tt := range []struct {
		only      string
		wait      time.Duration
		run, each cost.Requests
	}{
		{lambda.Refreshing, time.Hour, cost.RefreshRun, cost.RefreshLook},
		{lambda.Refreshing, 16 * day, cost.RefreshRun, plus(cost.RefreshLook, cost.Refresh, 1)},
		{lambda.Publishing, time.Hour, cost.SweepRun, cost.SweepLook},
	} {
		for _, n := range []int{1, 3} {
			if got, want := scheduledCost(t, tt.only, tt.wait, n), plus(tt.run, tt.each, n); got != want {
				t.Errorf("%s after %v, %d collections: it cost %+v, the page says %+v", tt.only, tt.wait, n, got, want)
			}
		}
	}
}

func plus(a, b cost.Requests, n int) cost.Requests {
	return cost.Requests{Reads: a.Reads + n*b.Reads, Writes: a.Writes + n*b.Writes, KMS: a.KMS + n*b.KMS}
}

// scheduledCost is what a run costs in the function that does only that, some
// time after n collections were published.
func scheduledCost(t *testing.T, only string, wait time.Duration, n int) cost.Requests {
	t.Helper()
	e := newEstate(storage.NewMemory(), storage.NewMemory())
	for i := range n {
		if err := e.add(t.Context(), fmt.Sprintf("example.com/%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	// The first run of all looks for collections that are older than the index.
	if _, _, err := e.sweep(t.Context(), scheduledRun); err != nil {
		t.Fatal(err)
	}
	e.now = e.now.Add(wait)
	e.restart()
	e.signer.Only = only
	_, b, err := e.sweep(t.Context(), scheduledRun)
	if err != nil {
		t.Fatal(err)
	}
	return cost.Requests{
		Reads:  b.Public.Reads + b.Private.Reads,
		Writes: b.Public.Writes + b.Private.Writes + b.Public.Lists + b.Private.Lists,
		KMS:    int(b.Opened),
	}
}

// TestBillMetrics: a run writes one line on each collection.
func TestBillMetrics(t *testing.T) {
	e := newEstate(storage.NewMemory(), storage.NewMemory())
	if err := e.add(t.Context(), "example.com/a-name-of-some-length", nil); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	e.restart()
	e.signer.Metrics = &lines
	if _, _, err := e.sweep(t.Context(), `{"action": "refresh"}`); err != nil {
		t.Fatal(err)
	}
	if n := lines.Len(); bytes.Count(lines.Bytes(), []byte("\n")) != 1 || n > cost.MetricBytes || n < cost.MetricBytes*2/3 {
		t.Errorf("%d bytes, where the page says %d:\n%s", n, cost.MetricBytes, &lines)
	}
}
