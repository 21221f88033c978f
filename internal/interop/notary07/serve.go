package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/sirupsen/logrus"
	"github.com/theupdateframework/notary"
	"github.com/theupdateframework/notary/cryptoservice"
	"github.com/theupdateframework/notary/passphrase"
	pb "github.com/theupdateframework/notary/proto"
	"github.com/theupdateframework/notary/server"
	"github.com/theupdateframework/notary/server/storage"
	"github.com/theupdateframework/notary/signer"
	"github.com/theupdateframework/notary/signer/api"
	"github.com/theupdateframework/notary/signer/client"
	"github.com/theupdateframework/notary/trustmanager"
	"github.com/theupdateframework/notary/tuf/data"
	"golang.org/x/net/context"
	"google.golang.org/grpc"
)

// serve runs what Notary's two daemons run, with the memory storage of both. Nobody else reaches the signer, so it speaks
// gRPC without the certificates that the daemons insist on.
func serve(stdin io.Reader, stdout io.Writer) error {
	logrus.SetOutput(os.Stderr)
	signerAddr, err := serveSigner()
	if err != nil {
		return err
	}
	conn, err := grpc.Dial(signerAddr, grpc.WithInsecure())
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx := context.WithValue(context.Background(), notary.CtxKeyMetaStore, storage.NewMemStorage())
	ctx = context.WithValue(ctx, notary.CtxKeyKeyAlgo, data.ECDSAKey)
	go http.Serve(l, server.RootHandler(ctx, nil, client.NewNotarySigner(conn), nil, nil, nil))
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())
	_, err = io.Copy(io.Discard, stdin)
	return err
}

func serveSigner() (addr string, err error) {
	keys := cryptoservice.NewCryptoService(trustmanager.NewKeyMemoryStore(passphrase.ConstantRetriever("of the signer")))
	services := signer.CryptoServiceIndex{data.ED25519Key: keys, data.ECDSAKey: keys}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := grpc.NewServer()
	pb.RegisterKeyManagementServer(s, &api.KeyManagementServer{CryptoServices: services})
	pb.RegisterSignerServer(s, &api.SignerServer{CryptoServices: services})
	go s.Serve(l)
	return l.Addr().String(), nil
}
