// Package common is what the programs share: see bench/programs/program.h and requests.h.
package common

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Random is SplitMix64.
type Random uint64

func (r *Random) Next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Below is in [0, n); n is below 2^31.
func (r *Random) Below(n uint32) uint32 { return uint32((r.Next() >> 32) * uint64(n) >> 32) }

// Mixed is a checksum with one more value in it.
func Mixed(sum, value uint64) uint64 { return sum*1000003 + value }

// Program is a run: the clocks and the last line.
type Program struct {
	wall, cpu float64
	stopped   bool
	figures   string
}

func Has(name string) bool {
	for _, argument := range os.Args[1:] {
		if argument == name {
			return true
		}
	}
	return false
}

func Text(name, otherwise string) string {
	for _, argument := range os.Args[1:] {
		if strings.HasPrefix(argument, name+"=") {
			otherwise = argument[len(name)+1:]
		}
	}
	return otherwise
}

// Number is --name=N, or what a full or a quick run takes.
func Number(name string, full, quick uint64) uint64 {
	given := Text(name, "")
	if given == "" && Has("--quick") {
		return quick
	} else if given == "" {
		return full
	}
	number, err := strconv.ParseUint(given, 10, 63)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s takes a number, not %s\n", name, given)
		os.Exit(2)
	}
	return number
}

func Threads() int { return int(Number("--threads", 1, 1)) }

func NowSeconds() float64 { return float64(now()) * 1e-9 }

func CPUSeconds() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) * 1e-9
}

func peakMB() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Maxrss) / 1024
}

var start = time.Now()

func now() int64 { return int64(time.Since(start)) }

func (p *Program) Begin() { p.wall, p.cpu = NowSeconds(), CPUSeconds() }

func (p *Program) Stop() {
	if !p.stopped {
		p.wall, p.cpu, p.stopped = NowSeconds()-p.wall, CPUSeconds()-p.cpu, true
	}
}

func (p *Program) Figure(name string, value float64) {
	p.figures += fmt.Sprintf(", %q: %.6g", name, value)
}

// End prints the line; requests may be nil.
func (p *Program) End(checksum uint64, requests *Requests) {
	p.Stop()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	latency := ""
	if requests != nil {
		latency = requests.json()
	}
	fmt.Printf("{\"checksum\": \"%016x\", \"wall s\": %.6g, \"cpu s\": %.6g, \"peak MB\": %.6g, \"collections\": %d%s%s}\n",
		checksum, p.wall, p.cpu, peakMB(), stats.NumGC, p.figures, latency)
}
