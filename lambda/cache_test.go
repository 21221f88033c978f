package lambda

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"
)

// held is the collections in a cache, and what they take.
func held(c *caches) (names []string, size int64) {
	for e := c.order.Front(); e != nil; e = e.Next() {
		one := e.Value.(*cache)
		names = append(names, one.collection)
		size += cacheOverhead
		for _, data := range one.files {
			size += int64(len(data))
		}
	}
	return names, size
}

func TestCacheIsBounded(t *testing.T) {
	c := newCaches(10_000)
	file := make([]byte, 1000)
	for i := range 20 {
		one := c.start(fmt.Sprint("c", i), file)
		c.keep(one)
		one.Put("snapshot.json", file)
		c.of("c0") // used all the time
		if names, size := held(c); size > c.max || size != c.size || len(names) != len(c.by) {
			t.Fatalf("it holds %v, %d bytes, and counts %d", names, size, c.size)
		}
	}
	names, _ := held(c)
	if got := strings.Join(names, " "); got != "c0 c19 c18" {
		t.Errorf("it holds %s, want the ones used last", got)
	}
	if c.of("c1") != nil {
		t.Error("c1 is still there")
	}
}

// TestCacheDropped: who holds a cache that was dropped can go on.
func TestCacheDropped(t *testing.T) {
	c := newCaches(4000)
	one := c.start("one", []byte("root"))
	c.keep(one)
	one.Put("targets.json", make([]byte, 5000)) // more than there may be in all
	if c.of("one") != nil || c.size != 0 {
		t.Errorf("it is still there, with %d bytes", c.size)
	}
	one.Put("snapshot.json", make([]byte, 5000))
	if data, err := one.Get("root.json"); string(data) != "root" || err != nil || c.size != 0 {
		t.Errorf("%q %v, %d bytes", data, err, c.size)
	}
	c.keep(one)
	if c.of("one") != nil || c.size != 0 {
		t.Errorf("it came back, with %d bytes", c.size)
	}
}

func TestCacheKeepsTheNewestRootAlone(t *testing.T) {
	c := newCaches(10_000)
	one := c.start("one", []byte("1"))
	one.Put("2.root.json", []byte("2"))
	one.Put("root.json", []byte("2"))
	if _, err := one.Get("2.root.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an old root is kept: %v", err)
	}
	if data, err := one.Get("root.json"); string(data) != "2" || err != nil {
		t.Errorf("root.json is %q, %v", data, err)
	}
	newer := c.start("one", []byte("3"))
	c.keep(one)
	c.keep(newer)
	if c.of("one") != newer || c.order.Len() != 1 || c.size != newer.size {
		t.Error("a collection has two caches")
	}
}

func TestCacheReplace(t *testing.T) {
	c := newCaches(10_000)
	one := c.start("c", []byte("root"))
	c.keep(one)
	for _, tt := range []struct {
		old, data string
		done      bool
		want      string
	}{
		{"what is not there", "1", false, ""},
		{"", "1", true, "1"},
		{"", "2", false, "1"},
		{"1", "two", true, "two"},
	} {
		done, err := one.Replace("timestamp.json", []byte(tt.old), []byte(tt.data))
		if got, _ := one.Get("timestamp.json"); err != nil || done != tt.done || string(got) != tt.want {
			t.Errorf("%q by %q: %v, %v; %q is there", tt.old, tt.data, done, err, got)
		}
	}
	if _, size := held(c); size != c.size {
		t.Errorf("it holds %d bytes and counts %d", size, c.size)
	}
}

func TestCacheForManyAtOnce(t *testing.T) {
	c := newCaches(5000)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 200 {
				name := fmt.Sprint(j % 5)
				one := c.of(name)
				if one == nil {
					one = c.start(name, make([]byte, 100))
				}
				one.Put("snapshot.json", make([]byte, 100*i))
				c.keep(one)
			}
		})
	}
	group.Wait()
	if names, size := held(c); size != c.size || size > c.max {
		t.Errorf("it holds %v, %d bytes, and counts %d", names, size, c.size)
	}
}

func TestOpenedIsBounded(t *testing.T) {
	o := newOpened()
	s := &bound{}
	for i := range maxOpened + 10 {
		o.put(fmt.Sprint(i), s, nil)
		o.put(fmt.Sprint(i), signature.Signer(nil), nil) // there already
		o.get("0")
	}
	if o.order.Len() != maxOpened || len(o.by) != maxOpened {
		t.Errorf("%d and %d are open, want %d", o.order.Len(), len(o.by), maxOpened)
	}
	if o.get("0") != s || o.get("1") != nil || o.get(fmt.Sprint(maxOpened+9)) != s {
		t.Error("those open are not those used last")
	}
}
