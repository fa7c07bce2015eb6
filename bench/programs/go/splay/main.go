// See bench/programs/splay.cc.
package main

import "tricolor/bench/programs/common"

type payload struct {
	left, right *payload
	numbers     []uint64
}

type node struct {
	left, right *node
	payload     *payload
	key         uint64
}

const (
	payloadDepth = 4
	numbers      = 10
	nodesPerMB   = 400
)

func makePayload(depth int, key uint64) *payload {
	if depth > 0 {
		return &payload{left: makePayload(depth-1, key), right: makePayload(depth-1, key+1)}
	}
	p := &payload{numbers: make([]uint64, numbers)}
	for i := range p.numbers {
		p.numbers[i] = key + uint64(i)
	}
	return p
}

func (p *payload) sum() uint64 {
	if p.left == nil {
		return p.numbers[0] ^ p.numbers[numbers-1]
	}
	return p.left.sum()*31 + p.right.sum()
}

func splay(root *node, key uint64) *node {
	if root == nil {
		return nil
	}
	var header node
	less, greater := &header, &header
	for key != root.key {
		if key < root.key {
			if root.left == nil {
				break
			}
			if key < root.left.key {
				up := root.left
				root.left = up.right
				up.right = root
				root = up
				if root.left == nil {
					break
				}
			}
			greater.left = root
			greater = root
			root = root.left
		} else {
			if root.right == nil {
				break
			}
			if key > root.right.key {
				up := root.right
				root.right = up.left
				up.left = root
				root = up
				if root.right == nil {
					break
				}
			}
			less.right = root
			less = root
			root = root.right
		}
	}
	less.right = root.left
	greater.left = root.right
	root.left = header.right
	root.right = header.left
	return root
}

func insert(root *node, key uint64) *node {
	root = splay(root, key)
	n := &node{key: key, payload: makePayload(payloadDepth, key)}
	if root == nil {
		return n
	}
	if key > root.key {
		n.left = root
		n.right = root.right
		root.right = nil
	} else {
		n.right = root
		n.left = root.left
		root.left = nil
	}
	return n
}

func removeBefore(root *node) uint64 {
	if root.left == nil {
		return 0
	}
	victim := splay(root.left, root.key)
	root.left = victim.left
	return common.Mixed(victim.key, victim.payload.sum())
}

func main() {
	var program common.Program
	live := common.Number("--live-mb", 128, 8) * nodesPerMB
	steps := common.Number("--steps", 1_000_000, 20_000)
	random := common.Random(1)
	var tree *node
	for i := uint64(0); i < live; i++ {
		tree = insert(tree, random.Next()>>1)
	}
	requests := common.NewRequests(0)
	checksum := uint64(0)
	program.Begin()
	requests.Begin()
	for i := uint64(0); i < steps; i++ {
		tree = insert(tree, random.Next()>>1)
		checksum = common.Mixed(checksum, removeBefore(tree))
		requests.Done()
	}
	program.End(checksum, requests)
}
