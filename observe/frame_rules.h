#pragma once

// Frame rules: where the caller's frame and registers are, for one address of code, as its unwind
// table says.
//
// The unwinder of the compiler's runtime interprets that table for each frame anew, some 250 ns
// each; a rule is remembered, and takes 5. Rules are simple ones: a caller's frame by rsp or rbp,
// rbp as it is or in the frame. Whatever is otherwise has none, and the stack is taken the long
// way.
//
// [rules.pairs]  an entry is two words, the first the address XOR the second: a half that belongs to another entry does
//                not fit, so that reading and writing need no lock.
// Threads: any, also in signal handlers where kStacksInHandlers.

#include <cstdint>

namespace tricolor::observe {

struct FrameRule {
  enum class Base : uint8_t { kNone, kRsp, kRbp, kOutermost };
  Base base = Base::kNone;  // kNone: not a simple one
  bool saves_rbp = false;
  int32_t cfa_offset = 0;  // the caller's frame ends that far above the base
  int16_t rbp_offset = 0;  // rbp of the caller, from there
};

// For an address inside a call.
FrameRule frame_rule(uintptr_t address) noexcept;

}  // namespace tricolor::observe
