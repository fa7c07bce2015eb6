// What bench/pool/pool_bench.cc measures, with Go's sync.Pool.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type small struct{ words [8]uintptr }
type large struct{ words [128]uintptr }

var (
	quick   = flag.Bool("quick", false, "small inputs")
	only    = flag.String("only", "", "pair: that case alone")
	threads = runtime.GOMAXPROCS(0)
	sinks   = make([]struct {
		bytes []byte
		_     [104]byte
	}, runtime.GOMAXPROCS(0)+2)
)

func scaled(n int) int {
	if *quick {
		return n / 20
	}
	return n
}

func median(values []float64) float64 {
	sort.Float64s(values)
	half := len(values) / 2
	if len(values)%2 != 0 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

func percentile(values []float64, p float64) float64 {
	sort.Float64s(values)
	at := int(p * float64(len(values)))
	if at >= len(values) {
		at = len(values) - 1
	}
	return values[at]
}

// Seconds that f takes on a goroutine, the mean over n that begin together.
func timeOn(n int, f func(int)) float64 {
	var ready, done sync.WaitGroup
	ready.Add(n)
	done.Add(n)
	seconds := make([]float64, n)
	for t := 0; t < n; t++ {
		go func(t int) {
			defer done.Done()
			ready.Done()
			ready.Wait()
			start := time.Now()
			f(t)
			seconds[t] = time.Since(start).Seconds()
		}(t)
	}
	done.Wait()
	sum := 0.0
	for _, s := range seconds {
		sum += s
	}
	return sum / float64(n)
}

func nsEach(n, operations int, f func(int)) float64 {
	runs := 5
	if *quick {
		runs = 3
	}
	var times []float64
	for i := 0; i < runs; i++ {
		times = append(times, timeOn(n, f))
	}
	return median(times) * 1e9 / float64(operations)
}

func newSmall() any { return new(small) }

func pair(n int) float64 {
	pool := sync.Pool{New: newSmall}
	pairs := scaled(10_000_000)
	return nsEach(n, pairs, func(int) {
		for i := 0; i < pairs; i++ {
			pool.Put(pool.Get())
		}
	})
}

func overflow() float64 {
	pool := sync.Pool{New: newSmall}
	rounds := scaled(40_000)
	return nsEach(1, rounds*100, func(int) {
		var held [100]any
		for r := 0; r < rounds; r++ {
			for i := range held {
				held[i] = pool.Get()
			}
			for _, object := range held {
				pool.Put(object)
			}
		}
	})
}

func starvation() float64 {
	var pool sync.Pool
	rounds := scaled(20_000)
	return nsEach(threads, rounds*100, func(int) {
		var held [67]any
		for r := 0; r < rounds; r++ {
			for i, object := range held {
				if object == nil {
					object = newSmall()
				}
				held[i] = nil
				pool.Put(object)
			}
			kept := 0
			for i := 0; i < 100; i++ {
				object := pool.Get()
				if object != nil && kept < len(held) {
					held[kept] = object
					kept++
				}
			}
		}
	})
}

func handover() float64 {
	var pool sync.Pool
	objects := int64(scaled(400_000))
	var taken atomic.Int64
	run := func(t int) {
		if t == 0 {
			for i := int64(0); i < objects; i++ {
				for i > taken.Load()+1000 {
					runtime.Gosched()
				}
				pool.Put(newSmall())
			}
			for taken.Load()+1 < objects {
				runtime.Gosched()
			}
			taken.Store(objects)
			return
		}
		for taken.Load()+1 < objects {
			if pool.Get() == nil {
				runtime.Gosched()
				continue
			}
			taken.Add(1)
		}
	}
	n := max(threads, 2)
	runs := 5
	if *quick {
		runs = 3
	}
	var times []float64
	for i := 0; i < runs; i++ {
		taken.Store(0)
		// No collection: it would drop what waits to be taken.
		percent := debug.SetGCPercent(-1)
		times = append(times, timeOn(n, run))
		debug.SetGCPercent(percent)
		runtime.GC()
	}
	return median(times) * 1e9 / float64(objects)
}

func hits(percent int) float64 {
	pool := sync.Pool{New: func() any { return new(large) }}
	objects := scaled(400_000)
	return nsEach(1, objects, func(int) {
		sum := 0
		for i := 0; i < objects; i++ {
			object := pool.Get()
			sum += percent
			if sum >= 100 {
				sum -= 100
				pool.Put(object)
			}
		}
	})
}

func pools() float64 {
	all := make([]*sync.Pool, 5000)
	for i := range all {
		all[i] = &sync.Pool{New: newSmall}
	}
	rounds := scaled(400)
	return nsEach(1, rounds*len(all), func(int) {
		for r := 0; r < rounds; r++ {
			for _, pool := range all {
				pool.Put(pool.Get())
			}
		}
	})
}

func requests(n int) float64 {
	count := scaled(200_000)
	return nsEach(n, count, func(int) {
		for i := 0; i < count; i++ {
			pool := &sync.Pool{New: newSmall}
			first, second := pool.Get(), pool.Get()
			pool.Put(first)
			pool.Put(second)
		}
	})
}

// The pause in which the pools are rotated, all of it: what lies inside cannot be timed apart.
func lastPause() float64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.PauseNs[(stats.NumGC+255)%256]) / 1e3
}

