// replay-boehm: Boehm's collector, as a program would use it that never frees. Its defaults are
// kept.

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>
#include <gc/gc_mark.h>

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
  static constexpr bool kIsMalloc = false;
  static constexpr bool kCollects = true;
  using Word = BoehmWord;
  struct Page {
    Word* slot[kSlotsPerPage];
  };
  struct ThreadScope {
    ThreadScope() {
      GC_stack_base base;
      GC_get_stack_base(&base);
      GC_register_my_thread(&base);
    }
    ~ThreadScope() { GC_unregister_my_thread(); }
    ThreadScope(const ThreadScope&) = delete;
    ThreadScope& operator=(const ThreadScope&) = delete;
  };
  // Its collector stops a waiting thread like any other.
  struct BlockingScope {
    BlockingScope() {}
  };

  BoehmBackend() {
    GC_INIT();
    GC_allow_register_threads();
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
  Word* allocate_leaf(size_t bytes) { return static_cast<Word*>(checked(GC_MALLOC_ATOMIC(bytes))); }
  Word* reallocate(Word* object, size_t, size_t bytes) {
    return static_cast<Word*>(checked(GC_REALLOC(object, bytes == 0 ? 1 : bytes)));
  }
  void release(Word*) {}
  uint64_t collections() const { return GC_get_gc_no(); }

  void collect() { GC_gcollect(); }
  bool knows(const void* object) const {
    auto* address = const_cast<void*>(object);
    return GC_base(address) == address;
  }
  bool is_kept(const void* object) const { return knows(object) && GC_is_marked(object) != 0; }
  uint64_t held_bytes() {
    uint64_t held = 0;
    GC_call_with_alloc_lock(
        [](void* sum) -> void* {
          GC_enumerate_reachable_objects_inner(
              [](void*, size_t bytes, void* into) { *static_cast<uint64_t*>(into) += bytes; }, sum);
          return nullptr;
        },
        &held);
    return held;
  }

 private:
  static void* checked(void* object) {
    if (object == nullptr) throw std::bad_alloc();
    return object;
  }
};

}  // namespace

int main(int argc, char** argv) { return bench::replay::replay_main<BoehmBackend>(argc, argv); }
