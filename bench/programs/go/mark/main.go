// See bench/programs/mark.cc.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"

	"tricolor/bench/programs/common"
)

type node interface {
	link(left, right node)
	refer(other node)
	sum() uint64
	number() uint64
}

// Of 32 and of 64 bytes.
type small struct {
	left, right, other *small
	id                 uint64
}
type large struct {
	left, right, other *large
	id                 uint64
	rest               [4]uint64
}

func (n *small) link(left, right node) { n.left, _ = left.(*small); n.right, _ = right.(*small) }
func (n *large) link(left, right node) { n.left, _ = left.(*large); n.right, _ = right.(*large) }
func (n *small) refer(other node)      { n.other = other.(*small) }
func (n *large) refer(other node)      { n.other = other.(*large) }
func (n *small) number() uint64        { return n.id }
func (n *large) number() uint64        { return n.id }

func (n *small) sum() uint64 {
	if n == nil {
		return 0
	}
	of := n.id
	if n.other != nil {
		of ^= n.other.id << 32
	}
	return common.Mixed(common.Mixed(of, n.left.sum()), n.right.sum())
}

func (n *large) sum() uint64 {
	if n == nil {
		return 0
	}
	of := n.id
	if n.other != nil {
		of ^= n.other.id << 32
	}
	return common.Mixed(common.Mixed(of, n.left.sum()), n.right.sum())
}

func link(nodes []node) node {
	if len(nodes) == 0 {
		return nil
	}
	left := (len(nodes) - 1) / 2
	nodes[0].link(link(nodes[1:1+left]), link(nodes[1+left:]))
	return nodes[0]
}

func build(count int, shape string, fresh func(id uint64) node) node {
	random := common.Random(1)
	nodes := make([]node, count)
	for i := range nodes {
		nodes[i] = fresh(uint64(i))
	}
	switch shape {
	case "shuffled", "random":
		for i := count - 1; i > 0; i-- {
			j := random.Below(uint32(i + 1))
			nodes[i], nodes[j] = nodes[j], nodes[i]
		}
	case "runs":
		const run = 64
		for i := count/run - 1; i > 0; i-- {
			j := int(random.Below(uint32(i)))
			for k := 0; k < run; k++ {
				nodes[i*run+k], nodes[j*run+k] = nodes[j*run+k], nodes[i*run+k]
			}
		}
	case "order":
	default:
		fmt.Fprintf(os.Stderr, "mark: no shape %s: order, shuffled, random or runs\n", shape)
		os.Exit(2)
	}
	root := link(nodes)
	if shape == "random" {
		for _, n := range nodes {
			n.refer(nodes[random.Below(uint32(count))])
		}
	}
	return root
}

func median(values []float64) float64 {
	sort.Float64s(values)
	half := len(values) / 2
	if len(values)%2 != 0 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

func main() {
	var program common.Program
	fresh := func(id uint64) node { return &small{id: id} }
	if bytes := common.Number("--bytes", 32, 32); bytes == 64 {
		fresh = func(id uint64) node { return &large{id: id} }
	} else if bytes != 32 {
		fmt.Fprintln(os.Stderr, "mark: objects have 32 or 64 bytes")
		os.Exit(2)
	}
	count := common.Number("--objects", 8_000_000, 500_000)
	rounds := common.Number("--collections", 5, 3)
	percent := debug.SetGCPercent(-1)
	graph := build(int(count), common.Text("--shape", "random"), fresh)
	debug.SetGCPercent(percent)
	runtime.GC()
	var walls, cpus []float64
	program.Begin()
	for i := uint64(0); i < rounds; i++ {
		wall, cpu := common.NowSeconds(), common.CPUSeconds()
		runtime.GC()
		cpus = append(cpus, (common.CPUSeconds()-cpu)*1e9/float64(count))
		walls = append(walls, (common.NowSeconds()-wall)*1e9/float64(count))
	}
	program.Stop()
	program.Figure("wall ns/object", median(walls))
	program.Figure("cpu ns/object", median(cpus))
	program.End(graph.sum(), nil)
}
