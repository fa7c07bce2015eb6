// What Go's sync.Map costs, as map_bench.cc measures ours.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var quick = flag.Bool("quick", false, "a twentieth of the work")

const keys = 10000

type value struct{ n uint64 }

var sinks [8]struct {
	v any
	_ [112]byte
}

var operations = 2_000_000

func measure(threads int, operation func(m *sync.Map, v *value, t, n int)) float64 {
	var runs []float64
	for run := 0; run < 5; run++ {
		m := new(sync.Map)
		for key := 0; key < keys; key++ {
			m.Store(key, new(value))
		}
		var ready atomic.Int32
		seconds := make([]float64, threads)
		var all sync.WaitGroup
		for t := 0; t < threads; t++ {
			all.Add(1)
			go func() {
				defer all.Done()
				v := new(value)
				ready.Add(1)
				for int(ready.Load()) < threads {
					runtime.Gosched()
				}
				start := time.Now()
				for n := 0; n < operations; n++ {
					operation(m, v, t, n)
				}
				seconds[t] = time.Since(start).Seconds()
			}()
		}
		all.Wait()
		sum := 0.0
		for _, s := range seconds {
			sum += s
		}
		runs = append(runs, sum/float64(threads)*1e9/float64(operations))
	}
	sort.Float64s(runs)
	return runs[2]
}

func keyOf(t, n int) int { return (n*7919 + t*1013) % keys }

func load(m *sync.Map, t, key int) {
	v, _ := m.Load(key)
	sinks[t].v = v
}

func main() {
	flag.Parse()
	if *quick {
		operations /= 20
	}
	var figures []string
	for _, threads := range []int{1, 2, 4} {
		figure := func(name string, operation func(m *sync.Map, v *value, t, n int)) {
			figures = append(figures, fmt.Sprintf("\"%s %d ns\": %.6g", name, threads, measure(threads, operation)))
		}
		figure("read", func(m *sync.Map, v *value, t, n int) {
			if n%100 == 0 {
				m.Store(keyOf(t, n), v)
			} else {
				load(m, t, keyOf(t, n))
			}
		})
		figure("half", func(m *sync.Map, v *value, t, n int) {
			if n%2 == 0 {
				m.Store(keyOf(t, n), v)
			} else {
				load(m, t, keyOf(t, n))
			}
		})
		figure("disjoint", func(m *sync.Map, v *value, t, n int) {
			key := keys + t*1_000_000 + n/2%1000
			if n%2 == 0 {
				m.Store(key, v)
			} else {
				m.Delete(key)
			}
		})
		figure("hot", func(m *sync.Map, v *value, t, n int) {
			if n%10 == 0 {
				m.Store(7, v)
			} else {
				load(m, t, 7)
			}
		})
	}
	fmt.Printf("{%s}\n", strings.Join(figures, ", "))
}
