#include "observe/stack.h"

#include <ucontext.h>
#include <unwind.h>

#include "observe/frame_rules.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/thread.h"

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

namespace {

// By remembered rules, on the thread's own stack [sp, hi). False where a frame has none.
bool walk_by_rules(Walk& walk, uintptr_t address, uintptr_t sp, uintptr_t rbp,
                   uintptr_t hi) noexcept {
  Stack& out = *walk.out;
  const auto word_at = [](uintptr_t at) {
    return *reinterpret_cast<const volatile uintptr_t*>(at);  // NOLINT(performance-no-int-to-ptr)
  };
  while (out.depth < kMostFrames) {
    const FrameRule rule = frame_rule(address);
    const bool outermost = rule.base == FrameRule::Base::kOutermost;
    uintptr_t cfa = 0;
    if (!outermost) {
      if (rule.base == FrameRule::Base::kNone) return false;
      cfa = (rule.base == FrameRule::Base::kRsp ? sp : rbp) +
            static_cast<uintptr_t>(int64_t{rule.cfa_offset});
      if (cfa <= sp || cfa > hi) return false;
    }
    if (out.depth != 0 || !walk.skips_allocator || !in_allocator(address)) {
      if (out.depth == 0) out.first_frame_end = cfa;
      out.frames[out.depth++] = address;
    }
    if (outermost) return true;
    if (rule.saves_rbp) {
      const uintptr_t at = cfa + static_cast<uintptr_t>(int64_t{rule.rbp_offset});
      if (at < sp || at >= hi) return false;
      rbp = word_at(at);
    }
    const uintptr_t back = word_at(cfa - sizeof(uintptr_t));
    if (back == 0) return true;
    address = back - 1;
    sp = cfa;
  }
  return true;
}

}  // namespace

TRICOLOR_ALLOCATOR __attribute__((noinline, no_sanitize("thread", "address"))) void take_stack(
    Stack& out) noexcept {
  out.depth = 0;
  Walk walk{&out, true};
#if defined(__x86_64__)
  if (const runtime::Thread* const thread = runtime::Thread::current()) {
    uintptr_t address;
    uintptr_t sp;
    uintptr_t rbp;
    asm volatile("leaq 0f(%%rip), %0\n0:\tmovq %%rsp, %1\n\tmovq %%rbp, %2"
                 : "=r"(address), "=r"(sp), "=r"(rbp));
    const auto lo = reinterpret_cast<uintptr_t>(thread->stack_lo);
    const auto hi = reinterpret_cast<uintptr_t>(thread->stack_hi);
    if (sp >= lo && sp < hi && walk_by_rules(walk, address, sp, rbp, hi)) return;
    out.depth = 0;
  }
#endif
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
