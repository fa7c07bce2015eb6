// See bench/programs/rotating_tree.cc.
package main

import (
	"math/bits"

	"tricolor/bench/programs/common"
)

type node struct {
	left, right *node
	number      uint64
}

const subtreeDepth = 5

func build(depth int, number uint64) *node {
	n := &node{number: number}
	if depth > 0 {
		n.left = build(depth-1, number*2+1)
		n.right = build(depth-1, number*2+2)
	}
	return n
}

func (n *node) sum() uint64 {
	if n.left == nil {
		return n.number
	}
	return common.Mixed(n.left.sum(), n.right.sum()) ^ n.number
}

func turn(n *node, depth int, path uint64) uint64 {
	for ; depth > subtreeDepth+1; depth-- {
		n.left, n.right = n.right, n.left
		if path&1 != 0 {
			n = n.left
		} else {
			n = n.right
		}
		path >>= 1
	}
	dropped := n.left.sum()
	n.left = build(subtreeDepth, path)
	n.left, n.right = n.right, n.left
	return dropped
}

func main() {
	var program common.Program
	depth := bits.Len64(common.Number("--live-mb", 128, 8)*32768) - 2
	steps := common.Number("--steps", 1_500_000, 30_000)
	tree := build(depth, 0)
	requests := common.NewRequests(0)
	random := common.Random(1)
	checksum := uint64(0)
	program.Begin()
	requests.Begin()
	for i := uint64(0); i < steps; i++ {
		checksum = common.Mixed(checksum, turn(tree, depth, random.Next()>>1))
		requests.Done()
	}
	program.End(common.Mixed(checksum, tree.sum()), requests)
}
