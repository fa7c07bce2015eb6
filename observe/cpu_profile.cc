#include "observe/cpu_profile.h"

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "gc/helper_threads.h"
#include "observe/labels.h"
#include "observe/output.h"
#include "observe/pprof.h"
#include "observe/stack.h"
#include "runtime/base/check.h"
#include "runtime/base/lock.h"
#include "runtime/base/no_cancellation.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

#include <tricolor/profile.hpp>

namespace tricolor::observe {

namespace os = runtime::os;

namespace {

constexpr int64_t kPeriodNs = 10'000'000;
constexpr int64_t kLookForThreadsNs = 50'000'000;
// 64 frames each: about 18 MiB, touched as they are used, ten minutes of one processor.
constexpr size_t kPlaces = size_t{1} << 15;
constexpr size_t kMostLabels = 4;
constexpr size_t kLabelBytes = 48;

struct LabelText {
  char key[kLabelBytes];
  char value[kLabelBytes];
};

struct Measured {
  std::atomic<bool> filled{false};
  uint32_t labels = 0;
  Stack stack;
  LabelText label[kMostLabels];
};

struct State {
  std::atomic<bool> on{false};      // handlers look (acquire)
  std::atomic<uint32_t> inside{0};  // handlers at work
  std::atomic<size_t> taken{0};
  std::atomic<uint64_t> lost{0};
  Measured* places = nullptr;
  int64_t began_ns = 0;
  bool running = false;       // guarded by g_lock
  int pid = 0;                // guarded by g_lock
  std::map<int, int> timers;  // by thread id; guarded by g_lock
};
State& state() {
  static auto* const s = new State;
  return *s;
}
runtime::Lock g_lock;

void copy_text(char (&out)[kLabelBytes], const std::string& text) noexcept {
  const size_t size = std::min(text.size(), kLabelBytes - 1);
  text.copy(out, size);
  out[size] = '\0';
}

State* g_state = nullptr;  // the handlers' way to state()

void on_timer(int, siginfo_t*, void* context) noexcept {
  const int saved_errno = errno;
  State& s = *g_state;
  s.inside.fetch_add(1, std::memory_order_seq_cst);
  if (s.on.load(std::memory_order_seq_cst)) {
    const size_t at = s.taken.fetch_add(1, std::memory_order_relaxed);  // [cpu.ring]
    if (at < kPlaces) {
      Measured& place = s.places[at];
      take_interrupted_stack(place.stack, context);
      place.labels = 0;
      for (const debug::label* l = t_label; l != nullptr && place.labels < kMostLabels;
           l = l->outer()) {
        copy_text(place.label[place.labels].key, l->key());
        copy_text(place.label[place.labels].value, l->value());
        ++place.labels;
      }
      place.filled.store(true, std::memory_order_release);
    } else {
      s.lost.fetch_add(1, std::memory_order_relaxed);
    }
  }
  s.inside.fetch_sub(1, std::memory_order_release);
  errno = saved_errno;
}

// The kernel's number of a thread's processor clock.
clockid_t clock_of(int tid) noexcept {
  constexpr unsigned kPerThread = 4;
  constexpr unsigned kScheduled = 2;
  return static_cast<clockid_t>(~static_cast<unsigned>(tid) << 3 | kPerThread | kScheduled);
}

// By the system's own calls: those of the C library keep records and start threads.
bool add_timer(State& s, int tid) {
  struct Event {
    sigval value;
    int signal;
    int notify;
    int tid;
    int room[12];
  } event{};
  event.signal = SIGPROF;
  event.notify = SIGEV_THREAD_ID;
  event.tid = tid;
  int timer = 0;
  if (::syscall(SYS_timer_create, clock_of(tid), &event, &timer) != 0) return false;
  const itimerspec period{{0, kPeriodNs}, {0, kPeriodNs}};
  ::syscall(SYS_timer_settime, timer, 0, &period, nullptr);
  s.timers[tid] = timer;
  return true;
}

// A timer for each thread that has none; gives how many threads there are.
size_t add_timers(State& s) {
  size_t threads = 0;
  const runtime::NoCancellation whole;
  DIR* const tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return 0;
  while (const dirent* const entry = ::readdir(tasks)) {
    const int tid = std::atoi(entry->d_name);
    if (tid == 0) continue;
    ++threads;
    if (s.timers.count(tid) == 0) add_timer(s, tid);
  }
  ::closedir(tasks);
  return threads;
}

// Until the profile is over, and this thread with it.
void look_for_threads(unsigned) noexcept {
  for (;;) {
    os::sleep_ns(kLookForThreadsNs);
    const std::lock_guard guard(g_lock);
    State& s = state();
    if (!s.running) return;
    try {
      add_timers(s);
    } catch (const std::exception&) {
      // Without memory for its timer a thread is not measured.
    }
  }
}

bool program_uses_signal() noexcept {
  struct sigaction action {};
  if (::sigaction(SIGPROF, nullptr, &action) != 0) return true;
  if ((action.sa_flags & SA_SIGINFO) != 0) return action.sa_sigaction != on_timer;
  return action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

bool install_handler() noexcept {
  struct sigaction action {};
  action.sa_sigaction = on_timer;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  return ::sigaction(SIGPROF, &action, nullptr) == 0;
}

const char* start_locked(State& s) {
  if (s.running && s.pid == os::pid()) return "another CPU profile is being taken";
  if (!kStacksInHandlers) return "this C library cannot find stacks in signal handlers";
  if (program_uses_signal()) return "the program uses SIGPROF itself";
  if (s.places == nullptr) s.places = static_cast<Measured*>(os::map(kPlaces * sizeof(Measured)));
  if (s.places == nullptr) return "no memory for its samples";
  s.timers.clear();
  s.taken.store(0, std::memory_order_relaxed);
  s.lost.store(0, std::memory_order_relaxed);
  g_state = &s;
  // It stays: a signal may be on its way when the profile is over.
  if (!install_handler()) return "no handler can be installed for SIGPROF";
  s.on.store(true, std::memory_order_seq_cst);
  if (add_timers(s) == 0 || s.timers.empty()) {
    s.on.store(false, std::memory_order_seq_cst);
    return "the system has no timers of processor time to give";
  }
  s.running = true;
  s.pid = os::pid();
  s.began_ns = os::now_ns();
  return nullptr;
}

void stop_locked(State& s) noexcept {
  for (const auto& [tid, timer] : s.timers) ::syscall(SYS_timer_delete, timer);
  s.timers.clear();
  s.on.store(false, std::memory_order_seq_cst);
  while (s.inside.load(std::memory_order_acquire) != 0) os::yield();
  s.running = false;
}

std::string encode(const State& s) {
  Pprof out({{"samples", "count"}, {"cpu", "nanoseconds"}}, {"cpu", "nanoseconds"}, kPeriodNs);
  out.set_default_type("cpu");
  out.set_duration_ns(os::now_ns() - s.began_ns);
  const size_t count = std::min(kPlaces, s.taken.load(std::memory_order_relaxed));
  for (size_t i = 0; i < count; ++i) {
    const Measured& place = s.places[i];
    if (!place.filled.load(std::memory_order_acquire)) continue;
    Pprof::StringLabels labels;
    for (uint32_t l = 0; l < place.labels; ++l)
      labels.emplace_back(place.label[l].key, place.label[l].value);
    out.add(place.stack.begin(), place.stack.depth, {1, kPeriodNs}, labels);
  }
  if (const uint64_t lost = s.lost.load(std::memory_order_relaxed); lost != 0)
    out.add_comment(std::to_string(lost) + " samples found no room and are not in it");
  return out.finish();
}

}  // namespace

const char* start_cpu_profile() noexcept {
  try {
    runtime::Thread::attached();
    const std::lock_guard guard(g_lock);
    if (const char* const why = start_locked(state())) return why;
  } catch (const std::exception&) {
    return "no memory";
  }
  // Without it, threads that come later are not measured.
  static_cast<void>(gc::start_thread("tc-profile", look_for_threads));
  return nullptr;
}

std::string finish_cpu_profile() {
  const std::lock_guard guard(g_lock);
  State& s = state();
  if (!s.running || s.pid != os::pid()) return {};
  stop_locked(s);
  std::string profile = encode(s);
  for (size_t i = 0; i < std::min(kPlaces, s.taken.load(std::memory_order_relaxed)); ++i)
    s.places[i].filled.store(false, std::memory_order_relaxed);
  return profile;
}

std::string cpu_profile(int64_t duration_ns, const char*& why) {
  why = start_cpu_profile();
  if (why != nullptr) return {};
  {
    const runtime::BlockedWait wait(runtime::Thread::current());
    os::sleep_ns(duration_ns);
  }
  return finish_cpu_profile();
}

}  // namespace tricolor::observe

namespace tricolor::debug {

bool start_cpu_profile() {
  const char* const why = observe::start_cpu_profile();
  if (why != nullptr) runtime::report("start_cpu_profile: %s", why);
  return why == nullptr;
}

bool stop_cpu_profile(const std::string& path) {
  try {
    const std::string profile = observe::finish_cpu_profile();
    if (!profile.empty()) return observe::write_file("stop_cpu_profile", path, profile);
    runtime::report("stop_cpu_profile: no CPU profile was started");
  } catch (const std::exception& e) {
    observe::report_failure("stop_cpu_profile", path, e.what());
  }
  return false;
}

bool write_cpu_profile(const std::string& path, std::chrono::nanoseconds duration) {
  try {
    const char* why = nullptr;
    const std::string profile = observe::cpu_profile(duration.count(), why);
    if (why == nullptr) return observe::write_file("write_cpu_profile", path, profile);
    runtime::report("write_cpu_profile: %s", why);
  } catch (const std::exception& e) {
    observe::report_failure("write_cpu_profile", path, e.what());
  }
  return false;
}

}  // namespace tricolor::debug
