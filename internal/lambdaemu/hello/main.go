// The hello command is a Lambda function that does little: what others are
// compared with, and everything that a function can do wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// A request says what to do. Without anything, the answer is hello.
type request struct {
	Do    string
	Sleep time.Duration
	Size  int
}

type answer struct {
	Hello    string
	PID      int
	Calls    int           // of this process
	Deadline time.Duration // from now
	Large    string        `json:",omitempty"`
}

var calls int

func main() {
	switch os.Getenv("HELLO_INIT") {
	case "exit":
		fmt.Fprintln(os.Stderr, "hello: no, I will not start")
		os.Exit(3)
	case "report":
		report()
	}
	lambda.Start(handle)
}

// report tells the runtime why it does not start.
func report() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	resp, err := http.Post(api, "application/json", strings.NewReader(`{"errorType":"Hello.Config","errorMessage":"no configuration"}`))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		resp.Body.Close()
	}
	os.Exit(1)
}

func handle(ctx context.Context, r request) (answer, error) {
	calls++
	fmt.Println("hello: call", calls)
	time.Sleep(r.Sleep)
	switch r.Do {
	case "fail":
		return answer{}, errors.New("as I was told")
	case "panic":
		panic("as I was told")
	case "exit":
		os.Exit(4)
	}
	deadline, _ := ctx.Deadline()
	return answer{
		Hello: os.Getenv("AWS_LAMBDA_FUNCTION_NAME"), PID: os.Getpid(), Calls: calls,
		Deadline: time.Until(deadline), Large: strings.Repeat("x", r.Size),
	}, nil
}
