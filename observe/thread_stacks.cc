#include "observe/thread_stacks.h"

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

#include "observe/symbols.h"
#include "runtime/base/lock.h"
#include "runtime/handshake_signal.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "runtime/thread_report.h"

#include <tricolor/threads.hpp>

namespace tricolor::observe {

using runtime::g_threads;
using runtime::Thread;
using runtime::ThreadState;

namespace {

enum class SlotState : uint32_t { kFree, kAsked, kWriting, kDone };

struct Slot {
  std::atomic<int> tid{0};
  std::atomic<SlotState> state{SlotState::kFree};
  Stack stack;
};

constexpr size_t kSlots = 64;
constexpr int64_t kStepNs = 1'000'000;
constexpr int kMostSteps = 1000;
constexpr int kResendSteps = 50;  // a pending signal may have swallowed ours
// What unwinding takes, the frame of the signal aside.
constexpr ptrdiff_t kNeededStack = 6 << 10;

constinit std::array<Slot, kSlots> g_slots{};
// Held while threads are asked. No rank: whoever waits for it is blocked.
runtime::Lock g_asking;

// [stacks.slots] In a signal handler.
void answer(const void* ucontext) noexcept {
  const int tid = runtime::os::tid();
  const char* const here = static_cast<const char*>(__builtin_frame_address(0));
  const char* const end = runtime::os::signal_stack_end(here);
  const size_t bytes = end == nullptr ? 0 : runtime::os::signal_stack_bytes();
  const bool has_room = end == nullptr || here - (end - bytes) >= kNeededStack;
  for (Slot& slot : g_slots) {
    if (slot.tid.load(std::memory_order_relaxed) != tid) continue;
    SlotState asked = SlotState::kAsked;
    if (!slot.state.compare_exchange_strong(asked, SlotState::kWriting, std::memory_order_acquire))
      continue;
    slot.stack.depth = 0;
    if (has_room) take_interrupted_stack(slot.stack, ucontext);
    slot.state.store(SlotState::kDone, std::memory_order_release);
  }
}

const char* name_of(const Thread& thread) noexcept {
  if (thread.in_runtime()) return "in the library";
  switch (thread.state.load(std::memory_order_relaxed)) {
    case ThreadState::kRunning:
      return "running";
    case ThreadState::kBlocked:
    case ThreadState::kTaken:
      return "blocked";
  }
  return "";
}

// Their ids and states, no stacks yet.
std::vector<AttachedThread> list_threads() {
  std::vector<AttachedThread> threads;
  threads.reserve(g_threads.count() + 16);
  runtime::lock_threads(Thread::current());
  const std::lock_guard guard(g_threads.lock(), std::adopt_lock);
  for (const Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    if (threads.size() == threads.capacity()) break;  // they came meanwhile
    AttachedThread& thread = threads.emplace_back();
    thread.tid = t->tid;
    thread.state = name_of(*t);
    runtime::ThreadDescription description;
    runtime::describe_thread(*t, description);
    std::memcpy(thread.description, description.text, sizeof thread.description);
  }
  return threads;
}

// Up to kSlots of them, from `first` on.
void ask(std::vector<AttachedThread>& threads, size_t first) noexcept {
  const size_t count = std::min(kSlots, threads.size() - first);
  for (size_t i = 0; i < count; ++i) {
    g_slots[i].tid.store(threads[first + i].tid, std::memory_order_relaxed);
    g_slots[i].state.store(SlotState::kAsked, std::memory_order_release);
  }
  for (int step = 0; step < kMostSteps; ++step) {
    size_t waiting = 0;
    for (size_t i = 0; i < count; ++i) {
      if (g_slots[i].state.load(std::memory_order_acquire) != SlotState::kAsked) continue;
      ++waiting;
      if (step % kResendSteps != 0) continue;
      if (runtime::send_stack_signal(threads[first + i].tid) == runtime::Sent::gone) {
        SlotState asked = SlotState::kAsked;
        g_slots[i].state.compare_exchange_strong(asked, SlotState::kFree,
                                                 std::memory_order_relaxed);
      }
    }
    if (waiting == 0) break;
    runtime::os::sleep_ns(kStepNs);
  }
  for (size_t i = 0; i < count; ++i) {
    Slot& slot = g_slots[i];
    SlotState asked = SlotState::kAsked;
    slot.state.compare_exchange_strong(asked, SlotState::kFree, std::memory_order_relaxed);
    while (slot.state.load(std::memory_order_acquire) == SlotState::kWriting)
      runtime::os::sleep_ns(kStepNs);
    if (slot.state.load(std::memory_order_acquire) == SlotState::kDone)
      threads[first + i].stack = slot.stack;
    slot.state.store(SlotState::kFree, std::memory_order_relaxed);
    slot.tid.store(0, std::memory_order_relaxed);
  }
}

// What stands behind the name in a description.
std::string_view doing(const AttachedThread& thread) noexcept {
  const std::string_view text = thread.description;
  const size_t end = text.find("\", ");
  return end == std::string_view::npos ? text : text.substr(end + 3);
}

std::string_view name_in(const AttachedThread& thread) noexcept {
  const std::string_view text = thread.description;
  const size_t begin = text.find('"');
  const size_t end = text.find("\", ");
  if (begin == std::string_view::npos || end == std::string_view::npos) return {};
  return text.substr(begin + 1, end - begin - 1);
}

Symbols symbols_of(const std::vector<AttachedThread>& threads) {
  Symbols symbols;
  std::vector<uintptr_t> addresses;
  for (const AttachedThread& thread : threads)
    addresses.insert(addresses.end(), thread.stack.begin(), thread.stack.end());
  symbols.resolve(std::move(addresses));
  return symbols;
}

}  // namespace

std::vector<AttachedThread> attached_threads() {
  Thread* const self = Thread::current();
  std::vector<AttachedThread> threads = list_threads();
  {
    const runtime::BlockedWait wait(self);
    g_asking.lock();
  }
  const std::lock_guard guard(g_asking, std::adopt_lock);
  runtime::set_stack_hook(answer);
  for (size_t first = 0; first < threads.size(); first += kSlots) ask(threads, first);
  return threads;
}

std::string threads_text() {
  const std::vector<AttachedThread> threads = attached_threads();
  const Symbols symbols = symbols_of(threads);
  std::string text = "tricolor: " + std::to_string(threads.size()) + " threads are attached\n";
  for (const AttachedThread& thread : threads) {
    text += "\nthread " + std::to_string(thread.tid) + " \"" + std::string(name_in(thread)) +
            "\", " + thread.state + ", " + std::string(doing(thread)) + "\n";
    if (thread.stack.depth == 0) text += "    (did not answer)\n";
    for (const uintptr_t frame : thread.stack)
      text += "    " + describe_place(symbols, frame) + "\n";
  }
  return text;
}

}  // namespace tricolor::observe

namespace tricolor::debug {

std::vector<ThreadInfo> threads() {
  const std::vector<observe::AttachedThread> found = observe::attached_threads();
  const observe::Symbols symbols = observe::symbols_of(found);
  std::vector<ThreadInfo> threads;
  for (const observe::AttachedThread& thread : found) {
    ThreadInfo& info = threads.emplace_back();
    info.id = thread.tid;
    info.name = observe::name_in(thread);
    info.state = thread.state;
    info.waits_for = observe::doing(thread);
    for (const uintptr_t frame : thread.stack) {
      const observe::Place& place = symbols.at(frame);
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      info.stack.push_back({reinterpret_cast<const void*>(frame),
                            place.function.empty() ? place.system_name : place.function, place.file,
                            place.line});
    }
  }
  return threads;
}

}  // namespace tricolor::debug
