// replay-boehm: Boehm's collector, as a program would use it that never frees. Its defaults are
// kept.

#include <gc.h>

#include <new>

#include "bench/replay/replay_main.h"

namespace {

using bench::replay::kSlotsPerPage;

union BoehmWord {
  uint64_t bits;
  BoehmWord* link;
};

struct BoehmBackend {
  static constexpr const char* kName = "boehm";
  using Word = BoehmWord;
  struct Page {
    Word* slot[kSlotsPerPage];
  };

  BoehmBackend() {
    GC_INIT();
    GC_set_warn_proc(GC_ignore_warn_proc);
  }

  // The one root is the pointer in this static variable: the collector scans static data, not
  // malloc's.
  class Directory {
   public:
    explicit Directory(uint64_t pages) {
      root_ = static_cast<Page**>(checked(GC_MALLOC(pages * sizeof(Page*))));
      for (uint64_t i = 0; i < pages; ++i)
        root_[i] = static_cast<Page*>(checked(GC_MALLOC(sizeof(Page))));
    }
    ~Directory() { root_ = nullptr; }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    Page* page(uint64_t i) { return root_[i]; }

   private:
    static inline Page** root_ = nullptr;
  };

  static Word* get(Word* ref) { return ref; }
  static void put(Word*& ref, Word* object) { ref = object; }
  static void init_link(Word& word, Word* object) { word.link = object; }

  Word* allocate(size_t bytes, bool) { return static_cast<Word*>(checked(GC_MALLOC(bytes))); }
  Word* reallocate(Word* object, size_t, size_t bytes) {
    return static_cast<Word*>(checked(GC_REALLOC(object, bytes == 0 ? 1 : bytes)));
  }
  void release(Word*) {}
  uint64_t collections() const { return GC_get_gc_no(); }

 private:
  static void* checked(void* object) {
    if (object == nullptr) throw std::bad_alloc();
    return object;
  }
};

}  // namespace

int main(int argc, char** argv) { return bench::replay::replay_main<BoehmBackend>(argc, argv); }
