// See bench/programs/binary_trees.cc.
package main

import "tricolor/bench/programs/common"

type node struct{ left, right *node }

const minDepth = 4

func build(depth int) *node {
	n := &node{}
	if depth > 0 {
		n.left = build(depth - 1)
		n.right = build(depth - 1)
	}
	return n
}

func (n *node) count() uint64 {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func main() {
	var program common.Program
	depth := int(common.Number("--depth", 21, 16))
	program.Begin()
	checksum := build(depth + 1).count()
	longLived := build(depth)
	for d := minDepth; d <= depth; d += 2 {
		nodes := uint64(0)
		for i := 0; i < 1<<(depth-d+minDepth); i++ {
			nodes += build(d).count()
		}
		checksum = common.Mixed(checksum, nodes)
	}
	program.End(common.Mixed(checksum, longLived.count()), nil)
}
