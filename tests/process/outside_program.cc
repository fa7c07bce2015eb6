// Memory of malloc's beside the heap.
//
//     outside_program owned MIB   objects own it, one lives at a time: MIB are made in all; the library is not told
//     outside_program kept MIB    the program keeps it, while cycles run
//     outside_program told MIB    the same, and the library is told of it
//     outside_program queue       a destructor waits, and others behind it, while cycles run
//
// Prints the peak of the resident memory in MiB.
#include <sys/resource.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

struct Image {
  Image() : pixels(new char[kMebibyte]) { std::memset(pixels.get(), 1, kMebibyte); }
  ~Image() { asm volatile("" : : "r"(this) : "memory"); }
  std::unique_ptr<char[]> pixels;
};

struct Waits {
  ~Waits() {
    std::unique_lock lock(mutex);
    condition.wait(lock, [] { return open; });
  }
  char content[100] = {};
  static inline std::mutex mutex;
  static inline std::condition_variable condition;
  static inline bool open = false;
};

void own(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gc::keep_alive(gc::make<Image>());
}

void keep(std::size_t count, bool told) {
  std::vector<std::unique_ptr<Image>> kept;
  if (told) runtime::adjust_external_memory(static_cast<std::ptrdiff_t>(count * kMebibyte));
  for (std::size_t i = 0; i < count; ++i) kept.push_back(std::make_unique<Image>());
  for (int i = 0; i < 3; ++i) runtime::collect();
}

void queue() {
  std::thread([] {
    for (int i = 0; i < 1000; ++i) gc::keep_alive(gc::make<Waits>());
  }).join();
  for (int i = 0; i < 3; ++i) runtime::collect();
  {
    const std::lock_guard lock(Waits::mutex);
    Waits::open = true;
  }
  Waits::condition.notify_all();
  runtime::wait_for_finalizers();
  runtime::collect();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string way = argc > 1 ? argv[1] : "queue";
  const std::size_t mebibytes = argument(argc, argv, 2, 300);
  if (way == "owned") own(mebibytes);
  if (way == "kept" || way == "told") keep(mebibytes, way == "told");
  if (way == "queue") queue();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%ld\n", usage.ru_maxrss >> 10);
  return finish(true);
}
