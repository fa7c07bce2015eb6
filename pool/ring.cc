#include "pool/ring.h"

#include <algorithm>

#include <tricolor/make.hpp>

namespace tricolor::sync::detail {

namespace {

constexpr uint64_t kOneHead = uint64_t{1} << 32;

uint32_t head_of(uint64_t word) noexcept { return static_cast<uint32_t>(word >> 32); }
uint32_t tail_of(uint64_t word) noexcept { return static_cast<uint32_t>(word); }
uint64_t pack(uint32_t head, uint32_t tail) noexcept { return uint64_t{head} << 32 | tail; }

}  // namespace

Ring::Ring(uint32_t capacity)
    : slots_(gc::make_array<gc::atomic<void>>(capacity)), mask_(capacity - 1) {}

bool Ring::push_head(void* object) noexcept {
  const uint64_t word = head_and_tail_.load(std::memory_order_relaxed);
  const uint32_t head = head_of(word);
  if (head - tail_of(word) > mask_) return false;
  gc::atomic<void>& slot = slots_.get()[head & mask_];
  // [ring.clear] Acquire: what the consumer did with the slot comes before our store.
  if (slot.load(std::memory_order_acquire) != nullptr) return false;
  slot.store(object, std::memory_order_relaxed);
  head_and_tail_.fetch_add(kOneHead, std::memory_order_release);
  return true;
}

void* Ring::pop_head() noexcept {
  uint64_t word = head_and_tail_.load(std::memory_order_relaxed);
  uint32_t head;
  do {
    head = head_of(word);
    if (head == tail_of(word)) return nullptr;
    // [ring.one-word]
  } while (!head_and_tail_.compare_exchange_weak(
      word, pack(head - 1, tail_of(word)), std::memory_order_acquire, std::memory_order_relaxed));
  gc::atomic<void>& slot = slots_.get()[(head - 1) & mask_];
  void* const object = slot.load(std::memory_order_relaxed);
  slot.store(nullptr, std::memory_order_relaxed);
  return object;
}

void* Ring::pop_tail() noexcept {
  uint64_t word = head_and_tail_.load(std::memory_order_acquire);
  uint32_t tail;
  do {
    tail = tail_of(word);
    if (head_of(word) == tail) return nullptr;
    // [ring.one-word]
  } while (!head_and_tail_.compare_exchange_weak(
      word, pack(head_of(word), tail + 1), std::memory_order_acq_rel, std::memory_order_acquire));
  gc::atomic<void>& slot = slots_.get()[tail & mask_];
  void* const object = slot.load(std::memory_order_relaxed);
  slot.store(nullptr, std::memory_order_release);  // [ring.clear]
  return object;
}

uint32_t Ring::size() const noexcept {
  const uint64_t word = head_and_tail_.load(std::memory_order_relaxed);
  return head_of(word) - tail_of(word);
}

void push_head(Local& local, void* object) {
  Ring* head = local.head;
  if (head == nullptr) {
    head = gc::make<Ring>(Ring::kFirstCapacity);
    local.head = head;
    local.tail.store(head, std::memory_order_release);
  }
  if (head->push_head(object)) return;
  Ring* const fresh = gc::make<Ring>(head->capacity() < Ring::kMostCapacity ? head->capacity() * 2
                                                                            : Ring::kMostCapacity);
  fresh->older.store(head, std::memory_order_relaxed);
  fresh->push_head(object);
  local.head = fresh;
  head->newer.store(fresh, std::memory_order_release);
}

void* pop_head(Local& local) noexcept {
  for (Ring* ring = local.head; ring != nullptr;
       ring = ring->older.load(std::memory_order_relaxed)) {
    if (void* const object = ring->pop_head()) return object;
  }
  return nullptr;
}

void* pop_tail(Local& local) noexcept {
  Ring* ring = local.tail.load(std::memory_order_acquire);
  while (ring != nullptr) {
    // Before the pop: if there is a newer ring now and the pop finds nothing, then for good.
    Ring* const newer = ring->newer.load(std::memory_order_acquire);
    if (void* const object = ring->pop_tail()) return object;
    if (newer == nullptr) return nullptr;
    // [chain.drained] Release: whoever starts at `newer` sees it as we do.
    Ring* expected = ring;
    if (local.tail.compare_exchange_strong(expected, newer, std::memory_order_acq_rel,
                                           std::memory_order_relaxed)) {
      newer->older.store(nullptr, std::memory_order_relaxed);
    }
    ring = newer;
  }
  return nullptr;
}

uint64_t shared_size(const Local& local) noexcept {
  uint64_t size = 0;
  for (const Ring* ring = local.head; ring != nullptr;
       ring = ring->older.load(std::memory_order_relaxed)) {
    size += ring->size();
  }
  return size;
}

}  // namespace tricolor::sync::detail
