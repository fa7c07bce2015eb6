#include "gc/workers.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "gc/worklist.h"
#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

namespace {

constinit runtime::Immortal<Workers> g_the_workers;

constexpr int kNicerBy = 5;
constexpr int64_t kSliceWork = 256 << 10;

struct StartArgs {
  const char* name;
  std::function<void()> run;
};

void* thread_main(void* raw) {
  const std::unique_ptr<StartArgs> args(static_cast<StartArgs*>(raw));
  runtime::os::name_thread(args->name);
  args->run();
  return nullptr;
}

}  // namespace

Workers& g_workers = g_the_workers.value;

void start_thread(const char* name, std::function<void()> run) {
  auto args = std::make_unique<StartArgs>(StartArgs{name, std::move(run)});
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF})
    sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, thread_main, args.get());
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) runtime::fatal("cannot start the thread %s: error %d", name, error);
  args.release();  // NOLINT(bugprone-unused-return-value): the thread owns it now
}

void Workers::start(unsigned count) {
  count_ = count;
  if (!frames_) frames_ = std::make_unique<std::atomic<uintptr_t>[]>(count);
  for (unsigned i = 0; i < count; ++i) start_thread("tc-worker", [this, i] { main_loop(i); });
}

bool Workers::has_stack_in(uintptr_t lo, uintptr_t hi) const noexcept {
  for (unsigned i = 0; i < count_; ++i) {
    const uintptr_t frame = frames_[i].load(std::memory_order_relaxed);
    if (frame >= lo && frame < hi) return true;
  }
  return false;
}

void Workers::main_loop(unsigned number) noexcept {
  frames_[number].store(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)),
                        std::memory_order_relaxed);
  runtime::os::set_background_priority(kNicerBy);
  for (;;) {
    const uint32_t seen = g_worklist.wake_word();
    const int64_t cpu = runtime::os::thread_cpu_ns();
    {
      Marker marker;
      for (bool done = false; !done;) {
        done = marker.drain(kSliceWork);
        add(marker.take_counts(), true);
      }
    }
    add_cpu(runtime::os::thread_cpu_ns() - cpu);
    if (g_worklist.looks_empty()) g_worklist.wait_for_arrival(seen, -1);
  }
}

void Workers::reset() noexcept {
  scan_work_.store(0, std::memory_order_relaxed);
  marked_bytes_.store(0, std::memory_order_relaxed);
  marked_scan_bytes_.store(0, std::memory_order_relaxed);
  objects_.store(0, std::memory_order_relaxed);
  cpu_ns_.store(0, std::memory_order_relaxed);
  credit_.store(0, std::memory_order_relaxed);
}

Workers::Totals Workers::totals() const noexcept {
  Totals totals;
  totals.counts.scan_work = scan_work_.load(std::memory_order_relaxed);
  totals.counts.marked_bytes = marked_bytes_.load(std::memory_order_relaxed);
  totals.counts.marked_scan_bytes = marked_scan_bytes_.load(std::memory_order_relaxed);
  totals.counts.objects = objects_.load(std::memory_order_relaxed);
  totals.cpu_ns = cpu_ns_.load(std::memory_order_relaxed);
  return totals;
}

void Workers::add(const MarkCounts& counts, bool background) noexcept {
  scan_work_.fetch_add(counts.scan_work, std::memory_order_relaxed);
  marked_bytes_.fetch_add(counts.marked_bytes, std::memory_order_relaxed);
  marked_scan_bytes_.fetch_add(counts.marked_scan_bytes, std::memory_order_relaxed);
  objects_.fetch_add(counts.objects, std::memory_order_relaxed);
  if (background) credit_.fetch_add(counts.scan_work, std::memory_order_relaxed);
}

int64_t Workers::take_credit(int64_t wanted) noexcept {
  int64_t have = credit_.load(std::memory_order_relaxed);
  while (have > 0) {
    const int64_t taken = std::min(have, wanted);
    if (credit_.compare_exchange_weak(have, have - taken, std::memory_order_relaxed)) return taken;
  }
  return 0;
}

}  // namespace tricolor::gc
