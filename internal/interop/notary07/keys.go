package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"

	"github.com/theupdateframework/notary/tuf/data"
	"github.com/theupdateframework/notary/tuf/utils"
)

// keyPassphrase is that of every encrypted key.
const keyPassphrase = "notary-secret"

// writeKeys writes each kind of key as v0.7.0 does, plain and encrypted, and as Notary did before 0.6, in the PEM blocks
// that v0.7.0 still reads.
func writeKeys(dir string) error {
	for _, kind := range []string{data.ECDSAKey, data.RSAKey, data.ED25519Key} {
		key, err := generate(kind)
		if err != nil {
			return err
		}
		for name, passphrase := range map[string]string{"plain": "", "encrypted": keyPassphrase} {
			text, err := utils.ConvertPrivateKeyToPKCS8(key, data.CanonicalTargetsRole, "docker.io/library/"+data.GUN(kind), passphrase)
			if err != nil {
				return err
			}
			if err := write(dir, kind+"-"+name+".pem", text); err != nil {
				return err
			}
			if text, err = before06(kind, key, passphrase); err != nil {
				return err
			}
			if err := write(dir, kind+"-"+name+"-old.pem", text); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(dir, name string, text []byte) error {
	return os.WriteFile(filepath.Join(dir, name), text, 0o600)
}

func generate(kind string) (data.PrivateKey, error) {
	if kind != data.RSAKey {
		return utils.GenerateKey(kind)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return utils.RSAToPrivateKey(key)
}

// before06 is the PEM block of a key as Notary wrote it until it took to PKCS#8.
func before06(kind string, key data.PrivateKey, passphrase string) ([]byte, error) {
	name := map[string]string{data.ECDSAKey: "EC", data.RSAKey: "RSA", data.ED25519Key: "ED25519"}[kind] + " PRIVATE KEY"
	block := &pem.Block{Type: name, Bytes: key.Private()}
	if passphrase != "" {
		var err error
		if block, err = x509.EncryptPEMBlock(rand.Reader, name, key.Private(), []byte(passphrase), x509.PEMCipherAES256); err != nil {
			return nil, err
		}
	}
	if block.Headers == nil {
		block.Headers = map[string]string{}
	}
	block.Headers["role"] = "targets"
	text := pem.EncodeToMemory(block)
	_, err := utils.ParsePEMPrivateKey(text, passphrase) // Notary's word that it is one
	return text, err
}
