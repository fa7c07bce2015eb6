// See bench/programs/sessions.cc.
package main

import (
	"sync"

	"tricolor/bench/programs/common"
)

const (
	meanString   = 128
	sessionBytes = 24 + 2*(meanString+16)
)

type session struct {
	number      uint64
	user, token []byte
}

type answer struct {
	session *session
	body    []byte
}

func text(random *common.Random) []byte {
	bytes := make([]byte, meanString/2+random.Below(meanString))
	for i := range bytes {
		bytes[i] = 'x'
	}
	return bytes
}

func newSession(random *common.Random) *session {
	return &session{random.Next(), text(random), text(random)}
}

var sink [64]*answer

func serve(sessions []*session, thread int, until float64) uint64 {
	random := common.Random(uint64(thread) + 1)
	for i := range sessions {
		sessions[i] = newSession(&random)
	}
	served := uint64(0)
	for ; served%256 != 0 || common.NowSeconds() < until; served++ {
		place := &sessions[random.Below(uint32(len(sessions)))]
		a := &answer{session: *place}
		a.body = make([]byte, 0, len(a.session.user)+len(a.session.token))
		a.body = append(append(a.body, a.session.user...), a.session.token...)
		sink[thread%len(sink)] = a
		if served%8 == 0 {
			*place = newSession(&random)
		}
	}
	return served
}

func main() {
	var program common.Program
	threads := common.Threads()
	live := common.Number("--live-mb", 100, 10) << 20
	seconds := common.Number("--seconds", 60, 1)
	count := live / sessionBytes / uint64(threads)
	program.Begin()
	until := common.NowSeconds() + float64(seconds)
	served := make([]uint64, threads)
	var group sync.WaitGroup
	for t := range served {
		group.Add(1)
		go func(t int) {
			defer group.Done()
			served[t] = serve(make([]*session, count), t, until)
		}(t)
	}
	group.Wait()
	program.Stop()
	all := uint64(0)
	for _, n := range served {
		all += n
	}
	program.Figure("requests/s", float64(all)/float64(seconds))
	program.Figure("live MB", float64(count*uint64(threads)*sessionBytes)/(1<<20))
	program.End(1, nil)
}
