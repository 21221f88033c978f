package main

import (
	"cmp"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"publisher/repo/keys"
)

// maxKeyFile is how many bytes of a key file are read: some hundred keys.
const maxKeyFile = 1 << 20

// readKeyFile opens every private key in a file, "-" for stdin. What the file
// says of a key wins over the role given here.
func (a *app) readKeyFile(file, role string) ([]keys.Private, error) {
	data, err := a.readAtMost(file, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if _, err := keys.Inspect(data); err != nil {
		return nil, badKey(file, keyFileHint, err)
	}
	var all []keys.Private
	for _, block := range privateBlocks(data) {
		h := block.header
		for _, told := range []string{h.Role, h.Collection} {
			if printable(told) != told {
				return nil, badKey(file, keyFileHint, fmt.Errorf("its headers have %q", told))
			}
		}
		oldRole, oldCollection := byFileName(file)
		h.Role = keyRole(cmp.Or(h.Role, oldRole), role)
		h.Collection = cmp.Or(h.Collection, oldCollection)
		key, err := a.decodeKey(block.pem, h, keyOf(h.Role, "", h.Collection)+" in "+file, keyFileHint)
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	return all, nil
}

// A privateBlock is one private key of a file that may hold several, each with
// a passphrase of its own.
type privateBlock struct {
	pem    []byte
	header keys.Header
}

// privateBlocks takes a file apart that keys.Inspect has read.
func privateBlocks(data []byte) []privateBlock {
	var blocks []privateBlock
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return blocks
		}
		text := pem.EncodeToMemory(b)
		if headers, err := keys.Inspect(text); err == nil { // else it is a public key or a certificate
			blocks = append(blocks, privateBlock{text, headers[0]})
		}
	}
}

// readAtMost reads a file, "-" for stdin, that has at most max bytes.
func (a *app) readAtMost(file string, max int64) ([]byte, error) {
	f := a.stdin
	if file != "-" {
		var err error
		if f, err = os.Open(file); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(data)) > max {
		err = fmt.Errorf("%s has more than %d bytes", file, max)
	}
	return data, err
}
