// replay-tricolor: the collector of this repository, as a program would use it that never frees.

#include <cstring>
#include <new>
#include <tricolor/tricolor.hpp>

#include "bench/replay/replay_main.h"

namespace {

namespace gc = tricolor::gc;
namespace runtime = tricolor::runtime;
using bench::replay::kSlotsPerPage;

// The constructor leaves the memory as the heap gives it out, which is zero.
union TricolorWord {
  TricolorWord() {}
  uint64_t bits;
  gc::ptr<TricolorWord> link;
};
static_assert(sizeof(TricolorWord) == 8);

struct TricolorBackend {
  static constexpr const char* kName = "tricolor";
  static constexpr bool kIsMalloc = false;
  static constexpr bool kCollects = true;
  using Word = TricolorWord;
  struct Page {
    gc::ptr<Word> slot[kSlotsPerPage];
  };
  using ThreadScope = runtime::ThreadScope;
  using BlockingScope = runtime::BlockingScope;

  class Directory {
   public:
    explicit Directory(uint64_t pages) {
      auto* table = gc::make_array<gc::ptr<Page>>(pages);
      root_ = table;
      for (uint64_t i = 0; i < pages; ++i) table[i] = gc::make<Page>();
    }
    Page* page(uint64_t i) { return root_.get()[i].get(); }

   private:
    gc::root<gc::ptr<Page>> root_;
  };

  static Word* get(const gc::ptr<Word>& ref) { return ref.get(); }
  static void put(gc::ptr<Word>& ref, Word* object) { ref = object; }
  static void init_link(Word& word, Word* object) { ::new (&word.link) gc::ptr<Word>(object); }

  Word* allocate(size_t bytes, bool) { return gc::make_array<Word>((bytes + 7) / 8); }
  Word* allocate_leaf(size_t bytes) {
    return reinterpret_cast<Word*>(gc::make_array<uint64_t>((bytes + 7) / 8));
  }
  // There is no reallocation in place: a new object, and the old one is left to the collector. Word
  // 1 is the link, which the replayer stores anew.
  Word* reallocate(Word* old, size_t old_bytes, size_t bytes) {
    Word* object = allocate(bytes, false);
    const size_t kept = std::min(old_bytes, bytes);
    if (kept > 16) std::memcpy(static_cast<void*>(object + 2), old + 2, kept - 16);
    return object;
  }
  void release(Word*) {}
  uint64_t collections() const { return stats().num_gc; }
  void collect() { runtime::collect(); }
  bool knows(const void* object) const { return gc::is_managed(object); }
  bool is_kept(const void* object) const { return knows(object); }
  uint64_t held_bytes() const { return stats().heap_alloc; }

 private:
  static runtime::MemStats stats() {
    runtime::MemStats stats;
    runtime::read_mem_stats(stats);
    return stats;
  }
};

}  // namespace

int main(int argc, char** argv) { return bench::replay::replay_main<TricolorBackend>(argc, argv); }
