// replay-arena: memory that is never given back, the least that allocation can cost and the most
// memory that it can take.

#include <sys/mman.h>

#include <cstring>
#include <new>
#include <vector>

#include "bench/replay/plain_backend.h"
#include "bench/replay/replay_main.h"

namespace {

// Every thread takes memory from a piece of its own; what is left of one is lost when the next is
// begun. Memory from the system is zero.
std::byte* take(size_t bytes) {
  constexpr size_t kPiece = 4 << 20;
  thread_local std::byte* at = nullptr;
  thread_local std::byte* end = nullptr;
  const size_t whole = (bytes + 15) & ~size_t{15};
  if (whole > static_cast<size_t>(end - at)) {
    const size_t size = whole > kPiece / 4 ? whole : kPiece;
    void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    if (size == whole) return static_cast<std::byte*>(pages);
    at = static_cast<std::byte*>(pages);
    end = at + size;
  }
  std::byte* block = at;
  at += whole;
  return block;
}

struct ArenaBackend : bench::replay::PlainBackend {
  static constexpr const char* kName = "arena";
  static constexpr bool kIsMalloc = false;

  class Directory {
   public:
    explicit Directory(uint64_t pages) : pages_(pages) {
      for (Page*& page : pages_) page = reinterpret_cast<Page*>(take(sizeof(Page)));
    }
    Page* page(uint64_t i) { return pages_[i]; }

   private:
    std::vector<Page*> pages_;
  };

  Word* allocate(size_t bytes, bool) { return reinterpret_cast<Word*>(take(bytes)); }
  Word* allocate_leaf(size_t bytes) { return allocate(bytes, false); }
  Word* reallocate(Word* old, size_t old_bytes, size_t bytes) {
    Word* object = allocate(bytes, false);
    std::memcpy(static_cast<void*>(object), old, old_bytes < bytes ? old_bytes : bytes);
    return object;
  }
  void release(Word*) {}
};

}  // namespace

int main(int argc, char** argv) { return bench::replay::replay_main<ArenaBackend>(argc, argv); }
