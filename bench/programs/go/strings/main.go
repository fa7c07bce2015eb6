// See bench/programs/strings.cc.
package main

import "tricolor/bench/programs/common"

type text struct{ bytes []byte }

func makeText(bytes []byte) *text {
	t := &text{make([]byte, len(bytes))}
	copy(t.bytes, bytes)
	return t
}

type builder struct {
	bytes  []byte
	length int
}

func newBuilder() builder { return builder{bytes: make([]byte, 16)} }

func (b *builder) append(from []byte) {
	for b.length+len(from) > len(b.bytes) {
		larger := make([]byte, 2*len(b.bytes))
		copy(larger, b.bytes[:b.length])
		b.bytes = larger
	}
	copy(b.bytes[b.length:], from)
	b.length += len(from)
}

func (b *builder) text() *text { return makeText(b.bytes[:b.length]) }

func makeLine(random *common.Random) *text {
	line := newBuilder()
	words := 8 + random.Below(16)
	for w := uint32(0); w < words; w++ {
		letters := random.Next() >> 1
		var word [12]byte
		length := 2 + letters%10
		for i := uint64(0); i < length; i++ {
			word[i] = byte('a' + letters%26)
			letters /= 26
		}
		word[length] = ' '
		line.append(word[:length+1])
	}
	return line.text()
}

func turned(line *text) *text {
	const most = 32
	words := make([]*text, most)
	count := 0
	from := 0
	for to, c := range line.bytes {
		if c == ' ' {
			words[count] = makeText(line.bytes[from : to+1])
			count++
			from = to + 1
		}
	}
	joined := newBuilder()
	for count > 0 {
		count--
		joined.append(words[count].bytes)
	}
	return joined.text()
}

func (t *text) sum() uint64 {
	sum := uint64(len(t.bytes))
	for i := 0; i < len(t.bytes); i += 7 {
		sum = common.Mixed(sum, uint64(t.bytes[i]))
	}
	return sum
}

func main() {
	var program common.Program
	lines := common.Number("--lines", 2_000_000, 40_000)
	kept := common.Number("--kept", 100_000, 5_000)
	latest := make([]*text, kept)
	random := common.Random(1)
	checksum := uint64(0)
	program.Begin()
	for i := uint64(0); i < lines; i++ {
		result := turned(makeLine(&random))
		place := &latest[i%kept]
		if *place != nil {
			checksum = common.Mixed(checksum, (*place).sum())
		}
		*place = result
	}
	program.End(checksum, nil)
}
