// Stacks by remembered rules are those that the compiler's own unwinder finds.

#include <unwind.h>

#include <algorithm>

#include "observe/frame_rules.h"
#include "observe/stack.h"
#include "tests/support.hpp"

namespace tricolor::tests {

namespace {

std::vector<std::uintptr_t> by_unwinder() {
  std::vector<std::uintptr_t> frames;
  _Unwind_Backtrace(
      [](_Unwind_Context* context, void* argument) {
        int exact = 0;
        const std::uintptr_t ip = _Unwind_GetIPInfo(context, &exact);
        if (ip != 0) static_cast<std::vector<std::uintptr_t>*>(argument)->push_back(ip - 1);
        return _URC_NO_REASON;
      },
      &frames);
  return frames;
}

// Both see the same frames from the caller's caller on.
[[gnu::noinline]] void compare(const char* what) {
  CAPTURE(what);
  observe::Stack stack;
  for (int i = 0; i < 3; ++i) {  // read, and remembered
    observe::take_stack(stack);
    std::vector<std::uintptr_t> expected = by_unwinder();
    expected.resize(std::min(expected.size(), observe::kMostFrames + 1));
    REQUIRE(stack.depth >= 3);
    // The first is this function at different calls.
    const std::vector<std::uintptr_t> found(stack.begin() + 1, stack.end());
    const auto at = std::find(expected.begin(), expected.end(), found[0]);
    REQUIRE(at != expected.end());
    const auto length =
        std::min<std::ptrdiff_t>(expected.end() - at, static_cast<std::ptrdiff_t>(found.size()));
    CHECK(std::equal(at, at + length, found.begin()));
    CHECK(length == static_cast<std::ptrdiff_t>(found.size()));
  }
}

[[gnu::noinline]] void deep(int depth) {
  volatile char room[100];
  room[0] = static_cast<char>(depth);
  if (depth == 0) return compare("deep");
  deep(depth - 1);
  asm volatile("" : : "r"(&room) : "memory");
}

[[gnu::noinline]] void with_alloca(std::size_t bytes) {
  char* const room = static_cast<char*>(__builtin_alloca(bytes));
  room[0] = 1;
  compare("alloca");
  asm volatile("" : : "r"(room) : "memory");
}

[[gnu::noinline]] void aligned() {
  alignas(64) volatile char room[64];
  room[0] = 1;
  compare("aligned");
  asm volatile("" : : "r"(&room) : "memory");
}

}  // namespace

// [rules.pairs]
TEST_CASE("stack: remembered rules find the unwinder's frames") {
  runtime::attach_thread();
  compare("here");
  deep(5);
  deep(100);
  for (const std::size_t bytes : {100u, 3000u, 17u}) with_alloca(bytes);
  aligned();
  std::thread([] {
    runtime::attach_thread();
    deep(10);
  }).join();
  std::vector<int> numbers{3, 1, 2};
  std::sort(numbers.begin(), numbers.end(), [](int a, int b) {
    static bool once = false;
    if (!std::exchange(once, true)) compare("in a callback");
    return a < b;
  });
  on_threads(4, [](std::size_t) {
    runtime::attach_thread();
    for (int i = 0; i < 20; ++i) deep(i);
  });
}

}  // namespace tricolor::tests
