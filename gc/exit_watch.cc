#include "gc/exit_watch.h"

#include <dlfcn.h>
#include <unwind.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "gc/finalizer_thread.h"
#include "runtime/base/ask_once.h"

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

// The C library's, or that of the next who stands in front of it.
using Exit = void (*)(int);
Exit next_exit() noexcept {
  static constinit std::atomic<Exit> found{nullptr};
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return runtime::ask_once(found, [] { return reinterpret_cast<Exit>(dlsym(RTLD_NEXT, "exit")); });
}

// Whether a call of exit() comes to the one below. Stored at loading; relaxed: who reads sooner, in
// a constructor of the program's or beside it, watches by a thread_local.
constinit std::atomic<bool> g_has_exit{false};

// The thread may be attached again after its thread_locals are gone: once for each.
void watch_by_thread_local() {
  if (t_watched) return;
  // Without memory for its record of the destructor the C library ends the process.
  void* const room = std::malloc(kRoomForRecord);
  if (room == nullptr) throw std::bad_alloc();
  asm volatile("" : : "r"(room) : "memory");
  std::free(room);
  t_watched = true;
  t_watch.arm();
}

__attribute__((constructor)) void watch_loading_thread() {
  g_has_exit.store(dlsym(RTLD_DEFAULT, "exit") == reinterpret_cast<void*>(&::exit),
                   std::memory_order_relaxed);
  try {
    watch_by_thread_local();
  } catch (const std::bad_alloc&) {  // a handler of atexit() is left
  }
}

}  // namespace

bool is_in_exit() noexcept {
  Walk walk{reinterpret_cast<const void*>(next_exit())};
  _Unwind_Backtrace(look_at, &walk);
  return walk.found;
}

void watch_thread_for_exit() {
  if (!g_has_exit.load(std::memory_order_relaxed)) watch_by_thread_local();
}

void leave_thread_unwatched() noexcept { t_watched = true; }

bool watch_process_for_exit() noexcept {
  return std::atexit([] { finalizer_thread().stop_at_exit(); }) == 0;
}

}  // namespace tricolor::gc

// Weak: a program that has one of its own keeps it.
extern "C" __attribute__((weak, visibility("default"))) void exit(int status) noexcept {
  tricolor::gc::finalizer_thread().stop_at_exit();
  tricolor::gc::next_exit()(status);
  __builtin_unreachable();
}
