package cost

import (
	"math"
	"os"
	"strings"
	"testing"
)

// TestPage: the page shows the tables as they are computed.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploy-aws.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{RequestTable(), MonthTable(1, 100, 10_000)} {
		if !strings.Contains(string(page), "\n\n"+table+"\n") {
			t.Errorf("docs/deploy-aws.md lacks this table:\n%s", table)
		}
	}
}

// TestOf checks one column by hand: what does not depend on publishes.
func TestOf(t *testing.T) {
	if m := Of(0); math.Abs(m.S3-(2*(730+2920)*0.43e-6+(730+2*2920)*5.4e-6)) > 1e-9 || m.Metrics != 0 || math.Abs(m.Total()-m.S3-m.Lambda-1.7) > 1e-9 {
		t.Errorf("of nothing: %+v", m)
	}
	if a, b := Of(10_000), Of(10_001); math.Abs(a.Metrics-3000) > 1e-6 || math.Abs(b.Metrics-3000.1) > 1e-6 {
		t.Errorf("metrics cost %v, then %v", a.Metrics, b.Metrics)
	}
	// Beyond what one run sweeps, runs cost no more.
	sweep := func(n int) float64 { return (Of(n+1).S3 - Of(n).S3) }
	if few, many := sweep(10), sweep(2000); few-many < 2900*5.4e-6 || few-many > 2950*5.4e-6 {
		t.Errorf("one more collection costs %v, then %v", few, many)
	}
}
