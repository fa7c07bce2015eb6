// See bench/programs/gcbench.cc.
package main

import (
	"math"
	"sync"

	"tricolor/bench/programs/common"
)

type node struct {
	left, right *node
	i, j        uint64
}

const minDepth = 4

func treeSize(depth int) uint64 { return 2<<depth - 1 }

func populate(depth int, n *node) {
	if depth == 0 {
		return
	}
	n.left = &node{}
	n.right = &node{}
	n.i = uint64(depth)
	populate(depth-1, n.left)
	populate(depth-1, n.right)
}

func makeTree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	left, right := makeTree(depth-1), makeTree(depth-1)
	return &node{left: left, right: right, i: uint64(depth)}
}

func (n *node) sum() uint64 {
	if n == nil {
		return 0
	}
	return 1 + n.i + n.left.sum() + n.right.sum()
}

func construction(depth, largest int) uint64 {
	rounds := 2 * treeSize(largest) / treeSize(depth)
	checksum := uint64(0)
	for i := uint64(0); i < rounds; i++ {
		tree := &node{}
		populate(depth, tree)
		checksum += tree.i
	}
	for i := uint64(0); i < rounds; i++ {
		checksum += makeTree(depth).left.i
	}
	return checksum
}

func run(depth int) uint64 {
	checksum := makeTree(depth).i
	longLived := &node{}
	populate(depth-2, longLived)
	array := make([]float64, 2<<depth)
	for i := range array {
		array[i] = 1 / float64(i+1)
	}
	for d := minDepth; d <= depth-2; d += 2 {
		checksum = common.Mixed(checksum, construction(d, depth))
	}
	checksum = common.Mixed(checksum, longLived.sum())
	return common.Mixed(checksum, math.Float64bits(array[999]))
}

func main() {
	var program common.Program
	depth := int(common.Number("--depth", 21, 16))
	checksums := make([]uint64, common.Threads())
	program.Begin()
	var group sync.WaitGroup
	for t := range checksums {
		group.Add(1)
		go func(t int) {
			defer group.Done()
			checksums[t] = run(depth)
		}(t)
	}
	group.Wait()
	checksum := uint64(0)
	for _, one := range checksums {
		checksum = common.Mixed(checksum, one)
	}
	program.End(checksum, nil)
}
