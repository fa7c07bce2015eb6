#include "gc/helper_threads.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <new>

#include "gc/collector.h"
#include "gc/exit_watch.h"
#include "gc/workers.h"
#include "runtime/base/check.h"
#include "runtime/base/memory.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

namespace {

constexpr int64_t kFirstPauseNs = 10'000'000;
constexpr int64_t kLongestPauseNs = 1'000'000'000;

// [memory.no-handler]
struct StartArgs : runtime::FromMalloc {
  StartArgs(const char* n, void (*r)(unsigned) noexcept, unsigned i) noexcept
      : name(n), run(r), number(i) {}

  const char* name;
  void (*run)(unsigned) noexcept;
  unsigned number;
};

void* thread_main(void* raw) {
  const std::unique_ptr<StartArgs> args(static_cast<StartArgs*>(raw));
  runtime::os::name_thread(args->name);
  leave_thread_unwatched();
  args->run(args->number);
  return nullptr;
}

bool create_detached(void* (*run)(void*), void* argument) noexcept {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, run, argument);
  pthread_attr_destroy(&attributes);
  return error == 0;
}

}  // namespace

constinit HelperThreads g_helper_threads;
constinit thread_local bool t_starting_helper = false;

bool start_thread(const char* name, void (*run)(unsigned) noexcept, unsigned number) noexcept {
  std::unique_ptr<StartArgs> args(new (std::nothrow) StartArgs(name, run, number));
  if (args == nullptr) return false;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF, SIGSYS})
    sigdelset(&all, fault);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  t_starting_helper = true;
  const bool started = create_detached(thread_main, args.get());
  t_starting_helper = false;
  if (const int error = pthread_sigmask(SIG_SETMASK, &before, nullptr)) {
    // With its signals blocked the calling thread would hold up every cycle.
    runtime::fatal("rt_sigprocmask: a thread's signals cannot be unblocked again (error %d)",
                   error);
  }
  if (started) args.release();  // NOLINT(bugprone-unused-return-value): the thread owns it now
  return started;
}

bool Patience::over() const noexcept { return next_ns_ == 0 || runtime::os::now_ns() >= next_ns_; }

void Patience::refused() noexcept {
  const int64_t now = runtime::os::now_ns();
  if (now - next_ns_ > kLongestPauseNs) pause_ns_ = 0;  // that was another shortage
  pause_ns_ = std::clamp(2 * pause_ns_, kFirstPauseNs, kLongestPauseNs);
  next_ns_ = now + pause_ns_;
}

void HelperThreads::start() noexcept {
  if (!missing() || starting_.exchange(true, std::memory_order_acquire)) return;
  if (missing() && patience_.over()) {
    // Before they start: one that ends for want of memory says so right away. It is asked for again
    // no sooner than one that was refused.
    missing_.store(false, std::memory_order_relaxed);
    patience_.refused();
    // The collector's first: with it, cycles need no thread of the program.
    if (!g_collector.start() || !g_workers.start_missing()) note_missing();
  }
  starting_.store(false, std::memory_order_release);
}

void HelperThreads::forget() noexcept {
  starting_.store(false, std::memory_order_relaxed);
  patience_.reset();
  missing_.store(true, std::memory_order_relaxed);
  g_workers.forget_threads();
}

}  // namespace tricolor::gc
