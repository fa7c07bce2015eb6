#include "observe/root_names.h"

#include <array>
#include <cstdio>

#include "runtime/base/check.h"
#include "runtime/os/os.h"

namespace tricolor::observe {

using debug::Root;
using debug::RootKind;
using gc::HeldFrom;
using gc::HeldRoot;
using gc::HeldThread;

namespace {

// What a leaf function may keep below its stack pointer.
constexpr uintptr_t kRedZone = 128;

RootKind kind_of(uint32_t from) noexcept {
  switch (static_cast<HeldFrom>(from)) {
    case HeldFrom::kSlot:
      return RootKind::root_slot;
    case HeldFrom::kTraced:
      return RootKind::traced_memory;
    case HeldFrom::kStanding:
      return RootKind::global;
    case HeldFrom::kFinalizer:
      return RootKind::finalizer;
    case HeldFrom::kFinalizable:
      return RootKind::finalizable;
    case HeldFrom::kEphemeron:
      return RootKind::none;
    case HeldFrom::kFiber:
      return RootKind::fiber_stack;
    default:
      return RootKind::stack;
  }
}

}  // namespace

// In a handler the registers of what it interrupted lie between its own frames and those.
bool RootNames::is_register(const HeldThread& thread, const HeldRoot& root) noexcept {
  if (root.in_register != 0) return true;
  return thread.interrupted > thread.sp && thread.interrupted < thread.stack_hi &&
         root.place >= thread.sp && root.place < thread.interrupted - kRedZone;
}

size_t RootNames::frame_of(const HeldThread& thread, uintptr_t place) noexcept {
  for (size_t i = 0; i < thread.frame_count; ++i) {
    if (place < thread.frames[i].cfa) return i;
  }
  return thread.frame_count;
}

std::string RootNames::thread_name(int tid) {
  char path[64];
  std::array<char, 64> name;
  runtime::format_to(path, sizeof path, "/proc/self/task/%d/comm", tid);
  size_t length = runtime::os::read_file(path, name.data(), name.size());
  if (length > 0 && name[length - 1] == '\n') --length;
  return {name.data(), length};
}

std::string RootNames::function(uintptr_t pc) {
  if (pc == 0) return {};
  const Symbol symbol =
      symbols_.function_at(pc - 1);  // a return address may lie behind its function
  if (!symbol.name.empty()) return symbol.name;
  if (symbol.file.empty()) return {};
  char offset[32];
  std::snprintf(offset, sizeof offset, "+0x%zx", static_cast<size_t>(symbol.offset));
  return symbol.file + offset;
}

void RootNames::name_stack_word(const HeldRoot& root, Root& out) {
  const HeldThread& thread =
      gc::g_held.threads()[root.from - static_cast<uint32_t>(HeldFrom::kStack)];
  out.thread_id = thread.tid;
  out.thread_name = thread_name(thread.tid);
  out.guessed = thread.guessed;
  uintptr_t place = root.place;
  if (is_register(thread, root)) {
    out.kind = RootKind::cpu_register;
    if (thread.interrupted == 0) return;
    place = thread.interrupted;
  } else {
    const uintptr_t in_use = thread.interrupted != 0 ? thread.interrupted : thread.sp;
    out.stale = in_use >= thread.stack_lo && in_use < thread.stack_hi && place + kRedZone < in_use;
  }
  if (place < thread.stack_lo || place >= thread.stack_hi) return;
  const size_t frame = frame_of(thread, place);
  if (frame >= thread.frame_count) return;
  const uintptr_t pc = thread.frames[frame].pc;
  out.function = function(pc);
  out.code = reinterpret_cast<const void*>(pc);  // NOLINT(performance-no-int-to-ptr)
}

Root RootNames::name(const HeldRoot& root) {
  Root out;
  out.kind = kind_of(root.from);
  out.place = reinterpret_cast<const void*>(root.place);  // NOLINT(performance-no-int-to-ptr)
  out.conservative = out.kind == RootKind::stack || out.kind == RootKind::fiber_stack ||
                     out.kind == RootKind::traced_memory || out.kind == RootKind::global;
  if (out.kind == RootKind::stack) name_stack_word(root, out);
  if (out.kind == RootKind::global) {
    out.name = symbols_.data_at(root.place).with_offset();
  }
  return out;
}

}  // namespace tricolor::observe
