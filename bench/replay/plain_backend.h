#pragma once

// The part of a replayer's backend that a heap without collector has in common with others like
// it; see bench/replay/runner.h for what the names mean.

#include <cstdint>

#include "bench/replay/program.h"

namespace bench::replay {

union PlainWord {
  uint64_t bits;
  PlainWord* link;
};

struct PlainBackend {
  static constexpr bool kCollects = false;
  using Word = PlainWord;
  struct Page {
    Word* slot[kSlotsPerPage];
  };
  struct ThreadScope {
    ThreadScope() {}
  };
  struct BlockingScope {
    BlockingScope() {}
  };

  static Word* get(Word* ref) { return ref; }
  static void put(Word*& ref, Word* object) { ref = object; }
  static void init_link(Word& word, Word* object) { word.link = object; }

  uint64_t collections() const { return 0; }
  void collect() {}
  bool knows(const void*) const { return true; }
  bool is_kept(const void*) const { return true; }
  uint64_t held_bytes() const { return 0; }
};

}  // namespace bench::replay
