package repo

import (
	"bytes"
	"fmt"
	"io/fs"
	"sync"
)

// NewMemoryCache is a Cache for one run, that starts with a trusted root.
func NewMemoryCache(root []byte) Cache {
	return &memoryCache{files: map[string][]byte{"root.json": root}}
}

type memoryCache struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (m *memoryCache) Get(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[name]
	if !ok {
		return nil, fmt.Errorf("cached %s: %w", name, fs.ErrNotExist)
	}
	return data, nil
}

func (m *memoryCache) Put(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = data
	return nil
}

func (m *memoryCache) Replace(name string, old, data []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.files[name], old) {
		return false, nil
	}
	m.files[name] = data
	return true, nil
}
