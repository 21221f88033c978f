// Command user makes a user of a MinIO server, with the policy that it reads
// from stdin and no other: user HOST:PORT NAME SECRET. The administrator's
// credentials are in MINIO_ROOT_USER and MINIO_ROOT_PASSWORD.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/minio/madmin-go/v3"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: user HOST:PORT NAME SECRET < POLICY")
	}
	host, name, secret := args[0], args[1], args[2]
	admin, err := madmin.New(host, os.Getenv("MINIO_ROOT_USER"), os.Getenv("MINIO_ROOT_PASSWORD"), false)
	if err != nil {
		return err
	}
	document, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if err := admin.AddCannedPolicy(ctx, name, document); err != nil {
		return fmt.Errorf("make the policy %s: %w", name, err)
	}
	if err := admin.AddUser(ctx, name, secret); err != nil {
		return fmt.Errorf("make the user %s: %w", name, err)
	}
	if _, err := admin.AttachPolicy(ctx, madmin.PolicyAssociationReq{Policies: []string{name}, User: name}); err != nil {
		return fmt.Errorf("give %s its policy: %w", name, err)
	}
	return nil
}
