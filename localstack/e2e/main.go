// Command e2e proves on any endpoint that speaks the protocols of AWS, AWS's own
// included, that publisher publishes through its functions, that the schedule
// renews signatures, that submissions nobody waits for are swept, and that
// other people's clients can pull. It says what it proved, and what the endpoint
// leaves unproven.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, stockPuller)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		stop()
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	endpoint, lambdaEndpoint string
	region, name             string
	public, inbox, url       string
	create                   string

	provision        bool
	only             bool
	zip, arch        string
	functionEndpoint string
	events           time.Duration
}

func parse(args []string, out io.Writer) (o options, err error) {
	f := flag.NewFlagSet("e2e", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.endpoint, "endpoint", "", "`URL` of an emulator of AWS (default AWS itself, with credentials from where its SDK looks)")
	f.StringVar(&o.lambdaEndpoint, "lambda-endpoint", "", "`URL` where functions are invoked (default --endpoint)")
	f.StringVar(&o.region, "region", "us-east-1", "")
	f.StringVar(&o.name, "name", "publisher", "what the names of all resources begin with, as in the Terraform module")
	f.StringVar(&o.public, "public", "", "public `bucket` (default NAME-public)")
	f.StringVar(&o.inbox, "inbox", "", "`bucket` of the inbox (default NAME-inbox)")
	f.StringVar(&o.url, "url", "", "`URL` where pullers read (default the public bucket of --endpoint)")
	f.StringVar(&o.create, "create", "example.com/", "what names of collections may begin with; those made here end with the time")
	f.BoolVar(&o.provision, "provision", false, "make buckets and a key first, on an emulator")
	f.BoolVar(&o.only, "provision-only", false, "make them, and no more")
	f.StringVar(&o.zip, "zip", "", "with --provision: make the functions too, from this `file` of make lambda")
	f.StringVar(&o.arch, "arch", "arm64", "of --zip: arm64 or x86_64")
	f.StringVar(&o.functionEndpoint, "function-endpoint", "", "`URL` at which the functions reach the emulator (default what it tells them)")
	f.DurationVar(&o.events, "events", 0, "the endpoint delivers events of buckets by itself, within this `time` (default: they are sent from here)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	return o.complete(f.Args())
}

// complete fills in what follows from the rest, and refuses what does not go
// together.
func (o options) complete(rest []string) (options, error) {
	o.provision = o.provision || o.only
	set := func(s *string, standard string) {
		if *s == "" {
			*s = standard
		}
	}
	set(&o.lambdaEndpoint, o.endpoint)
	set(&o.public, o.name+"-public")
	set(&o.inbox, o.name+"-inbox")
	if o.endpoint != "" {
		set(&o.url, strings.TrimSuffix(o.endpoint, "/")+"/"+o.public)
	}
	switch {
	case len(rest) > 0:
		return o, fmt.Errorf("unknown argument %q", rest[0])
	case o.provision && o.endpoint == "":
		return o, errors.New("--provision needs --endpoint: AWS itself is provisioned by Terraform, with least privilege")
	case o.zip != "" && !o.provision:
		return o, errors.New("--zip goes with --provision")
	case o.url == "":
		return o, errors.New("--url is missing: where pullers read, an output of the Terraform module")
	}
	return o, nil
}

// run is the program, with what pulls.
func run(ctx context.Context, args []string, out io.Writer, pull puller) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	aws, err := connect(ctx, o)
	if err != nil {
		return err
	}
	p := &proof{out: out}
	if o.provision {
		if err := aws.provision(ctx, p); err != nil {
			return err
		}
	}
	if !o.only {
		if err := prove(ctx, aws, p, pull); err != nil {
			return err
		}
	}
	p.tell(aws.unproven())
	return nil
}

// A proof is what was checked.
type proof struct {
	out    io.Writer
	proven []string
}

// prove notes what a check has just shown.
func (p *proof) prove(format string, args ...any) {
	p.proven = append(p.proven, fmt.Sprintf(format, args...))
}

// tell prints everything, counted, and what remains.
func (p *proof) tell(unproven []string) {
	fmt.Fprintln(p.out)
	for i, line := range p.proven {
		fmt.Fprintf(p.out, "proven %d of %d: %s\n", i+1, len(p.proven), line)
	}
	for _, line := range unproven {
		fmt.Fprintln(p.out, "not proven here:", line)
	}
}
