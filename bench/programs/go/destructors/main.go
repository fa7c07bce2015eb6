// See bench/programs/destructors.cc.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tricolor/bench/programs/common"
)

type handle struct {
	descriptor uint64
	name       []byte
}

var destroyed, closed uint64

func destroy(h *handle) {
	closed += h.descriptor // finalizers run one after the other
	atomic.AddUint64(&destroyed, 1)
}

func newHandle(withName bool) *handle {
	h := &handle{}
	if withName {
		h.name = []byte("longer than what a string holds within itself")
	}
	runtime.SetFinalizer(h, destroy)
	return h
}

// finish collects and waits until so many are destroyed, or none has been for a while.
func finish(dead uint64) {
	runtime.GC()
	before := uint64(0)
	for idle := 0; atomic.LoadUint64(&destroyed) < dead && idle < 200; idle++ {
		if now := atomic.LoadUint64(&destroyed); now != before {
			before, idle = now, 0
		}
		time.Sleep(time.Millisecond)
	}
}

func main() {
	var program common.Program
	threads := common.Threads()
	objects := common.Number("--objects", 4_000_000, 200_000) / uint64(threads)
	kept := common.Number("--kept", 1_000, 1_000)
	withName := common.Has("--string")
	tables := make([][]*handle, threads)
	checksums := make([]uint64, threads)
	for t := range tables {
		tables[t] = make([]*handle, kept)
	}
	program.Begin()
	var group sync.WaitGroup
	for t := range tables {
		group.Add(1)
		go func(t int) {
			defer group.Done()
			for i := uint64(0); i < objects; i++ {
				h := newHandle(withName)
				h.descriptor = i
				place := &tables[t][i%kept]
				if *place != nil {
					checksums[t] = common.Mixed(checksums[t], (*place).descriptor)
				}
				*place = h
			}
		}(t)
	}
	group.Wait()
	finish((objects - kept) * uint64(threads))
	checksum := uint64(0)
	for _, one := range checksums {
		checksum = common.Mixed(checksum, one)
	}
	program.End(checksum, nil)
	runtime.KeepAlive(tables)
}
