// See bench/programs/larson.cc.
package main

import (
	"sync"

	"tricolor/bench/programs/common"
)

const (
	smallest = 10
	largest  = 500
	replaced = 100_000
)

func work(blocks [][]byte, seed uint64) uint64 {
	random := common.Random(seed)
	checksum := uint64(0)
	for i := 0; i < replaced; i++ {
		block := &blocks[random.Below(uint32(len(blocks)))]
		size := smallest + random.Below(largest-smallest)
		bytes := make([]byte, size)
		bytes[0] = byte(size)
		bytes[size-1] = byte(i)
		if *block != nil {
			checksum = common.Mixed(checksum, uint64((*block)[0]))
		}
		*block = bytes
	}
	return checksum
}

func main() {
	var program common.Program
	threads := common.Threads()
	rounds := common.Number("--rounds", 300, 10)
	arrays := make([][][]byte, threads)
	for t := range arrays {
		arrays[t] = make([][]byte, common.Number("--blocks", 20_000, 5_000))
	}
	checksums := make([]uint64, threads)
	program.Begin()
	for round := uint64(0); round < rounds; round++ {
		var group sync.WaitGroup
		for t := range arrays {
			group.Add(1)
			go func(t int) {
				defer group.Done()
				checksums[t] = common.Mixed(checksums[t], work(arrays[t], round*uint64(threads)+uint64(t)+1))
			}(t)
		}
		group.Wait()
	}
	checksum := uint64(0)
	for _, one := range checksums {
		checksum = common.Mixed(checksum, one)
	}
	program.End(checksum, nil)
}