func hook(figure func(string, float64)) {
	var pool sync.Pool
	rounds, many := 100, 50
	if *quick {
		rounds, many = 10, 5
	}
	var us []float64
	for i := 0; i < rounds; i++ {
		for k := 0; k < 100_000; k++ {
			pool.Put(newSmall())
		}
		runtime.GC()
		us = append(us, lastPause())
	}
	figure("hook p50 us", percentile(us, 0.5))
	figure("hook p95 us", percentile(us, 0.95))
	all := make([]*sync.Pool, 5000)
	for i := range all {
		all[i] = &sync.Pool{New: newSmall}
	}
	us = nil
	for i := 0; i < many; i++ {
		for _, p := range all {
			p.Put(p.Get())
		}
		runtime.GC()
		us = append(us, lastPause())
	}
	figure("hook 5000 pools p50 us", percentile(us, 0.5))
}

func expensive(figure func(string, float64)) {
	var misses atomic.Int64
	pool := sync.Pool{New: func() any {
		misses.Add(1)
		time.Sleep(time.Millisecond)
		return new(small)
	}}
	ballast := make([]byte, 8<<20)
	rounds := scaled(500)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	seconds := timeOn(threads, func(t int) {
		var held [100]any
		for r := 0; r < rounds; r++ {
			for i := range held {
				held[i] = pool.Get()
				sinks[t].bytes = make([]byte, 32<<10)
			}
			for i, object := range held {
				pool.Put(object)
				held[i] = nil
			}
		}
	})
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(ballast)
	all := float64(rounds * threads)
	figure("expensive us", seconds*1e6/float64(rounds))
	figure("expensive collections", float64(after.NumGC-before.NumGC)/all)
	figure("expensive misses", float64(misses.Load())/all)
}

func main() {
	flag.Parse()
	var figures []string
	figure := func(name string, value float64) {
		figures = append(figures, fmt.Sprintf("%q: %.6g", name, value))
	}
	figure("pair ns", pair(1))
	if *only != "pair" {
		figure("pair all ns", pair(threads))
		figure("overflow ns", overflow())
		figure("starvation ns", starvation())
		figure("handover ns", handover())
		figure("pools ns", pools())
		figure("request ns", requests(1))
		figure("request all ns", requests(threads))
		for _, percent := range []int{100, 90, 75, 50, 25, 10} {
			figure(fmt.Sprintf("hit %d ns", percent), hits(percent))
		}
		hook(figure)
		expensive(figure)
	}
	fmt.Printf("{%s}\n", strings.Join(figures, ", "))
}
