#pragma once

// Roots: the slots behind gc::root.
//
// Slots live in slabs that are never given back, so the collector reads them all, used or not,
// while threads take and return them. A free slot holds the address of the next free one: not a
// heap address, so it needs no tag.
//
// [roots.slots]  a slot is written only by the thread that owns the gc::root, or, while free, by whoever holds
//                the free list it is on; single word stores, so a concurrent reader sees a reference or a link.
// Threads: take and give: any. for_each_target(): the collector.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "gc/thread_data.h"
#include "runtime/base/lock.h"

namespace tricolor::gc {

class RootSlots {
 public:
  static constexpr size_t kSlabSlots = 8192;

  detail::RootSlot* take(ThreadData& data);  // std::bad_alloc
  void give(ThreadData* data, detail::RootSlot* slot) noexcept;
  // A thread leaves: its free slots go back.
  void flush(ThreadData& data) noexcept;

  // Bytes looked at. Slots that are free are visited too.
  template <class Visit>
  size_t for_each_slot(Visit visit) noexcept;
  template <class Visit>
  size_t for_each_target(Visit visit) noexcept;

  runtime::Lock& lock() noexcept { return lock_; }

 private:
  static constexpr uint32_t kBatch = 64;

  struct Slab {
    Slab* next;
    detail::RootSlot slots[kSlabSlots];
  };

  static void set_link(detail::RootSlot* slot, detail::RootSlot* next) noexcept;
  static detail::RootSlot* link_of(const detail::RootSlot* slot) noexcept;
  bool grow_locked() noexcept;

  runtime::Lock lock_{runtime::LockRank::roots};
  detail::RootSlot* free_ = nullptr;  // guarded by lock_
  // Pushed under lock_ (release), walked by the collector (acquire); slabs never leave.
  std::atomic<Slab*> slabs_{nullptr};
};

extern RootSlots g_roots;

template <class Visit>
size_t RootSlots::for_each_slot(Visit visit) noexcept {
  size_t bytes = 0;
  for (Slab* slab = slabs_.load(std::memory_order_acquire); slab != nullptr; slab = slab->next) {
    bytes += sizeof(slab->slots);
    for (const detail::RootSlot& slot : slab->slots) visit(slot);
  }
  return bytes;
}

template <class Visit>
size_t RootSlots::for_each_target(Visit visit) noexcept {
  return for_each_slot([&](const detail::RootSlot& slot) {
    void* const target = detail::load_word(slot.target);
    if (target != nullptr) visit(target);
  });
}

}  // namespace tricolor::gc
