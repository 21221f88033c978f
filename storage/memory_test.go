package storage_test

import (
	"testing"

	"publisher/storage"
	"publisher/storage/storagetest"
)

func TestMemory(t *testing.T) {
	storagetest.Suite{
		Open:     func(*testing.T) storage.Store { return storage.NewMemory() },
		InMemory: true,
	}.Run(t)
}

func TestMemoryUnderPrefix(t *testing.T) {
	storagetest.Suite{
		Open:     func(*testing.T) storage.Store { return storage.Prefix(storage.NewMemory(), "some/prefix") },
		InMemory: true,
	}.Run(t)
}
