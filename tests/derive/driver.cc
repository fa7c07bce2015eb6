// Runs each generated loop twice, without and with a collection at every step; dead objects are
// overwritten. Prints the loops whose results differ, then "N loops, N lost"; exits with 1 if one
// is lost.
#include "tests/derive/loops.hpp"

#include <setjmp.h>
#include <signal.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tricolor::tests {
namespace {

bool g_collecting = false;

[[gnu::noinline]] void overwrite_dead_frames() noexcept {
  volatile std::uintptr_t below[2048];
  for (volatile std::uintptr_t& word : below) word = 0;
}

// The loop is a sibling call: what this frame held is gone, and the reference goes on in a
// register.
[[gnu::noinline]] long launch(const Case& c) {
  void* const other = c.make_other(c.count, 3);
  void* const object = c.make_object(c.count, 5);
  return c.loop(object, c.count, 7, other);
}

sigjmp_buf g_before_loop;
// A loop that follows a reference out of a dead object has lost the object.
void on_fault(int) { siglongjmp(g_before_loop, 1); }

// With a collection at every step; false if the result is another than without.
bool survives(const Case& c) {
  g_collecting = false;
  const long expected = launch(c);
  g_collecting = true;
  if (sigsetjmp(g_before_loop, 1) != 0) {
    std::printf("lost: %s: followed a reference from a dead object\n", c.name);
    return false;
  }
  const long found = launch(c);
  if (expected == found) return true;
  std::printf("lost: %s: %ld instead of %ld\n", c.name, found, expected);
  return false;
}

// What no reference leads to must be overwritten, or nothing could be found lost.
[[gnu::noinline]] std::uintptr_t make_hidden() {
  return ~reinterpret_cast<std::uintptr_t>(make_elements<long>(31, 5));
}
[[gnu::noinline]] long count_intact() {
  long intact = 0;
  for (int i = 0; i < 20; ++i) {
    const std::uintptr_t hidden = make_hidden();
    step();
    const auto* const elements = reinterpret_cast<const volatile long*>(~hidden);
    intact += elements[3] == 4 ? 1 : 0;
  }
  return intact;
}

}  // namespace

void catch_faults() noexcept {
  signal(SIGSEGV, on_fault);
  signal(SIGBUS, on_fault);
}

void step() noexcept {
  overwrite_dead_frames();
  if (g_collecting) runtime::collect();
}

[[gnu::noinline]] long observe(long number) noexcept {
  asm volatile("" : "+r"(number));
  return number & 7;
}

int run_all(const char* pattern) {
  int run = 0;
  int lost = 0;
  g_collecting = true;
  const long intact = count_intact();
  if (intact > 5) {
    std::printf("%ld of 20 objects without a reference were not overwritten: nothing is proved\n",
                intact);
    return 2;
  }
  for (int i = 0; i < kCaseCount; ++i) {
    const Case& c = kCases[i];
    if (std::strstr(c.name, pattern) == nullptr) continue;
    ++run;
    lost += survives(c) ? 0 : 1;
  }
  std::printf("%d loops, %d lost\n", run, lost);
  return lost == 0 && run > 0 ? 0 : 1;
}

}  // namespace tricolor::tests

int main(int argc, char** argv) {
  const char* const given = std::getenv("GODEBUG");
  setvbuf(stdout, nullptr, _IOLBF, 0);  // what was found is told even by a process that dies
  tricolor::tests::catch_faults();
  const std::string settings = (given == nullptr ? "" : std::string(given) + ",") + "clobberfree=1";
  setenv("GODEBUG", settings.c_str(), 1);
  return tricolor::tests::run_all(argc > 1 ? argv[1] : "");
}
