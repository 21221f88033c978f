package lambda

import (
	"bytes"
	"container/list"
	"io/fs"
	"strings"
	"sync"

	"publisher/storage"
)

// caches keeps verified metadata of the collections used last. Its size is
// bounded; what is dropped is read and verified again.
type caches struct {
	max int64

	mu    sync.Mutex
	size  int64
	by    map[string]*list.Element // of *cache, by collection
	order *list.List               // the one used last in front
}

func newCaches(max int64) *caches {
	return &caches{max: max, by: map[string]*list.Element{}, order: list.New()}
}

// cache is a repo.Cache of one collection. It works on after it was dropped,
// for those who hold it.
type cache struct {
	all        *caches
	collection string

	// Under all.mu.
	files map[string][]byte
	size  int64
	kept  bool // it is in all
	seen  seen
	noted storage.Version // of the note on what was seen
}

const cacheOverhead = 512 // bytes that a collection takes beside its files

// of returns the cache of a collection, nil if there is none.
func (c *caches) of(collection string) *cache {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.by[collection]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cache)
}

// start returns a new cache with a root to trust. Nobody else sees it before
// keep.
func (c *caches) start(collection string, root []byte) *cache {
	one := &cache{all: c, collection: collection, files: map[string][]byte{}, size: cacheOverhead}
	one.put("root.json", root)
	return one
}

// keep makes a cache the one of its collection.
func (c *caches) keep(one *cache) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.kept {
		return
	}
	if old, ok := c.by[one.collection]; ok {
		c.drop(old)
	}
	one.kept = true
	c.by[one.collection] = c.order.PushFront(one)
	c.size += one.size
	c.trim()
}

// forget drops what is kept of a collection.
func (c *caches) forget(collection string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.by[collection]; ok {
		c.drop(e)
	}
}

func (c *caches) drop(e *list.Element) {
	one := c.order.Remove(e).(*cache)
	delete(c.by, one.collection)
	one.kept = false
	c.size -= one.size
}

func (c *caches) trim() {
	for c.size > c.max {
		c.drop(c.order.Back())
	}
}

// lastSeen is what the note on the collection said when it was last looked at.
func (o *cache) lastSeen() (seen, storage.Version) {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	return o.seen, o.noted
}

func (o *cache) see(last seen, noted storage.Version) {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	o.seen, o.noted = last, noted
}

// Get implements repo.Cache.
func (o *cache) Get(name string) ([]byte, error) {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	data, ok := o.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// Put implements repo.Cache. Nothing reads old roots again: the newest is kept.
func (o *cache) Put(name string, data []byte) error {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	if !strings.HasSuffix(name, ".root.json") {
		o.put(name, data)
	}
	return nil
}

// Replace implements repo.Cache.
func (o *cache) Replace(name string, old, data []byte) (bool, error) {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	if !bytes.Equal(o.files[name], old) {
		return false, nil
	}
	o.put(name, data)
	return true, nil
}

func (o *cache) put(name string, data []byte) {
	grown := int64(len(data) - len(o.files[name]))
	o.files[name] = data
	o.size += grown
	if o.kept {
		o.all.size += grown
		o.all.trim()
	}
}
