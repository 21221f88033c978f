package main

import (
	"fmt"
	"io"
	"slices"

	"publisher/repo"
	"publisher/trust"
)

// This file is what is said of a rotation that is done, or was only begun.

// rotated is the result of key rotate.
type rotated struct {
	Collection string              `json:"collection"`
	Root       int64               `json:"root_version,omitzero"` // that names the keys; 0 for those of a delegation
	Keys       map[string][]string `json:"keys"`
	Thresholds map[string]int64    `json:"thresholds"`
	Online     string              `json:"online,omitempty"` // who holds them, empty for the trust directory
	Versions   map[string]int64    `json:"versions,omitempty"`
}

func (r *rotation) report(receipt *repo.Receipt) error {
	done := rotated{Collection: r.c.Name(), Root: r.root.Version, Keys: map[string][]string{}, Thresholds: map[string]int64{}}
	switch {
	case r.delegated():
		done.Root = 0
	case r.made > 0:
		done.Root = r.made
	}
	if receipt != nil {
		done.Versions = receipt.Versions
	}
	if r.remote() {
		done.Online = r.after.Online
	}
	for _, t := range r.turns {
		role := repo.RoleToNotary(t.role)
		done.Keys[role], done.Thresholds[role] = idsOf(t.keys), t.threshold
	}
	if r.oldKeysHere() {
		after := " after the grace"
		if r.delegated() || r.o.keyLost {
			after = ""
		}
		r.app.infof("the old keys are of no more use%s: publisher key list, publisher key remove KEY-ID", after)
	}
	return r.app.result(done, func(w io.Writer) error {
		for _, t := range r.turns {
			for _, key := range t.keys {
				if _, err := fmt.Fprintf(w, "%-9s key %s, %s%s\n", repo.RoleToNotary(t.role), key.ID(), r.holder(key.ID()), since(done.Root)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// warnRotation tells of a rotation that was begun, and never reported as done.
func (a *app) warnRotation(c *trust.Collection) {
	begun, err := c.Rotation()
	if err != nil {
		return // there is none, or key rotate will say what is wrong with it
	}
	role := repo.RoleToNotary(begun.Role)
	a.warnf("a rotation of %[1]s was begun: publisher key rotate %[2]s %[1]s completes it, publisher sign %[2]s --discard gives it up", role, c.Name())
}

// oldKeysHere reports whether keys that were replaced are in the trust directory.
func (r *rotation) oldKeysHere() bool {
	for _, t := range r.turns {
		for _, id := range t.old.KeyIDs {
			if r.held(id) && !slices.Contains(idsOf(t.keys), id) {
				return true
			}
		}
	}
	return false
}

func since(root int64) string {
	if root == 0 {
		return ""
	}
	return fmt.Sprintf(", since root %d", root)
}

// holder tells who has a new key.
func (r *rotation) holder(id string) string {
	switch {
	case r.remote():
		return "of " + r.after.Online
	case r.held(id):
		return "here"
	}
	return "elsewhere"
}
