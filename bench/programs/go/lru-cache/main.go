// See bench/programs/lru_cache.cc.
package main

import (
	"math/bits"
	"sync"

	"tricolor/bench/programs/common"
)

type entry struct {
	chain, newer, older *entry
	value               []byte
	key                 uint64
}

const (
	smallest     = 64
	largest      = 1984
	entriesPerMB = 900
)

type cache struct {
	buckets               []*entry
	ends                  *entry
	mask, count, capacity uint64
}

func newCache(capacity uint64) *cache {
	size := uint64(1) << bits.Len64(capacity-1)
	c := &cache{buckets: make([]*entry, size), ends: &entry{}, mask: size - 1, capacity: capacity}
	c.ends.newer, c.ends.older = c.ends, c.ends
	return c
}

func drawKey(random *common.Random, bits uint32) uint64 {
	b := random.Below(bits)
	rank := uint64(1)<<b + random.Next()&(uint64(1)<<b-1)
	return rank * 0x9e3779b97f4a7c15
}

func (c *cache) bucket(key uint64) **entry { return &c.buckets[key>>20&c.mask] }

func (e *entry) unlink() {
	e.newer.older = e.older
	e.older.newer = e.newer
}

func (c *cache) linkNewest(e *entry) {
	newest := c.ends.older
	e.older = newest
	e.newer = c.ends
	newest.newer = e
	c.ends.older = e
}

func (c *cache) evictOldest() {
	oldest := c.ends.newer
	oldest.unlink()
	at := c.bucket(oldest.key)
	for *at != oldest {
		at = &(*at).chain
	}
	*at = oldest.chain
	c.count--
}

func makeEntry(key uint64) *entry {
	e := &entry{key: key, value: make([]byte, smallest+key>>40%(largest-smallest))}
	for i := range e.value {
		e.value[i] = byte(key + uint64(i))
	}
	return e
}

func (c *cache) serve(key uint64, misses *uint64) uint64 {
	found := *c.bucket(key)
	for found != nil && found.key != key {
		found = found.chain
	}
	if found != nil {
		found.unlink()
	} else {
		*misses++
		if c.count == c.capacity {
			c.evictOldest()
		}
		found = makeEntry(key)
		head := c.bucket(key)
		found.chain = *head
		*head = found
		c.count++
	}
	c.linkNewest(found)
	size := len(found.value)
	return uint64(size) ^ uint64(found.value[0]) ^ uint64(found.value[size-1])
}

type shard struct {
	cache            *cache
	checksum, misses uint64
	requests         *common.Requests
}

func main() {
	var program common.Program
	threads := common.Threads()
	capacity := common.Number("--live-mb", 256, 8) * entriesPerMB
	count := common.Number("--requests", 1_000_000, 40_000)
	interval := common.Number("--interval", 4_000, 4_000)
	keyBits := uint32(bits.Len64(capacity)) + 2
	shards := make([]shard, threads)
	for t := range shards {
		shards[t].cache = newCache(capacity)
	}
	runAll := func(requests, interval, seed uint64) {
		var group sync.WaitGroup
		for t := range shards {
			group.Add(1)
			go func(t int) {
				defer group.Done()
				s := &shards[t]
				random := common.Random(2*uint64(t) + seed)
				s.requests = common.NewRequests(interval)
				s.requests.Begin()
				for i := uint64(0); i < requests; i++ {
					s.requests.Await()
					s.checksum = common.Mixed(s.checksum, s.cache.serve(drawKey(&random, keyBits), &s.misses))
					s.requests.Done()
				}
			}(t)
		}
		group.Wait()
	}
	runAll(4*capacity, 0, 1)
	for t := range shards {
		shards[t].misses = 0
	}
	program.Begin()
	runAll(count, interval, 2)
	checksum, misses := uint64(0), uint64(0)
	all := common.NewRequests(0)
	for t := range shards {
		checksum = common.Mixed(checksum, shards[t].checksum)
		misses += shards[t].misses
		all.Merge(shards[t].requests)
	}
	program.Figure("misses", float64(misses))
	program.End(checksum, all)
}
