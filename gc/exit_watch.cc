#include "gc/exit_watch.h"

#include <dlfcn.h>
#include <unwind.h>

#include <cstddef>
#include <cstdlib>
#include <new>

#include "gc/finalizer_thread.h"

namespace tricolor::gc {

namespace {

// exit() is as far up as the third frame of the C library.
constexpr int kMostFrames = 12;
// More than malloc keeps for the thread alone, so that it can be carved up again.
constexpr size_t kRoomForRecord = 4096;

struct Walk {
  const void* exit;  // where the C library has it; &std::exit may be a way there only
  int frames = 0;
  bool found = false;
};

_Unwind_Reason_Code look_at(_Unwind_Context* context, void* argument) noexcept {
  auto& walk = *static_cast<Walk*>(argument);
  int before = 0;
  const _Unwind_Ptr at = _Unwind_GetIPInfo(context, &before);
  // A return address may lie behind the end of a function that calls what does not return.
  const _Unwind_Ptr inside = before != 0 ? at : at - 1;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const void* const function = _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(inside));
  walk.found = function != nullptr &&
               (function == walk.exit || function == reinterpret_cast<const void*>(&std::exit));
  return walk.found || ++walk.frames == kMostFrames ? _URC_END_OF_STACK : _URC_NO_REASON;
}

struct ThreadWatch {
  ~ThreadWatch() {
    if (is_in_exit()) finalizer_thread().stop_at_exit();
  }
  void arm() noexcept { armed = true; }
  bool armed = false;
};

thread_local ThreadWatch t_watch;
constinit thread_local bool t_watched = false;

__attribute__((constructor)) void watch_loading_thread() {
  try {
    watch_thread_for_exit();
  } catch (const std::bad_alloc&) {  // it is watched when it attaches
  }
}

}  // namespace

bool is_in_exit() noexcept {
  static const void* const exit_function = dlsym(RTLD_NEXT, "exit");
  Walk walk{exit_function};
  _Unwind_Backtrace(look_at, &walk);
  return walk.found;
}

void watch_thread_for_exit() {
  if (t_watched) return;  // the thread may be attached again after its thread_locals are gone
  // Without memory for its record of the destructor the C library ends the process.
  void* const room = std::malloc(kRoomForRecord);
  if (room == nullptr) throw std::bad_alloc();
  asm volatile("" : : "r"(room) : "memory");
  std::free(room);
  t_watched = true;
  t_watch.arm();
}

void leave_thread_unwatched() noexcept { t_watched = true; }

bool watch_process_for_exit() noexcept {
  return std::atexit([] { finalizer_thread().stop_at_exit(); }) == 0;
}

}  // namespace tricolor::gc
