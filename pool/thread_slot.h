#pragma once

// Thread slots: small numbers, one for each thread that uses a pool; what is kept per thread is
// found by them.
//
// A number is taken at a thread's first use of any pool and given back when the thread exits, after
// the destructors of its thread_locals; the next thread that takes it inherits the locals that go
// with it.
//
// [slot.handover]  a slot's bit is set with acquire and cleared with release: the next owner sees what the one
//                  before it did to their locals.
//
// There are kSlots of them; a thread that finds none left works without: it steals, and what it
// puts is discarded.
// Threads: any; nothing here locks or allocates from the collected heap.

#include <cstdint>

namespace tricolor::sync::detail {

struct Local;
struct PoolHead;

inline constexpr uint32_t kSlots = 65536;
inline constexpr uint32_t kNoSlot = UINT32_MAX;

// The calling thread's slot, taken if need be; kNoSlot when none is left.
uint32_t thread_slot() noexcept;

// A number that was never handed out before, above 0.
uint64_t fresh_epoch() noexcept;

// Lets local_at_hand() find the calling thread's local of the generation that `epoch` names.
void remember_local(const PoolHead& pool, uint64_t epoch, const Local* local) noexcept;

}  // namespace tricolor::sync::detail
