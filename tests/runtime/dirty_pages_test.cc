#include "runtime/os/dirty_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "runtime/os/os.h"
#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

namespace os = runtime::os;

struct Written {
  std::vector<std::size_t> pages;
  char* base;
};

std::vector<std::size_t> take(os::DirtyPages& pages, char* memory, std::size_t bytes) {
  Written written{{}, memory};
  REQUIRE(pages.arm(
      memory, bytes,
      [](void* context, char* from, std::size_t length) noexcept {
        auto& w = *static_cast<Written*>(context);
        const std::size_t page = os::page_size();
        for (std::size_t at = 0; at < length; at += page)
          w.pages.push_back(static_cast<std::size_t>(from + at - w.base) / page);
      },
      &written));
  return written.pages;
}

}  // namespace

// [dirty.one-step]
TEST_CASE("dirty pages: each write is reported once, whoever made it") {
  os::DirtyPages pages;
  if (!pages.open()) {
    MESSAGE("skipped: " << pages.why_not());
    return;
  }
  constexpr std::size_t kPages = 1000;
  const std::size_t bytes = kPages * os::page_size();
  auto* const memory = static_cast<char*>(os::map(bytes));
  REQUIRE(pages.watch(memory, bytes));
  static_cast<void>(take(pages, memory, bytes));
  CHECK(take(pages, memory, bytes).empty());
  memory[5 * os::page_size()] = 1;
  memory[900 * os::page_size() + 7] = 1;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(write(ends[1], "x", 1) == 1);
  REQUIRE(read(ends[0], memory + 77 * os::page_size(), 1) == 1);
  CHECK(take(pages, memory, bytes) == std::vector<std::size_t>{5, 77, 900});
  CHECK(take(pages, memory, bytes).empty());
  // More runs than one call has room for.
  for (std::size_t i = 0; i < kPages; i += 2) memory[i * os::page_size()] = 2;
  CHECK(take(pages, memory, bytes).size() == kPages / 2);
  CHECK(take(pages, memory, bytes).empty());
  // What goes back to the system is not forgotten by mistake.
  REQUIRE(os::release(memory, bytes));
  static_cast<void>(take(pages, memory, bytes));
  memory[3 * os::page_size()] = 3;
  CHECK(take(pages, memory, bytes) == std::vector<std::size_t>{3});
  close(ends[0]);
  close(ends[1]);
  os::unmap(memory, bytes);
  pages.close();
  CHECK_FALSE(pages.is_open());
}

}  // namespace tricolor::tests
