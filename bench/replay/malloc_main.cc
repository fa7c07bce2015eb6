// replay-malloc: the recorded frees on malloc, glibc's or whichever is preloaded.

#include <cstdlib>
#include <new>
#include <vector>

#include "bench/replay/plain_backend.h"
#include "bench/replay/replay_main.h"

namespace {

struct MallocBackend : bench::replay::PlainBackend {
  static constexpr const char* kName = "malloc";
  static constexpr bool kIsMalloc = true;

  class Directory {
   public:
    explicit Directory(uint64_t pages) : pages_(pages) {
      for (Page*& page : pages_) {
        page = static_cast<Page*>(std::calloc(1, sizeof(Page)));
        if (page == nullptr) throw std::bad_alloc();
      }
    }
    ~Directory() {
      for (Page* page : pages_) std::free(page);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    Page* page(uint64_t i) { return pages_[i]; }

   private:
    std::vector<Page*> pages_;
  };

  Word* allocate(size_t bytes, bool zeroed) {
    if (bytes == 0) bytes = 1;
    return checked(zeroed ? std::calloc(1, bytes) : std::malloc(bytes));
  }
  Word* allocate_leaf(size_t bytes) { return allocate(bytes, false); }
  Word* reallocate(Word* object, size_t, size_t bytes) {
    return checked(std::realloc(object, bytes == 0 ? 1 : bytes));
  }
  void release(Word* object) { std::free(object); }

 private:
  static Word* checked(void* object) {
    if (object == nullptr) throw std::bad_alloc();
    return static_cast<Word*>(object);
  }
};

}  // namespace

int main(int argc, char** argv) { return bench::replay::replay_main<MallocBackend>(argc, argv); }
