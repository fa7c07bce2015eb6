// See bench/programs/finalizers.cc.
package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"tricolor/bench/programs/common"
)

type handle struct {
	descriptor uint64
	state      [3]uint64
}

var closed uint64

func closeHandle(h *handle) {
	if h.state[0] == h.descriptor {
		atomic.AddUint64(&closed, 1)
	}
}

// finish collects and waits until all but the kept are closed, or none has been closed for a while.
func finish(closable uint64) {
	runtime.GC()
	before := uint64(0)
	for idle := 0; atomic.LoadUint64(&closed) < closable && idle < 200; idle++ {
		if now := atomic.LoadUint64(&closed); now != before {
			before, idle = now, 0
		}
		time.Sleep(time.Millisecond)
	}
}

func main() {
	var program common.Program
	handles := common.Number("--handles", 1_000_000, 100_000)
	kept := common.Number("--kept", 100_000, 5_000)
	inUse := make([]*handle, kept)
	checksum, mostOpen := uint64(0), uint64(0)
	program.Begin()
	for i := uint64(0); i < handles; i++ {
		h := &handle{}
		runtime.SetFinalizer(h, closeHandle)
		h.descriptor, h.state[0] = i, i
		place := &inUse[i%kept]
		if *place != nil {
			checksum = common.Mixed(checksum, (*place).descriptor)
		}
		*place = h
		if open := i + 1 - atomic.LoadUint64(&closed); open > mostOpen {
			mostOpen = open
		}
	}
	finish(handles - kept)
	program.Figure("most open", float64(mostOpen))
	program.Figure("open at the end", float64(handles-atomic.LoadUint64(&closed)))
	program.End(checksum, nil)
	runtime.KeepAlive(inUse)
}
