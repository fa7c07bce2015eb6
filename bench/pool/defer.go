// What deferred calls cost in Go, as defer_bench.cc measures ours.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"sort"
	"strings"
	"time"
)

var quick = flag.Bool("quick", false, "a twentieth of the work")
var sum uint64

//go:noinline
func add(n uint64) { sum += n }

//go:noinline
func guard(n uint64) {
	defer add(n)
}

//go:noinline
func pending(count int) {
	for i := 0; i < count; i++ {
		defer add(uint64(i))
	}
}

// Of rounds of f, the median of 9 runs; nanoseconds a round.
func medianNs(rounds int, f func(i int)) float64 {
	var times []float64
	for run := 0; run < 9; run++ {
		start := time.Now()
		for i := 0; i < rounds; i++ {
			f(i)
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/float64(rounds))
	}
	sort.Float64s(times)
	return times[len(times)/2]
}

// The most bytes in use while 10,000 calls are pending, heap and stack, above what there was.
func pendingBytes() float64 {
	var before, during runtime.MemStats
	done := make(chan bool)
	runtime.GC()
	runtime.ReadMemStats(&before)
	go func() {
		func() {
			for i := 0; i < 10000; i++ {
				defer add(uint64(i))
			}
			runtime.ReadMemStats(&during)
		}()
		done <- true
	}()
	<-done
	heap := float64(during.TotalAlloc - before.TotalAlloc)
	stack := float64(during.StackInuse) - float64(before.StackInuse)
	return heap + stack
}

func main() {
	flag.Parse()
	scale := 1
	if *quick {
		scale = 20
	}
	var figures []string
	figure := func(name string, value float64) {
		figures = append(figures, fmt.Sprintf("%q: %.6g", name, value))
	}
	figure("guard ns", medianNs(20_000_000/scale, func(i int) { guard(uint64(i)) }))
	for _, count := range []int{1, 10, 10_000} {
		ns := medianNs(5_000_000/scale/count, func(int) { pending(count) })
		figure(fmt.Sprintf("pending %d ns", count), ns/float64(count))
	}
	figure("pending 10000 KB", pendingBytes()/1024)
	fmt.Printf("{%s}\n", strings.Join(figures, ", "))
}
