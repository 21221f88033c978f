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
	for _, table := range []string{RequestTable(), MonthTable(Of(1, 1), Of(100, 100), Of(10_000, 100), Of(10_000, 10_000))} {
		if !strings.Contains(string(page), "\n\n"+table+"\n") {
			t.Errorf("docs/deploy-aws.md lacks this table:\n%s", table)
		}
	}
}

// TestOf checks one column by hand: what does not depend on publishes.
func TestOf(t *testing.T) {
	if m := Of(0, 0); math.Abs(m.S3-(2*(730+2920)*0.43e-6+(730+2*2920)*5.4e-6)) > 1e-9 || m.Metrics != 0 || math.Abs(m.Total()-m.S3-m.Lambda-1.7) > 1e-9 {
		t.Errorf("of nothing: %+v", m)
	}
	each := 1 + 5*(10+730.0/168)/730 // hours with a publish or a renewal have five metrics more
	if few, many := Of(10_000, 100).Metrics, Of(10_000, 20_000).Metrics; math.Abs(few-30*each) > 1e-9 || math.Abs(many-3000-0.1*(20_000*each-10_000)) > 1e-6 {
		t.Errorf("metrics cost %v, and %v", few, many)
	}
	// Beyond what one run sweeps, runs cost no more.
	sweep := func(n int) float64 { return Of(n+1, 0).S3 - Of(n, 0).S3 }
	if few, many := sweep(10), sweep(2000); few-many < 2900*5.4e-6 || few-many > 2950*5.4e-6 {
		t.Errorf("one more collection costs %v, then %v", few, many)
	}
}
