#pragma once

// References: compares words of memory with what was last recorded of them, and records what is
// new: a store where the word lies in a block, a root elsewhere (its number is the address / 8).
//
// A word refers to a block when its value is an address inside of it.
//
// Threads: within a turn (watch.h).

#include <cstddef>
#include <cstdint>

#include "tools/recorder/block_map.h"

namespace tools::recorder {

BlockMap& block_map();

// The word may be unaligned; then it is the aligned one that it begins in. True when a root was
// recorded, one that refers to something.
bool record_word(uintptr_t address);
// The root is no more.
void record_root_end(uintptr_t address);

}  // namespace tools::recorder
