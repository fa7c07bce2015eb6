// See bench/programs/syntax_trees.cc.
package main

import "tricolor/bench/programs/common"

const (
	number = iota
	name
	add
	multiply
	assign
	sequence
)

const (
	functions      = 16
	statements     = 24
	documentsPerMB = 4
)

type node struct {
	first, second *node
	name          []byte
	value         uint64
	kind          uint32
}

type scope struct {
	outer      *scope
	assignment *node
}

type document struct{ functions [functions]*node }

var requests *common.Requests

func makeName(value uint64) *node {
	n := &node{kind: name, value: value, name: make([]byte, 4+value%29)}
	for i := range n.name {
		n.name[i] = byte('a' + (value+uint64(i))%26)
	}
	return n
}

func parseExpression(random *common.Random, depth int) *node {
	choice := random.Below(8)
	if depth == 0 || choice < 2 {
		if choice%2 == 0 {
			return &node{kind: number, value: uint64(random.Below(1000))}
		}
		return makeName(uint64(random.Below(64)))
	}
	left := parseExpression(random, depth-1)
	right := parseExpression(random, depth-1)
	kind := uint32(multiply)
	if choice < 5 {
		kind = add
	}
	return &node{kind: kind, first: left, second: right}
}

func parseFunction(random *common.Random) *node {
	var function *node
	for i := uint64(0); i < statements; i++ {
		n := &node{kind: assign, value: i}
		n.first = makeName(uint64(random.Below(64)))
		n.second = parseExpression(random, 4)
		function = &node{kind: sequence, value: i, first: n, second: function}
		requests.Tick()
	}
	return function
}

func fold(n *node) *node {
	if n.kind == number {
		return &node{kind: number, value: n.value}
	}
	if n.kind == name {
		return makeName(n.value)
	}
	first := fold(n.first)
	var second *node
	if n.second != nil {
		second = fold(n.second)
	}
	if (n.kind == add || n.kind == multiply) && first.kind == number && second.kind == number {
		if n.kind == add {
			first.value += second.value
		} else {
			first.value *= second.value
		}
		return first
	}
	return &node{kind: n.kind, value: n.value, first: first, second: second}
}

func resolve(n *node, in *scope) uint64 {
	switch n.kind {
	case number:
		return n.value
	case name:
		for s := in; s != nil; s = s.outer {
			if s.assignment.first.value == n.value {
				return s.assignment.value + uint64(len(n.name))
			}
		}
		return uint64(n.name[0])
	}
	first := resolve(n.first, in)
	if n.kind == add {
		return common.Mixed(first, resolve(n.second, in))
	}
	return first ^ resolve(n.second, in)*31
}

func check(function *node) uint64 {
	sum := uint64(0)
	var in *scope
	for s := function; s != nil; s = s.second {
		sum = common.Mixed(sum, resolve(s.first.second, in))
		in = &scope{in, s.first}
	}
	return sum
}

func replace(d *document, f int, random *common.Random) uint64 {
	folded := fold(parseFunction(random))
	requests.Tick()
	sum := check(folded)
	d.functions[f] = folded
	return sum
}

func main() {
	var program common.Program
	store := make([]*document, common.Number("--live-mb", 128, 8)*documentsPerMB)
	count := common.Number("--requests", 60_000, 3_000)
	requests = common.NewRequests(common.Number("--interval", 0, 0))
	random := common.Random(1)
	checksum := uint64(0)
	rebuild := func(d int) {
		fresh := &document{}
		for f := range fresh.functions {
			checksum = common.Mixed(checksum, replace(fresh, f, &random))
		}
		store[d] = fresh
	}
	requests.Begin()
	for d := range store {
		rebuild(d)
	}
	requests.Begin()
	program.Begin()
	for i := uint64(1); i <= count; i++ {
		requests.Await()
		d := int(random.Below(uint32(len(store))))
		if i%64 == 0 {
			rebuild(d)
		} else {
			f := int(random.Below(functions))
			checksum = common.Mixed(checksum, replace(store[d], f, &random))
		}
		requests.Done()
	}
	program.End(checksum, requests)
}
