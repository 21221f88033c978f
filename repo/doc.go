// Package repo is the brain of publisher: it reads and verifies collections,
// applies changes to them, and commits the result.
//
// Two straight lines run through it:
//
//	publish:  Load ─▶ verify ─▶ apply changelist ─▶ sign ─▶ upload targets ─▶ Submission ─▶ Commit
//	commit:   Load ─▶ verify submission ─▶ write slots ─▶ snapshot ─▶ timestamp (compare-and-swap) ─▶ Receipt
//
// Commit is the only code that writes metadata. Where it runs is one function
// value: here, when the caller holds the snapshot and timestamp keys, or
// somewhere else that does.
//
// The package has no flags, no environment, no clock and no terminal; stores,
// keys, time and files come in through its callers. Everything it reads is
// hostile until it is verified from a trusted root.
package repo
