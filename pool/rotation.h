#pragma once

// Rotation: the pre-mark hook of all pools, and the list of the pools that it has to look at.
//
// A pool is on the list from its first put until a rotation finds it empty-handed or closed: a pool
// that is not used costs the hook nothing, and one that is costs it a few stores. Pools are added
// without a lock to one of several heads, chosen by the thread's slot; the hook takes the heads
// over as a whole.
// Threads: list_for_rotation, register_rotation: any. rotate_pools: the collector's, in a pre-mark hook.

#include <cstdint>

#include "pool/state.h"

namespace tricolor::sync::detail {

// The first call registers the hook. std::bad_alloc.
void register_rotation();

// The caller has set state.listed.
void list_for_rotation(PoolState& state) noexcept;

void rotate_pools() noexcept;

// The next rotation leaves nothing in any pool, not even a victim. Any thread.
void drop_pools_at_next_rotation() noexcept;

// For tests: the steps that the last rotation took; one a pool it looked at.
uint64_t steps_of_last_rotation() noexcept;

}  // namespace tricolor::sync::detail
