package main

import (
	"io"

	"publisher/repo/tuf"
)

// This file is what gets the public half of a key out of the trust directory,
// for those who are to trust it.

// A publicKey is the public half of a key of the trust directory.
type publicKey struct {
	ID         string `json:"keyid"`
	Role       string `json:"role"`       // empty if not told
	Collection string `json:"collection"` // empty if not told
	Algorithm  string `json:"algorithm"`
	PEM        string `json:"public"`
}

// exportPublic is key export --public.
func (a *app) exportPublic(o keyExportOptions) error {
	selected, err := a.selectKeys(o)
	if err != nil {
		return err
	}
	found := make([]publicKey, len(selected))
	var data []byte
	for i := range selected {
		if found[i], err = a.publicKey(&selected[i]); err != nil {
			return err
		}
		data = append(data, found[i].PEM...)
	}
	toFile := o.file != "" && o.file != "-"
	if toFile {
		if err := a.exportTo(o.file, data, 0o644, counted(len(found), "public key")); err != nil {
			return err
		}
	}
	return a.result(found, func(w io.Writer) error {
		if toFile {
			return nil
		}
		_, err := w.Write(data)
		return err
	})
}

func (a *app) publicKey(held *heldKey) (publicKey, error) {
	key, err := a.publicHalf(held)
	if err != nil {
		return publicKey{}, err
	}
	text, err := publicPEM(key)
	return publicKey{held.ID, held.Role, held.Collection, key.Type, string(text)}, err
}

// publicHalf is the public half of a key: as its file has it, or else the trusted
// root of its collection. Where neither has it the key must be opened.
func (a *app) publicHalf(held *heldKey) (tuf.Key, error) {
	if key, ok := publicIn(held.pem, held.ID); ok {
		return key, nil
	}
	if key, ok := a.trustedKeys(held.Collection)[held.ID]; ok && key.ID() == held.ID {
		return key, nil
	}
	private, err := a.unlockHeld(held, held.Role)
	if err != nil {
		return tuf.Key{}, err
	}
	return private.Public()
}
