#pragma once

// SlotTable: one collected object per thread slot, found by the slot's number without a lock. Grows by chunks,
// never shrinks; an entry, once set, stays. Part of a collected object.
//
// Threads: find, for_each: any. get_or_make: the thread that owns the slot.

#include <array>
#include <cstdint>

#include <tricolor/atomic.hpp>
#include <tricolor/make.hpp>

namespace tricolor::sync::detail {

template <class T>
class SlotTable {
 public:
  T* find(uint32_t slot) const noexcept {
    const SlotTable* table = this;
    for (; slot >= kChunk; slot -= kChunk) {
      table = table->next_.load(std::memory_order_acquire);
      if (table == nullptr) return nullptr;
    }
    return table->items_[slot].load(std::memory_order_acquire);
  }

  // `make()` gives the object if there is none yet. std::bad_alloc.
  template <class Make>
  T* get_or_make(uint32_t slot, Make make) {
    SlotTable* table = this;
    for (; slot >= kChunk; slot -= kChunk) table = table->next_chunk();
    gc::atomic<T>& item = table->items_[slot];
    if (T* const there = item.load(std::memory_order_relaxed)) return there;
    T* const made = make();
    item.store(made, std::memory_order_release);
    return made;
  }

  // Calls visit(slot, object) in the order of the slots until it returns true; gives what it
  // returned last.
  template <class Visit>
  bool any_of(Visit visit) const {
    uint32_t slot = 0;
    for (const SlotTable* table = this; table != nullptr;
         table = table->next_.load(std::memory_order_acquire)) {
      for (const gc::atomic<T>& item : table->items_) {
        T* const object = item.load(std::memory_order_acquire);
        if (object != nullptr && visit(slot, *object)) return true;
        ++slot;
      }
    }
    return false;
  }

 private:
  static constexpr uint32_t kChunk = 15;

  SlotTable* next_chunk() {
    if (SlotTable* const next = next_.load(std::memory_order_acquire)) return next;
    SlotTable* const fresh = gc::make<SlotTable>();
    SlotTable* there = nullptr;
    return next_.compare_exchange_strong(there, fresh, std::memory_order_acq_rel,
                                         std::memory_order_acquire)
               ? fresh
               : there;
  }

  // Stored with release when the object or chunk is complete, loaded with acquire.
  std::array<gc::atomic<T>, kChunk> items_;
  gc::atomic<SlotTable> next_;
};

}  // namespace tricolor::sync::detail
