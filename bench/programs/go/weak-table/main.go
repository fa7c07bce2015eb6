//go:build go1.24

// See bench/programs/weak_table.cc. Go has weak pointers since 1.24.
package main

import (
	"weak"

	"tricolor/bench/programs/common"
)

type item struct{ words [8]uint64 }

func makeItem(number uint64) *item {
	fresh := &item{}
	for i := range fresh.words {
		fresh.words[i] = number + uint64(i)
	}
	return fresh
}

func main() {
	var program common.Program
	steps := common.Number("--steps", 2_000_000, 200_000)
	entries := common.Number("--entries", 1_000_000, 50_000)
	kept := common.Number("--kept", 200_000, 10_000)
	table := make([]weak.Pointer[item], entries)
	latest := make([]*item, kept)
	random := common.Random(1)
	checksum, misses := uint64(0), uint64(0)
	program.Begin()
	for i := uint64(0); i < steps; i++ {
		number := random.Below(uint32(entries))
		found := table[number].Value()
		if found == nil {
			found = makeItem(uint64(number))
			table[number] = weak.Make(found)
			misses++
		}
		checksum = common.Mixed(checksum, found.words[0]^found.words[7])
		latest[i%kept] = found
	}
	program.Figure("misses", float64(misses))
	program.End(checksum, nil)
}
