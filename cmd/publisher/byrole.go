package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// byRole is a flag's values by role, role=value, which may be repeated; for each
// role once. Else the last one would count, and nobody be told.
type byRole map[string]string

// Set is pflag.Value's.
func (b *byRole) Set(text string) error {
	if *b == nil {
		*b = byRole{}
	}
	for part := range strings.SplitSeq(text, ",") {
		role, value, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("%q must be formatted as role=value", part)
		}
		if _, twice := (*b)[role]; twice {
			return fmt.Errorf("%s is given twice", role)
		}
		(*b)[role] = value
	}
	return nil
}

// Type is pflag.Value's.
func (*byRole) Type() string { return "role=value" }

// String is pflag.Value's: what Set reads.
func (b *byRole) String() string {
	var parts []string
	for _, role := range slices.Sorted(maps.Keys(*b)) {
		parts = append(parts, role+"="+(*b)[role])
	}
	return strings.Join(parts, ",")
}
