// Begins and ends timelines, and takes what it is told meanwhile.

#include "observe/timeline.h"

#include <pthread.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include "observe/output.h"
#include "observe/output_file.h"
#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/base/no_cancellation.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

#include <tricolor/timeline.hpp>

namespace tricolor::observe {

namespace os = runtime::os;
using runtime::Timed;

namespace {

constexpr int64_t kSlowAllocationNs = 100'000;
constexpr const char* kBusy =
    "a timeline is being recorded already (by start_timeline, TRICOLOR_PROFILE or a request)";

class Watch final : public runtime::TimeWatch {
 public:
  void took(Timed what, int64_t begin_ns, int64_t end_ns, int64_t first,
            int64_t second) noexcept override {
    ring_.add({begin_ns, end_ns, first, second, os::tid(), what});
  }
  void answered(int tid, uint32_t handshake, int64_t asked_ns, int64_t begin_ns,
                int64_t end_ns) noexcept override {
    ring_.add({begin_ns, end_ns, handshake, asked_ns, tid, Timed::kAnswer});
  }
  void allocated(int64_t begin_ns, int64_t bytes) noexcept override {
    const int64_t now = os::now_ns();
    if (now - begin_ns >= slow_ns_.load(std::memory_order_relaxed))
      took(Timed::kAllocate, begin_ns, now, bytes, 0);
  }
  void thread_ends() noexcept override {
    char name[2 * sizeof(int64_t)] = {};
    const size_t size = os::read_file("/proc/thread-self/comm", name, sizeof name);
    if (size > 0 && name[size - 1] == '\n') name[size - 1] = '\0';
    int64_t halves[2];
    std::memcpy(halves, name, sizeof name);
    happened(Timed::kThreadEnd, halves[0], halves[1]);
  }

  [[nodiscard]] bool start(int64_t slow_ns) noexcept {
    slow_ns_.store(slow_ns, std::memory_order_relaxed);
    if (!ring_.start()) return false;
    runtime::g_time_watch.store(this, std::memory_order_relaxed);
    return true;
  }
  TimedEvents stop() noexcept {
    runtime::g_time_watch.store(nullptr, std::memory_order_relaxed);
    return ring_.take();
  }
  void forget() noexcept {
    runtime::g_time_watch.store(nullptr, std::memory_order_relaxed);
    ring_.forget();
  }

 private:
  TimeRing ring_;
  std::atomic<int64_t> slow_ns_{0};  // relaxed: a setting
};
constinit runtime::Immortal<Watch> g_watch;

// For whom one is recorded. Whoever has moved it to kChanging (acquire) owns everything here until
// it stores what comes next (release).
enum class Recording : uint32_t { kNone, kChanging, kProgram, kOrder, kRequest };
constinit std::atomic<Recording> g_recording{Recording::kNone};
constinit OutputFile* g_file = nullptr;  // the program's
constinit bool g_prepared = false;

// The parent's file is not the child's to write, nor to remove.
void forget_after_fork() noexcept {
  g_watch.value.forget();
  g_file = nullptr;
  g_recording.store(Recording::kNone, std::memory_order_relaxed);
}

void write_at_exit() noexcept {
  try {
    debug::stop_timeline();
  } catch (const std::exception& e) {
    runtime::report("the timeline cannot be written: %s", e.what());
  }
}

bool take_over(Recording from) noexcept {
  return g_recording.compare_exchange_strong(from, Recording::kChanging, std::memory_order_acquire);
}

// With the recording taken over.
bool start_watch(int64_t slow_ns) noexcept {
  g_prepared = g_prepared || (pthread_atfork(nullptr, nullptr, forget_after_fork) == 0 &&
                              std::atexit(write_at_exit) == 0);
  return g_prepared && g_watch.value.start(slow_ns);
}

void start(Recording whose, int64_t slow_ns, const std::string* path) {
  runtime::Thread::attached();
  if (!take_over(Recording::kNone)) throw std::logic_error(kBusy);
  try {
    std::unique_ptr<OutputFile> file;
    if (path != nullptr) {
      const runtime::NoCancellation whole;
      // The program may have gone to another directory by the end.
      file = std::make_unique<OutputFile>(std::filesystem::absolute(*path).string());
    }
    if (!start_watch(slow_ns)) throw std::bad_alloc();
    g_file = file.release();
  } catch (...) {
    g_recording.store(Recording::kNone, std::memory_order_release);
    throw;
  }
  g_recording.store(whose, std::memory_order_release);
}

struct Ended {
  TimedEvents events;
  std::unique_ptr<OutputFile> file;
};

std::optional<Ended> end(Recording whose) noexcept {
  if (!take_over(whose)) return std::nullopt;
  Ended ended{g_watch.value.stop(), std::unique_ptr<OutputFile>(std::exchange(g_file, nullptr))};
  g_recording.store(Recording::kNone, std::memory_order_release);
  return ended;
}

std::string text_of(const TimedEvents& events) {
  std::string text;
  write_timeline(events, [&](std::string_view part) { text += part; });
  return text;
}

}  // namespace

std::string timeline(int64_t duration_ns) {
  start(Recording::kRequest, kSlowAllocationNs, nullptr);
  {
    const runtime::BlockedWait wait(runtime::Thread::current());
    os::sleep_ns(duration_ns);
  }
  const std::optional<Ended> ended = end(Recording::kRequest);
  return ended ? text_of(ended->events) : std::string();
}

const char* start_ordered_timeline() noexcept {
  try {
    start(Recording::kOrder, kSlowAllocationNs, nullptr);
    return nullptr;
  } catch (const std::bad_alloc&) {
    return "no memory";
  } catch (const std::exception&) {
    return kBusy;
  }
}

std::string take_ordered_timeline() {
  if (!take_over(Recording::kOrder)) return {};
  const TimedEvents events = g_watch.value.stop();
  const bool goes_on = start_watch(kSlowAllocationNs);
  g_recording.store(goes_on ? Recording::kOrder : Recording::kNone, std::memory_order_release);
  if (!goes_on) runtime::report("TRICOLOR_PROFILE=timeline: no memory to go on");
  return text_of(events);
}

}  // namespace tricolor::observe

namespace tricolor::debug {

void start_timeline(const std::string& path, std::chrono::nanoseconds slow_allocation) {
  observe::start(observe::Recording::kProgram, slow_allocation.count(), &path);
}

bool stop_timeline() {
  std::optional<observe::Ended> ended = observe::end(observe::Recording::kProgram);
  if (!ended) return false;
  const runtime::NoCancellation whole;
  observe::OutputFile& file = *ended->file;
  observe::write_timeline(ended->events, [&](std::string_view part) { file.write(part); });
  file.finish();
  return true;
}

}  // namespace tricolor::debug
