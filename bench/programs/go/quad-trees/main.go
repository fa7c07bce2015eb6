// See bench/programs/quad_trees.cc.
package main

import "tricolor/bench/programs/common"

const (
	white = iota
	black
	grey
)

type quad struct {
	quarters [4]*quad
	colour   uint64
}

type disc struct{ x, y, radius int64 }

func nearest(centre, low, high int64) int64 {
	if centre < low {
		return low - centre
	} else if centre > high {
		return centre - high
	}
	return 0
}

func farthest(centre, low, high int64) int64 {
	if centre-low > high-centre {
		return centre - low
	}
	return high - centre
}

func draw(d disc, x, y, size int64) *quad {
	right, bottom := x+size-1, y+size-1
	fx, fy := farthest(d.x, x, right), farthest(d.y, y, bottom)
	reach := d.radius * d.radius
	if fx*fx+fy*fy <= reach {
		return &quad{colour: black}
	}
	nx, ny := nearest(d.x, x, right), nearest(d.y, y, bottom)
	if nx*nx+ny*ny > reach {
		return &quad{colour: white}
	}
	tree := &quad{colour: grey}
	half := size / 2
	for q := range tree.quarters {
		tree.quarters[q] = draw(d, x+int64(q&1)*half, y+int64(q>>1)*half, half)
	}
	return tree
}

func (from *quad) copy(inverted bool) *quad {
	tree := &quad{colour: from.colour}
	if from.colour == grey {
		for q := range tree.quarters {
			tree.quarters[q] = from.quarters[q].copy(inverted)
		}
	} else if inverted {
		tree.colour = 1 - from.colour
	}
	return tree
}

func combine(a, b *quad, absorbing uint64) *quad {
	switch {
	case b.colour == black:
		return &quad{colour: absorbing}
	case b.colour == white:
		return a.copy(false)
	case a.colour == absorbing:
		return &quad{colour: absorbing}
	case a.colour != grey:
		return b.copy(absorbing == white)
	}
	tree := &quad{colour: grey}
	for q := range tree.quarters {
		tree.quarters[q] = combine(a.quarters[q], b.quarters[q], absorbing)
	}
	first := tree.quarters[0].colour
	for _, quarter := range tree.quarters {
		if quarter.colour == grey || quarter.colour != first {
			return tree
		}
	}
	return &quad{colour: first}
}

func (tree *quad) blackPoints(size uint64) uint64 {
	if tree.colour == black {
		return size * size
	} else if tree.colour == white {
		return 0
	}
	sum := uint64(0)
	for _, quarter := range tree.quarters {
		sum += quarter.blackPoints(size / 2)
	}
	return sum
}

func main() {
	var program common.Program
	steps := common.Number("--steps", 300, 30)
	size := int64(1) << common.Number("--size", 12, 10)
	program.Begin()
	random := common.Random(1)
	checksum := uint64(0)
	picture := &quad{}
	for i := uint64(0); i < steps; i++ {
		for _, absorbing := range []uint64{black, white} {
			x, y := int64(random.Below(uint32(size))), int64(random.Below(uint32(size)))
			d := disc{x, y, size/32 + int64(random.Below(uint32(size/8)))}
			picture = combine(picture, draw(d, 0, 0, size), absorbing)
		}
		checksum = common.Mixed(checksum, picture.blackPoints(uint64(size)))
	}
	program.End(checksum, nil)
}
