#include "observe/stack.h"

#include <ucontext.h>
#include <unwind.h>

#include "runtime/heap/allocation_watch.h"

namespace tricolor::observe {

namespace {

struct Walk {
  Stack* out;
  bool skips_allocator = false;
  uintptr_t interrupted = 0;  // nothing before this address counts
};

bool in_allocator(uintptr_t address) noexcept {
  using runtime::__start_tricolor_allocate;
  using runtime::__stop_tricolor_allocate;
  return address - reinterpret_cast<uintptr_t>(__start_tricolor_allocate) <
         static_cast<uintptr_t>(__stop_tricolor_allocate - __start_tricolor_allocate);
}

_Unwind_Reason_Code add_frame(_Unwind_Context* context, void* argument) noexcept {
  auto& walk = *static_cast<Walk*>(argument);
  Stack& out = *walk.out;
  int exact = 0;
  const uintptr_t address = _Unwind_GetIPInfo(context, &exact);
  if (address == 0) return _URC_END_OF_STACK;
  if (walk.interrupted != 0) {
    if (address != walk.interrupted) return _URC_NO_REASON;
    walk.interrupted = 0;
  }
  // A call may be the last instruction of its function.
  const uintptr_t inside = exact != 0 ? address : address - 1;
  if (out.depth == 0) {
    if (walk.skips_allocator && in_allocator(inside)) return _URC_NO_REASON;
    out.first_frame_end = _Unwind_GetCFA(context);
  }
  out.frames[out.depth++] = inside;
  return out.depth < kMostFrames ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

}  // namespace

TRICOLOR_ALLOCATOR void take_stack(Stack& out) noexcept {
  out.depth = 0;
  Walk walk{&out, true};
  _Unwind_Backtrace(add_frame, &walk);
}

void take_interrupted_stack(Stack& out, const void* ucontext) noexcept {
  out.depth = 0;
  const mcontext_t& machine = static_cast<const ucontext_t*>(ucontext)->uc_mcontext;
#if defined(__x86_64__)
  const auto address = static_cast<uintptr_t>(machine.gregs[REG_RIP]);
#else
  const auto address = static_cast<uintptr_t>(machine.pc);
#endif
  Walk walk{&out, false, address};
  if (kStacksInHandlers) _Unwind_Backtrace(add_frame, &walk);
  // Where the tables do not lead through the signal's frame, what was interrupted is all there is.
  if (out.depth == 0) out.frames[out.depth++] = address;
}

}  // namespace tricolor::observe
