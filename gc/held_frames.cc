#include "gc/held_frames.h"

#include <link.h>
#include <unwind.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "gc/held.h"

namespace tricolor::gc {

namespace {

// What the unwinder takes of a stack, with the loader's part.
constexpr uintptr_t kRoomToUnwind = uintptr_t{24} << 10;
constexpr size_t kMostRanges = 512;

struct Code {
  struct Range {
    uintptr_t lo;
    uintptr_t hi;
  };
  std::array<Range, kMostRanges> ranges;
  size_t count = 0;

  // Whether the bytes right before `address` can be read as code.
  bool contains(uintptr_t address) const noexcept {
    for (size_t i = 0; i < count; ++i) {
      if (address - ranges[i].lo < ranges[i].hi - ranges[i].lo) return address - ranges[i].lo >= 8;
    }
    return false;
  }
};
// Written by the one who inspects, before the handshake that reads it.
Code g_code;

int note_object(dl_phdr_info* object, size_t, void*) noexcept {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    if (g_code.count == kMostRanges) return 1;
    const uintptr_t lo = object->dlpi_addr + segment.p_vaddr;
    g_code.ranges[g_code.count++] = {lo, lo + segment.p_memsz};
  }
  return 0;
}

// Whether an instruction that calls ends at `address`.
bool follows_call(uintptr_t address) noexcept {
#if defined(__x86_64__)
  unsigned char code[7];
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  std::memcpy(code, reinterpret_cast<const void*>(address - 7), sizeof(code));
  if (code[2] == 0xe8) return true;  // call rel32
  // call through a register or memory, by its length: ff /2
  const auto indirect = [&](int at) { return code[at] == 0xff && (code[at + 1] & 0x38) == 0x10; };
  return indirect(5) || indirect(4) || indirect(3) || indirect(1) || indirect(0);
#else
  uint32_t instruction;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  std::memcpy(&instruction, reinterpret_cast<const void*>(address - 4), sizeof(instruction));
  return (instruction & 0xfc000000) == 0x94000000 || (instruction & 0xfffffc1f) == 0xd63f0000;
#endif
}

_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* argument) noexcept {
  auto& thread = *static_cast<HeldThread*>(argument);
  if (thread.frame_count == HeldThread::kMostFrames) return _URC_END_OF_STACK;
  const uintptr_t pc = _Unwind_GetIP(context);
  if (pc == 0) return _URC_END_OF_STACK;
  thread.frames[thread.frame_count++] = {pc, _Unwind_GetCFA(context)};
  return _URC_NO_REASON;
}

}  // namespace

void note_code() noexcept {
  g_code.count = 0;
  dl_iterate_phdr(note_object, nullptr);
}

void unwind_frames(HeldThread& thread) noexcept {
  thread.frame_count = 0;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  // Nor on a signal stack, which may be as small as the system allows.
  if (here < thread.stack_lo || here >= thread.stack_hi) return;
  if (here - thread.stack_lo < kRoomToUnwind) return;
  _Unwind_Backtrace(note_frame, &thread);
  // What the unwinder calls a frame's CFA is where its own callee's begins.
  for (size_t i = 0; i < thread.frame_count; ++i) {
    thread.frames[i].cfa = i + 1 < thread.frame_count ? thread.frames[i + 1].cfa : thread.stack_hi;
  }
}

__attribute__((no_sanitize("address", "thread", "undefined"))) void guess_frames(
    HeldThread& thread) noexcept {
  thread.frame_count = 0;
  thread.guessed = true;
  if (thread.sp < thread.stack_lo || thread.sp >= thread.stack_hi) return;
  uintptr_t pc = 0;  // of the frame that a return address ends: where it goes on is another's
  for (uintptr_t at = (thread.sp + 7) & ~uintptr_t{7};
       at < thread.stack_hi && thread.frame_count < HeldThread::kMostFrames; at += 8) {
    const uintptr_t word = *reinterpret_cast<const volatile uintptr_t*>(at);  // NOLINT
    if (!g_code.contains(word) || !follows_call(word)) continue;
    thread.frames[thread.frame_count++] = {pc, at + 8};
    pc = word;
  }
}

}  // namespace tricolor::gc
