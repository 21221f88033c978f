package cost

import (
	"fmt"
	"maps"
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
	for _, table := range []string{RequestTable(), MonthTable(Of(1, 1, 1), Of(100, 100, 100), Of(10_000, 100, 100), Of(10_000, 10_000, 100))} {
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
		fmt.Sprintf("logs have %d bytes", MetricBytes), fmt.Sprintf("%s bytes of each invocation", grouped(invokeBytes)),
		fmt.Sprintf("takes %.0f ms to start", 1000*initSeconds), fmt.Sprintf("each request takes %.0f ms", 1000*requestSeconds),
		fmt.Sprintf("alarms are `%d + %d·` the collections that are named", alarms, alarmsEach),
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

// TestAlarms: the module makes as many alarms as are paid for, and one dashboard.
func TestAlarms(t *testing.T) {
	text, err := os.ReadFile("../../terraform/alarms.tf")
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]int{} // resources, by what they are made for each of
	for _, m := range regexp.MustCompile(`(?m)^resource "aws_cloudwatch_(?:metric_alarm|dashboard)" "(\w+)" \{\n(?:  for_each = (\S+))?`).FindAllSubmatch(text, -1) {
		of[strings.TrimSpace(string(m[1])+" "+string(m[2]))]++
	}
	want := map[string]int{
		"function local.function_alarms": 1, "dead local.functions": 1, "clock": 1, "this": 1, // functions are two
		"expiry var.collections": 1, "collection local.collection_alarms": 1,
	}
	if !maps.Equal(of, want) {
		t.Errorf("the module has %v", of)
	}
	each := regexp.MustCompile(`(?m)^    [A-Z]\w+ += \{ periods = `).FindAll(text, -1)
	if !strings.Contains(string(text), `setproduct(keys(local.functions), ["Errors", "Throttles"])`) || alarms != 2*2+2+1 || alarmsEach != 1+len(each) {
		t.Errorf("the bill has %d alarms and %d of each collection, the module %d metrics of it", alarms, alarmsEach, len(each))
	}
}

// TestOf checks columns by hand: first what depends on no collection.
func TestOf(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	none := Of(0, 0, 0)
	near("S3", none.S3, 2*(730+2920)*0.43e-6+(730+3*2920)*5.4e-6)
	near("Lambda", none.Lambda, 3650*0.2e-6+13.3334e-6*(730*(0.1+3*0.03)/4+2920*(0.1+5*0.03)))
	near("logs", none.Logs, 3650*1000*0.63e-9)
	near("metrics", none.Metrics, 0.3)
	near("what is there once", none.Set, 1+3+0.7)
	near("the sum", none.Total(), none.S3+none.Lambda+none.Logs+0.3+4.7)

	near("to name 100", Of(10_000, 100, 100).Total()-Of(10_000, 100, 0).Total(), 40)
	each := 1 + 5*(10+730.0/168)/730 // hours with a publish or a renewal have five metrics more
	near("100 measured", Of(10_000, 100, 0).Metrics, 30*each+0.3)
	near("20,000 measured", Of(10_000, 20_000, 0).Metrics, 3000+0.1*(20_000*each+1-10_000))
	more := Of(2001, 0, 0)
	few := Of(2000, 0, 0)
	near("logs of one more", more.Logs-few.Logs, 10*5*1000*0.63e-9)
	near("Lambda for one more", more.Lambda-few.Lambda, 10*5*0.2e-6+13.3334e-6*(10*(5*0.1+0.03*31)+(730*0.03/16+730.0/168*0.3)/4))
	// Beyond what one run sweeps, runs cost no more.
	sweep := func(n int) float64 { return Of(n+1, 0, 0).S3 - Of(n, 0, 0).S3 }
	near("the sweep of one more", sweep(10)-sweep(2000), 2920*5.4e-6)
}
