#pragma once

// ThreadData: what the collector keeps per attached thread.
//
// [buffer.push-first]  an object shaded by the thread is in `buffer` before its mark is set: who finds the mark
//                      set, and therefore reports nothing, can rely on the collector seeing the buffer.
// [buffer.flush]       a full buffer is copied to the worklist first and emptied afterwards.
// Owner: the thread, or the collector while it answers for it.

#include <array>
#include <atomic>
#include <cstdint>

#include "runtime/base/memory.h"

#include <tricolor/root.hpp>

namespace tricolor::gc {

struct ThreadData : runtime::FromMalloc {
  static constexpr uint32_t kBufferCapacity = 256;

  // Stored by the owner (release) after the item; the collector reads it (acquire) after the
  // thread's answer.
  std::atomic<uint32_t> buffered{0};
  std::array<uint64_t, kBufferCapacity> buffer{};  // offsets from the base of the heap

  bool allocates_black = false;
  uint32_t black_generation =
      0;  // [alloc.black]: black only while the sweep generation is this one

  int64_t uncharged_bytes = 0;  // allocated, not yet in the heap's live figure
  int64_t uncharged_scan_bytes = 0;
  // Reported by runtime::adjust_external_memory, not yet charged: written by the owner, read
  // relaxed by statistics.
  std::atomic<int64_t> uncharged_external{0};
  // How far the dead were when waiting for them was in vain.
  uint64_t gave_up_at = UINT64_MAX;
  int64_t assist_debt = 0;    // scan work owed
  int64_t newborn_bytes = 0;  // allocated black in this cycle
  int64_t marked_bytes = 0;   // marked by this thread's barrier and stack scans in this cycle
  int64_t scanned_stack_bytes = 0;

  // In the handshake of an inspection (gc/held.h): the thread's number, and where its registers
  // are.
  uint32_t held_number = 0;
  const uintptr_t* held_words = nullptr;
  const uintptr_t* held_words_end = nullptr;

  detail::RootSlot* free_slots = nullptr;
  uint32_t free_slot_count = 0;
};

}  // namespace tricolor::gc
