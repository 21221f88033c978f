// Notary07 is the other side of what publisher imports from: Notary v0.7.0, as it was released.
//
//	notary07 serve     its server and its signer, both in memory; the server's URL on stdout, until stdin ends
//	notary07 keys DIR  its key files, of every kind and form that it wrote or reads
//
// It is a module of its own so that what Notary requires stays out of the module that tests with it. The client is
// Notary's own program, built from the same module.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve(os.Stdin, os.Stdout)
	case len(args) == 2 && args[0] == "keys":
		return writeKeys(args[1])
	}
	return errors.New("usage: notary07 serve | notary07 keys DIR")
}
