// sync::MemoryGuard: acts before memory runs out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include <tricolor/detail/config.hpp>

namespace tricolor::sync {

// What a hook is told: bytes of memory that the runtime has from the system, and the limit.
struct MemoryPressure {
  std::int64_t used = 0;
  std::int64_t limit = 0;
};

struct MemoryGuardOptions {
  // Bytes; 0: the memory limit as it is at each look (GOMEMLIMIT, debug::set_memory_limit). Without
  // one the guard does nothing.
  std::int64_t limit = 0;
  // At which share of it to act: above 0, at most 1.
  double share = 0.9;
  // How often to look.
  std::chrono::nanoseconds interval = std::chrono::milliseconds(100);
  // Called first: caches of the program are cleared here. On the guard's thread, or the one that
  // calls check(); what it throws is reported on stderr.
  std::function<void(const MemoryPressure&)> hook = {};
  // Says on stderr what was done; GCTRACE=1 does so for all guards.
  bool trace = false;
};

// Looks at the runtime's memory from time to time. When it has reached the share of the limit, the
// guard calls the hook, drops what lies in sync::Pools, collects, and gives free pages back; what
// it did is a line of the trace. It then rests for ten times as long as that took, at least ten
// intervals, so that a heap that is simply too large costs no more than a tenth of the time.
//
//     sync::MemoryGuard guard({.share = 0.8, .hook = [&](const auto&) { cache.clear(); }});
//
// GODEBUG=memoryguard=PERCENT starts one from the first use of a pool on. All guards share one
// thread of the library; where the system refuses it, or in the child of a fork(), check() does the
// work. Any thread; a hook neither makes nor destroys guards.
class MemoryGuard {
 public:
  MemoryGuard() : MemoryGuard(MemoryGuardOptions{}) {}
  // std::invalid_argument for a share out of range, a negative limit or an interval of 0 or less.
  TRICOLOR_API explicit MemoryGuard(MemoryGuardOptions options);
  TRICOLOR_API ~MemoryGuard();
  MemoryGuard(const MemoryGuard&) = delete;
  MemoryGuard& operator=(const MemoryGuard&) = delete;

  // Looks now, whatever the interval and the rest; whether it acted.
  TRICOLOR_API bool check();
  // How often it has acted.
  TRICOLOR_API std::size_t actions() const noexcept;

 private:
  struct State;
  struct Watch;
  std::shared_ptr<State> state_;
};

namespace detail {
// The one that the environment asks for, if it does.
void start_memory_guard_of_environment();
}  // namespace detail

}  // namespace tricolor::sync
