// Building strings: a step appends words to a buffer that doubles when it is full, cuts the line
// into words again, joins them the other way round, and keeps the result among the latest lines.
// Nearly all objects are small, hold no reference and die at once.
// Arguments: --lines=N, --kept=N.

#include <cstring>

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;
using bench::programs::Random;

struct Text {
  backend::ArrayField<std::uint8_t> bytes{};
  std::uint64_t length = 0;
};
using TextRef = backend::Ref<Text>;

void drop(const TextRef& text) {
  backend::release_array(text->bytes);
  backend::release(text);
}

TextRef make_text(const std::uint8_t* bytes, std::size_t length) {
  TextRef text = backend::make<Text>();
  text->length = length;
  text->bytes = backend::make_array<std::uint8_t>(length);
  std::memcpy(backend::raw(text->bytes), bytes, length);
  return text;
}

// The bytes of a text that grows.
class Builder {
 public:
  Builder() : bytes_(backend::make_array<std::uint8_t>(capacity_)) {}
  ~Builder() { backend::release_array(bytes_); }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  void append(const std::uint8_t* from, std::size_t length) {
    while (length_ + length > capacity_) grow();
    std::memcpy(backend::raw(bytes_) + length_, from, length);
    length_ += length;
  }
  TextRef text() const { return make_text(backend::raw(bytes_), length_); }

 private:
  void grow() {
    backend::ArrayRef<std::uint8_t> larger = backend::make_array<std::uint8_t>(2 * capacity_);
    std::memcpy(backend::raw(larger), backend::raw(bytes_), length_);
    backend::release_array(bytes_);
    bytes_ = larger;
    capacity_ *= 2;
  }

  std::size_t capacity_ = 16;
  std::size_t length_ = 0;
  backend::ArrayRef<std::uint8_t> bytes_;
};

TextRef make_line(Random& random) {
  Builder line;
  const std::uint32_t words = 8 + random.below(16);
  for (std::uint32_t w = 0; w < words; ++w) {
    std::uint64_t letters = random.next() >> 1;
    std::uint8_t word[12];
    const std::size_t length = 2 + letters % 10;
    for (std::size_t i = 0; i < length; ++i, letters /= 26)
      word[i] = static_cast<std::uint8_t>('a' + letters % 26);
    word[length] = ' ';
    line.append(word, length + 1);
  }
  return line.text();
}

// The words in the opposite order; every one is a text of its own for a while.
TextRef turned(const Text* line) {
  constexpr std::size_t kMost = 32;
  const auto words = backend::make_array<backend::Field<Text>>(kMost);
  std::size_t count = 0;
  const std::uint8_t* const bytes = backend::raw(line->bytes);
  for (std::size_t from = 0, to = 0; to < line->length; ++to) {
    if (bytes[to] != ' ') continue;
    words[count++] = make_text(bytes + from, to + 1 - from);
    from = to + 1;
  }
  Builder joined;
  while (count-- > 0) {
    joined.append(backend::raw(words[count]->bytes), words[count]->length);
    drop(words[count]);
  }
  backend::release_array(words);
  return joined.text();
}

std::uint64_t sum(const Text* text) {
  std::uint64_t sum = text->length;
  for (std::size_t i = 0; i < text->length; i += 7) sum = mixed(sum, text->bytes[i]);
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const std::uint64_t lines = program.number("--lines", 2'000'000, 40'000);
  const std::uint64_t kept = program.number("--kept", 100'000, 5'000);
  backend::start();
  static backend::GlobalArray<backend::Field<Text>> latest;
  latest = backend::make_array<backend::Field<Text>>(kept);
  Random random(1);
  std::uint64_t checksum = 0;
  program.begin();
  for (std::uint64_t i = 0; i < lines; ++i) {
    const TextRef line = make_line(random);
    const TextRef result = turned(backend::raw(line));
    drop(line);
    backend::Field<Text>& place = latest[i % kept];
    if (place != nullptr) {
      checksum = mixed(checksum, sum(backend::raw(place)));
      drop(place);
    }
    place = result;
  }
  return program.end(checksum, backend::collections());
}
