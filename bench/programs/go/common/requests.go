package common

import (
	"fmt"
	"math"
	"math/bits"
	"sort"
	"strings"
)

const subBits = 8

// Histogram is histogram.h's.
type Histogram struct {
	counts [(64 - subBits + 1) << subBits]uint64
	count  uint64
	max    uint64
}

func (h *Histogram) add(value uint64) {
	bucket := value
	if value >= 1<<subBits {
		shift := uint64(bits.Len64(value)) - subBits - 1
		bucket = shift<<subBits + value>>shift
	}
	h.counts[bucket]++
	h.count++
	if value > h.max {
		h.max = value
	}
}

func lastOf(bucket uint64) uint64 {
	if bucket < 2<<subBits {
		return bucket
	}
	shift := bucket>>subBits - 1
	return (bucket-shift<<subBits+1)<<shift - 1
}

func (h *Histogram) merge(other *Histogram) {
	for i, count := range other.counts {
		h.counts[i] += count
	}
	h.count += other.count
	if other.max > h.max {
		h.max = other.max
	}
}

func (h *Histogram) percentile(percent float64) uint64 {
	wanted := uint64(math.Ceil(percent*float64(h.count)/100 - 1e-6))
	seen := uint64(0)
	for i, count := range h.counts {
		seen += count
		if seen >= wanted && seen > 0 {
			if last := lastOf(uint64(i)); last < h.max {
				return last
			}
			return h.max
		}
	}
	return h.max
}

func (h *Histogram) json() string {
	var line strings.Builder
	fmt.Fprintf(&line, "{\"unit\": \"ns\", \"count\": %d", h.count)
	for _, p := range []float64{50, 90, 99, 99.9, 99.99} {
		fmt.Fprintf(&line, ", \"p%g\": %d", p, h.percentile(p))
	}
	fmt.Fprintf(&line, ", \"max\": %d, \"curve\": [", h.max)
	for rest := 100.0; rest*float64(h.count) >= 100; rest *= 0.75 {
		fmt.Fprintf(&line, "[%.6g, %d], ", 100-rest, h.percentile(100-rest))
	}
	fmt.Fprintf(&line, "[100, %d]]}", h.max)
	return line.String()
}

type gap struct{ begin, end int64 }

const shortestGap = 10_000

var windows = [...]float64{0.1, 1, 10, 100} // ms

// Requests is requests.h's.
type Requests struct {
	interval, begin, last, due int64
	latency                    Histogram
	gaps                       []gap
	worstOfOthers              [len(windows)]float64
}

func NewRequests(interval uint64) *Requests {
	return &Requests{interval: int64(interval), gaps: make([]gap, 0, 65536), worstOfOthers: [...]float64{1, 1, 1, 1}}
}

func (r *Requests) Begin() {
	r.begin = now()
	r.last, r.due = r.begin, r.begin
}

func (r *Requests) Await() {
	r.due += r.interval
	for r.last < r.due {
		r.Tick()
	}
}

func (r *Requests) Tick() {
	t := now()
	if t-r.last > shortestGap {
		r.gaps = append(r.gaps, gap{r.last, t})
	}
	r.last = t
}

func (r *Requests) Done() {
	r.Tick()
	r.latency.add(uint64(r.last - r.due))
	if r.interval == 0 {
		r.due = r.last
	}
}

func (r *Requests) Merge(other *Requests) {
	r.latency.merge(&other.latency)
	for i, window := range windows {
		for _, x := range []float64{other.worstOfOthers[i], other.utilisation(int64(window * 1e6))} {
			if x < r.worstOfOthers[i] {
				r.worstOfOthers[i] = x
			}
		}
	}
}

func (r *Requests) utilisation(window int64) float64 {
	if r.last < r.begin+window {
		return 1
	}
	before := make([]int64, len(r.gaps)+1)
	for i, g := range r.gaps {
		before[i+1] = before[i] + g.end - g.begin
	}
	lostBefore := func(t int64) int64 {
		i := sort.Search(len(r.gaps), func(i int) bool { return r.gaps[i].begin >= t })
		if i == 0 {
			return 0
		}
		if over := r.gaps[i-1].end - t; over > 0 {
			return before[i] - over
		}
		return before[i]
	}
	worst := int64(0)
	try := func(from int64) {
		if lost := lostBefore(from+window) - lostBefore(from); lost > worst {
			worst = lost
		}
	}
	for _, g := range r.gaps {
		from := g.begin
		if from > r.last-window {
			from = r.last - window
		}
		try(from)
		to := g.end
		if to < r.begin+window {
			to = r.begin + window
		}
		try(to - window)
	}
	return 1 - float64(worst)/float64(window)
}

func (r *Requests) json() string {
	var line strings.Builder
	fmt.Fprintf(&line, ", \"latency\": %s, \"mmu\": {", r.latency.json())
	for i, window := range windows {
		x := math.Min(r.utilisation(int64(window*1e6)), r.worstOfOthers[i])
		separator := ", "
		if i == 0 {
			separator = ""
		}
		fmt.Fprintf(&line, "%s\"%g\": %.4g", separator, window, x)
	}
	return line.String() + "}"
}
