#pragma once

// Misuse: what the checking build (TRICOLOR_CHECKS) knows of the objects in pools, to report one that is put
// twice, used after it was put (pool/poison.h), or published meanwhile, and a pool that is
// destroyed while leases are out. Reports have the stacks of both calls.
//
// An object that was put and not taken since is remembered with the epoch it was put in, the pool's
// type and the call site. The record counts while its epoch is a pool's current one or its
// victim's: after that the object is garbage, and its address may be a new object's. A put that
// races with a rotation may be remembered under an earlier epoch than the one it goes to, never a
// later one: a report is never false.
// Threads: any.

#include <cstdint>

#include <tricolor/detail/pool_core.hpp>

namespace tricolor::sync::detail {

#if TRICOLOR_CHECKS
void note_epoch_begun(uint64_t epoch) noexcept;
void note_epoch_over(uint64_t epoch) noexcept;
#else
inline void note_epoch_begun(uint64_t) noexcept {}
inline void note_epoch_over(uint64_t) noexcept {}
inline void check_taken(void*) noexcept {}
#endif

}  // namespace tricolor::sync::detail
