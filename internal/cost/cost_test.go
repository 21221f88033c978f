package cost

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"publisher/lambda"
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

// TestFormula: the page's formula has the numbers that are counted.
func TestFormula(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploy-aws.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, formula := range []string{
		fmt.Sprintf("`p·n·%d + r·n·%d + %d·(%d + n) + %d·%d`", Publish.Reads, Refresh.Reads, hours, RefreshRun.Reads, sweeps, SweepRun.Reads),
		fmt.Sprintf("`p·n·(%d + %d) + r·n·%d + %d·%d + %d·(%d + min(n, %d))`", Publish.Writes, SweepLook.Writes, Refresh.Writes, hours, RefreshRun.Writes, sweeps, SweepRun.Writes, sweepInboxes),
		fmt.Sprintf("`p·n·%d + r·n·%d`", Publish.KMS, Refresh.KMS),
		fmt.Sprintf("`%d + %d + %d·p·n`", hours, sweeps, 1+Publish.Events),
		fmt.Sprintf("logs have %d bytes", MetricBytes),
	} {
		if !strings.Contains(string(page), formula) {
			t.Errorf("docs/deploy-aws.md lacks %s", formula)
		}
	}
}

// TestModule: what is assumed of the Terraform module is its default, and the
// signer's.
func TestModule(t *testing.T) {
	text, err := os.ReadFile("../../terraform/variables.tf")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"refresh_schedule": `"rate(1 hour)"`, "sweep_schedule": fmt.Sprintf(`"rate(%d minutes)"`, 60*hours/sweeps),
		"refresh_memory": fmt.Sprint(1024 * refreshGB), "publish_memory": fmt.Sprint(1024 * publishGB),
	} {
		_, block, _ := strings.Cut(string(text), fmt.Sprintf("variable %q {", name))
		block, _, _ = strings.Cut(block, "\n}\n")
		if !regexp.MustCompile(`(?m)^  default +=\s` + regexp.QuoteMeta(want) + "$").MatchString(block) {
			t.Errorf("the module's %s is not %s:\n%s", name, want, block)
		}
	}
	if refreshAtOnce != lambda.DefaultConcurrency {
		t.Errorf("the signer refreshes %d at once, not %d", lambda.DefaultConcurrency, refreshAtOnce)
	}
}

// TestOf checks one column by hand: what does not depend on publishes.
func TestOf(t *testing.T) {
	if m := Of(0, 0); math.Abs(m.S3-(2*(730+2920)*0.43e-6+(730+3*2920)*5.4e-6)) > 1e-9 || m.Metrics != 0 || math.Abs(m.Total()-m.S3-m.Lambda-1.7) > 1e-9 {
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
