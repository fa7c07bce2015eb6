#include "gc/roots.h"

#include <mutex>
#include <new>

#include "runtime/base/thread_order.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::gc {

using detail::RootSlot;
using runtime::RuntimeScope;
using runtime::Thread;

constinit RootSlots g_roots;

// [roots.slots]
void RootSlots::set_link(RootSlot* slot, RootSlot* next) noexcept {
  detail::store_word(slot->target, static_cast<void*>(next));
}

RootSlot* RootSlots::link_of(const RootSlot* slot) noexcept {
  return static_cast<RootSlot*>(detail::load_word(slot->target));
}

bool RootSlots::grow_locked() noexcept {
  auto* const slab = static_cast<Slab*>(runtime::os::map(sizeof(Slab)));
  if (slab == nullptr) return false;
  for (size_t i = kSlabSlots; i-- > 0;) {
    set_link(slab->slots + i, free_);
    free_ = slab->slots + i;
  }
  slab->next = slabs_.load(std::memory_order_relaxed);
  slabs_.store(slab, std::memory_order_release);
  return true;
}

RootSlot* RootSlots::take(ThreadData& data) {
  if (data.free_slots == nullptr) {
    const std::lock_guard guard(lock_);
    for (uint32_t i = 0; i < kBatch; ++i) {
      if (free_ == nullptr && !grow_locked()) break;
      RootSlot* const slot = free_;
      free_ = link_of(slot);
      set_link(slot, data.free_slots);
      data.free_slots = slot;
      ++data.free_slot_count;
    }
    if (data.free_slots == nullptr) throw std::bad_alloc();
  }
  RootSlot* const slot = data.free_slots;
  data.free_slots = link_of(slot);
  --data.free_slot_count;
  detail::store_word(slot->target, static_cast<void*>(nullptr));
  return slot;
}

void RootSlots::give(ThreadData* data, RootSlot* slot) noexcept {
  if (data == nullptr) {
    const std::lock_guard guard(lock_);
    set_link(slot, free_);
    free_ = slot;
    return;
  }
  set_link(slot, data->free_slots);
  data->free_slots = slot;
  if (++data->free_slot_count <= 4 * kBatch) return;
  const std::lock_guard guard(lock_);
  for (uint32_t i = 0; i < 2 * kBatch; ++i) {
    RootSlot* const moved = data->free_slots;
    data->free_slots = link_of(moved);
    --data->free_slot_count;
    set_link(moved, free_);
    free_ = moved;
  }
}

void RootSlots::flush(ThreadData& data) noexcept {
  const std::lock_guard guard(lock_);
  while (RootSlot* const slot = data.free_slots) {
    data.free_slots = link_of(slot);
    set_link(slot, free_);
    free_ = slot;
  }
  data.free_slot_count = 0;
}

namespace detail {

RootSlot* take_root_slot() {
  Thread& thread = Thread::attached();
  const RuntimeScope scope(thread);
  runtime::learn_order();
  return g_roots.take(*thread.data);
}

void give_root_slot(RootSlot* slot) noexcept {
  Thread* const thread = Thread::current();
  runtime::tell_order();
  if (thread == nullptr) {
    g_roots.give(nullptr, slot);
    return;
  }
  const RuntimeScope scope(*thread);
  g_roots.give(thread->data, slot);
}

}  // namespace detail
}  // namespace tricolor::gc
