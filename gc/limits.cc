#include "gc/limits.h"

#include <atomic>
#include <cstdint>

#include "runtime/heap/collector_hooks.h"

namespace tricolor::gc {

namespace {
std::atomic<size_t> g_max_heap{0};  // relaxed: a limit, nothing is published with it
}  // namespace

size_t set_max_heap(size_t bytes) noexcept {
  return g_max_heap.exchange(bytes, std::memory_order_relaxed);
}

}  // namespace tricolor::gc

namespace tricolor::runtime {

size_t max_heap_bytes() noexcept {
  const size_t most = gc::g_max_heap.load(std::memory_order_relaxed);
  return most == 0 ? SIZE_MAX : most;
}

}  // namespace tricolor::runtime
