#include "gc/limits.h"

#include <atomic>

#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/spans.h"

namespace tricolor::gc {

namespace {
std::atomic<size_t> g_max_heap{0};  // relaxed: a limit, nothing is published with it
}  // namespace

size_t set_max_heap(size_t bytes) noexcept {
  return g_max_heap.exchange(bytes, std::memory_order_relaxed);
}

}  // namespace tricolor::gc

namespace tricolor::runtime {

bool may_grow(size_t bytes) noexcept {
  const size_t most = gc::g_max_heap.load(std::memory_order_relaxed);
  return most == 0 || g_spans.pages().bytes_in_use() + bytes <= most;
}

}  // namespace tricolor::runtime
