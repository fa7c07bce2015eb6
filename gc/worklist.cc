#include "gc/worklist.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "runtime/os/os.h"

namespace tricolor::gc {

using runtime::futex::wait;
using runtime::futex::wake;

constinit Worklist g_worklist;

void* Worklist::carve_locked(size_t bytes) noexcept {
  if (chunk_left_ < bytes) {
    auto* const chunk = static_cast<char*>(runtime::os::map(kChunkBytes));
    if (chunk == nullptr) return nullptr;
    bytes_.fetch_add(kChunkBytes, std::memory_order_relaxed);
    chunk_ = chunk;
    chunk_left_ = kChunkBytes;
  }
  void* const piece = chunk_;
  chunk_ += bytes;
  chunk_left_ -= bytes;
  return piece;
}

// [worklist.reserve]
bool Worklist::reserve(size_t stacks) noexcept {
  const std::lock_guard guard(lock_);
  const size_t bytes = stacks * sizeof(MarkStack) + kReservedBlocks * sizeof(WorkBlock);
  auto* const chunk = static_cast<char*>(runtime::os::map(bytes));
  if (chunk == nullptr) return false;
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  chunk_ = chunk;
  chunk_left_ = bytes;
  for (size_t i = 0; i < stacks; ++i) {
    auto* const stack = static_cast<MarkStack*>(carve_locked(sizeof(MarkStack)));
    stack->next = stacks_;
    stacks_ = stack;
  }
  return true;
}

WorkBlock* Worklist::take_empty() noexcept {
  static_assert(sizeof(WorkBlock) == 4096);
  const std::lock_guard guard(lock_);
  WorkBlock* block = empty_;
  if (block == nullptr) {
    block = static_cast<WorkBlock*>(carve_locked(sizeof(WorkBlock)));
  } else {
    empty_ = block->next;
  }
  return block;
}

void Worklist::give_empty(WorkBlock* block) noexcept {
  const std::lock_guard guard(lock_);
  block->next = empty_;
  empty_ = block;
}

MarkStack* Worklist::take_stack() noexcept {
  const std::lock_guard guard(lock_);
  MarkStack* stack = stacks_;
  if (stack == nullptr) {
    stack = static_cast<MarkStack*>(carve_locked(sizeof(MarkStack)));
    if (stack == nullptr) return nullptr;
  } else {
    stacks_ = stack->next;
  }
  stack->size = 0;
  return stack;
}

void Worklist::give_stack(MarkStack* stack) noexcept {
  const std::lock_guard guard(lock_);
  stack->next = stacks_;
  stacks_ = stack;
}

void Worklist::put(WorkBlock* block) noexcept {
  {
    const std::lock_guard guard(lock_);
    block->next = full_;
    full_ = block;
    arrivals_.fetch_add(1, std::memory_order_release);  // [worklist.arrivals]
    available_.fetch_add(1, std::memory_order_relaxed);
  }
  wake_.fetch_add(1, std::memory_order_seq_cst);
  // All: a single wake-up could go to one that cannot mark.
  if (waiting_.load(std::memory_order_seq_cst) != 0) wake(&wake_, INT32_MAX);
}

void Worklist::put_items(WorkKind kind, const uint64_t* items, size_t count) noexcept {
  while (count > 0) {
    WorkBlock* const block = take_empty();
    if (block == nullptr) {
      set_overflowed();
      arrivals_.fetch_add(1, std::memory_order_release);
      return;
    }
    const size_t n = std::min<size_t>(count, WorkBlock::kCapacity);
    std::memcpy(block->items.data(), items, n * sizeof(*items));
    block->count = static_cast<uint32_t>(n);
    block->kind = kind;
    items += n;
    count -= n;
    put(block);
  }
}

void Worklist::open() noexcept {
  {
    const std::lock_guard guard(lock_);
    is_open_.store(true, std::memory_order_relaxed);
  }
  wake_all();
}

void Worklist::close() noexcept {
  const std::lock_guard guard(lock_);
  is_open_.store(false, std::memory_order_relaxed);
}

WorkBlock* Worklist::begin_work() noexcept {
  if (looks_empty()) return nullptr;
  const std::lock_guard guard(lock_);
  WorkBlock* const block = full_;
  if (block == nullptr || !is_open_.load(std::memory_order_relaxed))
    return nullptr;  // [worklist.open]
  ++active_;         // [worklist.active]
  full_ = block->next;
  available_.fetch_sub(1, std::memory_order_relaxed);
  return block;
}

WorkBlock* Worklist::more_work() noexcept {
  if (looks_empty()) return nullptr;
  const std::lock_guard guard(lock_);
  WorkBlock* const block = full_;
  if (block == nullptr) return nullptr;
  full_ = block->next;
  available_.fetch_sub(1, std::memory_order_relaxed);
  return block;
}

void Worklist::begin_own_work() noexcept {
  const std::lock_guard guard(lock_);
  ++active_;
}

void Worklist::end_work() noexcept {
  bool last;
  {
    const std::lock_guard guard(lock_);
    last = --active_ == 0;
  }
  if (last) wake_all();
}

bool Worklist::quiescent() noexcept {
  const std::lock_guard guard(lock_);
  return full_ == nullptr && active_ == 0;
}

void Worklist::wait_for_arrival(uint32_t seen, int64_t timeout_ns) noexcept {
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  if (wake_.load(std::memory_order_seq_cst) == seen) wait(&wake_, seen, timeout_ns);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
}

void Worklist::wake_all() noexcept {
  wake_.fetch_add(1, std::memory_order_seq_cst);
  if (waiting_.load(std::memory_order_seq_cst) != 0) wake(&wake_, INT32_MAX);
}

void Worklist::wait_stalled(uint32_t seen, int64_t timeout_ns) noexcept {
  stalled_.fetch_add(1, std::memory_order_seq_cst);
  wait_for_arrival(seen, timeout_ns);
  stalled_.fetch_sub(1, std::memory_order_relaxed);
}

void Worklist::wait_for_cycle_end(uint32_t seen, int64_t timeout_ns) noexcept {
  wait(&cycle_end_, seen, timeout_ns);
}

void Worklist::wake_stalled() noexcept {
  cycle_end_.fetch_add(1, std::memory_order_release);
  wake(&cycle_end_, INT32_MAX);
  wake_.fetch_add(1, std::memory_order_seq_cst);
  if (stalled_.load(std::memory_order_seq_cst) != 0) wake(&wake_, INT32_MAX);
}

void Worklist::reset_after_fork() noexcept {
  is_open_.store(false, std::memory_order_relaxed);
  active_ = 0;
  waiting_.store(0, std::memory_order_relaxed);
  stalled_.store(0, std::memory_order_relaxed);
}

}  // namespace tricolor::gc
