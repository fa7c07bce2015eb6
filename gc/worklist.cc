#include "gc/worklist.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "runtime/os/os.h"

namespace tricolor::gc {

using runtime::futex::wait;
using runtime::futex::wake;

Worklist g_worklist;

void Worklist::grow_locked() noexcept {
  auto* const chunk = static_cast<WorkBlock*>(runtime::os::map(kChunkBytes));
  if (chunk == nullptr) return;
  bytes_.fetch_add(kChunkBytes, std::memory_order_relaxed);
  static_assert(sizeof(WorkBlock) == 4096);
  for (size_t i = kChunkBytes / sizeof(WorkBlock); i-- > 0;) {
    chunk[i].next = empty_;
    empty_ = chunk + i;
  }
}

WorkBlock* Worklist::take_empty() noexcept {
  const std::lock_guard guard(lock_);
  if (empty_ == nullptr) grow_locked();
  WorkBlock* const block = empty_;
  if (block == nullptr) return nullptr;
  empty_ = block->next;
  block->next = nullptr;
  block->count = 0;
  return block;
}

void Worklist::give_empty(WorkBlock* block) noexcept {
  const std::lock_guard guard(lock_);
  block->next = empty_;
  empty_ = block;
}

void Worklist::put_locked(WorkBlock* block) noexcept {
  block->next = full_;
  full_ = block;
  arrivals_.fetch_add(1, std::memory_order_release);  // [worklist.arrivals]
  available_.fetch_add(1, std::memory_order_relaxed);
}

void Worklist::put(WorkBlock* block) noexcept {
  if (block->empty()) {
    give_empty(block);
    return;
  }
  {
    const std::lock_guard guard(lock_);
    put_locked(block);
  }
  wake_.fetch_add(1, std::memory_order_release);
  if (somebody_waits()) wake(&wake_, 1);
}

void Worklist::put_items(const uintptr_t* items, size_t count) noexcept {
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
    items += n;
    count -= n;
    put(block);
  }
}

WorkBlock* Worklist::begin_work() noexcept {
  if (looks_empty()) return nullptr;
  const std::lock_guard guard(lock_);
  WorkBlock* const block = full_;
  if (block == nullptr) return nullptr;
  ++active_;  // [worklist.active]
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

void Worklist::reset_after_fork() noexcept {
  active_ = 0;
  waiting_.store(0, std::memory_order_relaxed);
}

}  // namespace tricolor::gc
