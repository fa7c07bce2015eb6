// See bench/programs/ring.cc.
package main

import "tricolor/bench/programs/common"

type topic struct{ number uint64 }

const (
	topics     = 4096
	references = 32
	warmUp     = 4
)

type plain struct{ words [128]uint64 }

type linked struct {
	topics [references]*topic
	words  [128 - references]uint64
}

func run[M any](fill func(message *M, number uint64), sum func(message *M) uint64) {
	var program common.Program
	live := common.Number("--live-mb", 200, 8) * 1000
	messages := common.Number("--messages", 10_000_000, 200_000)
	requests := common.NewRequests(common.Number("--interval", 0, 0))
	ring := make([]*M, live)
	checksum, at := uint64(0), 0
	firstMeasured := warmUp * live
	for number := uint64(0); number < firstMeasured+messages; number++ {
		measured := number >= firstMeasured
		if number == firstMeasured {
			program.Begin()
			requests.Begin()
		}
		if measured {
			requests.Await()
		}
		message := new(M)
		fill(message, number)
		if number >= live {
			checksum = common.Mixed(checksum, sum(ring[at]))
		}
		ring[at] = message
		if at++; at == len(ring) {
			at = 0
		}
		if measured {
			requests.Done()
		}
	}
	program.End(checksum, requests)
}

func main() {
	if !common.Has("--pointers") {
		run(func(message *plain, number uint64) {
			for i := range message.words {
				message.words[i] = number + uint64(i)
			}
		}, func(message *plain) uint64 { return message.words[0] ^ message.words[127] })
		return
	}
	random := common.Random(1)
	all := make([]*topic, topics)
	for i := range all {
		all[i] = &topic{uint64(i)}
	}
	run(func(message *linked, number uint64) {
		at := random.Below(topics)
		for i := range message.topics {
			message.topics[i] = all[at%topics]
			at++
		}
		for i := 0; i < 64; i++ {
			message.words[i] = number + uint64(i)
		}
	}, func(message *linked) uint64 {
		return message.topics[0].number ^ message.topics[references-1].number ^ message.words[63]
	})
}
