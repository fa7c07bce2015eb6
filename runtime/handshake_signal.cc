#include "runtime/handshake_signal.h"

#include <pthread.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include "runtime/base/bits.h"
#include "runtime/base/check.h"
#include "runtime/handshake.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::runtime {

namespace {

// The deepest frames of a handler that answers and stands aside take 0.6 KiB; those of the checking
// build some more.
constexpr size_t kHandlerBytes = 1024;

// Read by the handler and by threads that attach; written by the collector (relaxed: a thread that
// still reads the old one unblocks both, and both have our handler).
constinit std::atomic<int> g_signal{SIGURG};
constinit std::atomic<int> g_spare{
    0};  // takes its place where its handler was replaced; 0: none left

// The handlers before ours, by signal. Written before ours is installed, or replaced as a whole by
// the collector; read by the handler. A handler that reads half of each is not possible: the parts
// that count are single words, and the flags go first.
struct Previous {
  std::atomic<int> flags{0};
  std::atomic<void*> handler{nullptr};  // nullptr: none
};
constinit std::array<Previous, 65> g_previous{};

// tid and sequence of the last stray signal: stored by the handler (release), read by the collector
// (acquire).
constinit std::atomic<uint64_t> g_stray{0};

// Where two handlers pass on to each other, the second visit ends it.
[[gnu::tls_model("initial-exec")]] constinit thread_local bool passing_on = false;

void remember(int signal, const struct sigaction& action) noexcept {
  const bool with_info = (action.sa_flags & SA_SIGINFO) != 0;
  void* handler = nullptr;
  if (with_info) {
    handler = reinterpret_cast<void*>(action.sa_sigaction);
  } else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
    handler = reinterpret_cast<void*>(action.sa_handler);
  }
  Previous& previous = g_previous[static_cast<size_t>(signal)];
  previous.handler.store(nullptr, std::memory_order_seq_cst);
  previous.flags.store(action.sa_flags, std::memory_order_seq_cst);
  previous.handler.store(handler, std::memory_order_seq_cst);
}

void pass_on(int signal, siginfo_t* info, void* context) noexcept {
  const Previous& previous = g_previous[static_cast<size_t>(signal)];
  void* const handler = previous.handler.load(std::memory_order_seq_cst);
  if (handler == nullptr || passing_on) return;
  passing_on = true;
  if ((previous.flags.load(std::memory_order_seq_cst) & SA_SIGINFO) != 0) {
    reinterpret_cast<void (*)(int, siginfo_t*, void*)>(handler)(signal, info, context);
  } else {
    reinterpret_cast<void (*)(int)>(handler)(signal);
  }
  passing_on = false;
}

// A thread that was in a system call stands behind the instruction, or at it where the call starts
// anew.
Thread::Interrupted what_was_interrupted(void* context) noexcept {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  // The instruction leaves the address behind it in rcx.
  constexpr int64_t kLength = 2;
  const int64_t pc = machine.gregs[REG_RIP];
  const int64_t behind = machine.gregs[REG_RCX];
  const auto sp = static_cast<uintptr_t>(machine.gregs[REG_RSP]);
  const bool in_call = pc == behind || pc + kLength == behind;
#else
  constexpr uint32_t kSystemCall = 0xd4000001;
  constexpr uintptr_t kPage = 4096;
  const auto* const pc = reinterpret_cast<const uint32_t*>(machine.pc);  // NOLINT
  const auto sp = static_cast<uintptr_t>(machine.sp);
  const bool in_call = *pc == kSystemCall || (machine.pc % kPage != 0 && pc[-1] == kSystemCall);
#endif
  return {reinterpret_cast<const char*>(sp), in_call};  // NOLINT(performance-no-int-to-ptr)
}

// Its address marks our signals: of this process, and of this copy of the library.
constexpr char kCookie = 0;

constexpr char kStackCookie = 0;
constinit std::atomic<StackHook> g_stack_hook{nullptr};

bool wants_stack(const siginfo_t& info) noexcept {
  return info.si_code == SI_QUEUE && info.si_value.sival_ptr == &kStackCookie;
}

bool is_ours(const siginfo_t& info) noexcept {
  return (info.si_code == SI_QUEUE && info.si_value.sival_ptr == &kCookie) || wants_stack(info);
}

// The kernel says nothing of the sender where it had no room for the record.
bool is_nameless(const siginfo_t& info) noexcept {
  return info.si_code == SI_USER && info.si_pid == 0;
}

void on_signal(int signal, siginfo_t* info, void* context) noexcept {
  const int saved_errno = errno;
  if (wants_stack(*info)) g_stack_hook.load(std::memory_order_acquire)(context);
  Thread* const thread = Thread::current();
  // Another's signal that was pending already has swallowed ours: both are seen to.
  bool answered = false;
  if (thread != nullptr) {
    // [thread.depth] inside the runtime the answer is given on the way out.
    if (!thread->in_runtime() &&
        thread->state.load(std::memory_order_relaxed) == ThreadState::kRunning &&
        thread->is_asked()) {
      thread->answer_here(what_was_interrupted(context));
      answered = true;
    }
  } else if (is_ours(*info) || is_nameless(*info)) {
    // [signal.stray]
    g_stray.store(uint64_t{static_cast<uint32_t>(os::tid())} << 32 | g_handshake.sequence(),
                  std::memory_order_release);
  }
  if (!is_ours(*info) && !(is_nameless(*info) && answered)) pass_on(signal, info, context);
  errno = saved_errno;
}

bool is_our_handler(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_signal;
}

bool install(int signal) noexcept {
  struct sigaction before {};
  if (sigaction(signal, nullptr, &before) != 0) return false;
  if (is_our_handler(before)) return true;
  remember(signal, before);
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  return sigaction(signal, &action, nullptr) == 0;
}

bool has_handler(int signal) noexcept {
  struct sigaction action {};
  if (sigaction(signal, nullptr, &action) != 0) return false;
  return (action.sa_flags & SA_SIGINFO) != 0 ||
         (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

// A real-time signal with no handler, from the last one down: programs count up from the first.
int free_signal() noexcept {
  for (int signal = SIGRTMAX; signal >= SIGRTMIN; --signal) {
    struct sigaction action {};
    if (sigaction(signal, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
        action.sa_handler == SIG_DFL) {
      return signal;
    }
  }
  return 0;
}

}  // namespace

void init_handshake_signal(int wanted) noexcept {
  int signal = wanted != 0 ? wanted : SIGURG;
  // [signal.merged]
  if (wanted == 0 && has_handler(SIGURG)) {
    if (const int unused = free_signal()) signal = unused;
  }
  if (!install(signal)) {
    fatal(
        "sigaction: no handler can be installed for signal %d, by which threads are asked "
        "(error %d)",
        signal, errno);
  }
  g_signal.store(signal, std::memory_order_relaxed);
  g_spare.store(free_signal(), std::memory_order_relaxed);
}

int handshake_signal() noexcept { return g_signal.load(std::memory_order_relaxed); }

void unblock_handshake_signals() noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, handshake_signal());
  if (const int spare = g_spare.load(std::memory_order_relaxed)) sigaddset(&signals, spare);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

size_t handshake_stack_bytes() noexcept { return os::signal_frame_bytes() + kHandlerBytes; }

// By pages, as stacks may be the program's own; a main stack grows by that.
bool has_handshake_room() noexcept {
  const size_t bytes = handshake_stack_bytes();
  if (const size_t signal_stack = os::signal_stack_bytes()) return signal_stack >= bytes;
  const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const uintptr_t page = os::page_size();
  for (uintptr_t at = align_down(frame - bytes, page); at < frame; at += page) {
    if (!os::is_readable(at)) return false;
  }
  return true;
}

bool check_handler(bool trace) noexcept {
  const int signal = handshake_signal();
  struct sigaction action {};
  if (sigaction(signal, nullptr, &action) != 0 || is_our_handler(action)) return true;
  // The spare one is unblocked in all attached threads; it may have been taken since.
  int next = g_spare.exchange(0, std::memory_order_relaxed);
  struct sigaction spare {};
  if (next == 0 || sigaction(next, nullptr, &spare) != 0 || spare.sa_handler != SIG_DFL) {
    next = free_signal();
  }
  if (next == 0 || !install(next)) {
    next = signal;
    install(signal);
  }
  g_signal.store(next, std::memory_order_relaxed);
  g_spare.store(free_signal(), std::memory_order_relaxed);
  if (trace) {
    report(
        "another handler was installed for signal %d, by which threads are asked: signal %d is "
        "used "
        "from now on (GODEBUG=handshakesignal= chooses one at the start)",
        signal, next);
  }
  return false;
}

Sent send_handshake_signal(const Thread& thread) noexcept {
  const int signal = handshake_signal();
  int error = os::signal_thread(os::pid(), thread.tid, signal, &kCookie);
  // A real-time signal needs a record of its own, SIGURG comes without one as well.
  if (error == EAGAIN && signal >= SIGRTMIN && install(SIGURG))
    error = os::signal_thread(os::pid(), thread.tid, SIGURG, &kCookie);
  if (error == 0) return Sent::yes;
  return error == ESRCH ? Sent::gone : Sent::refused;
}

void set_stack_hook(StackHook hook) noexcept {
  g_stack_hook.store(hook, std::memory_order_release);
}

Sent send_stack_signal(int tid) noexcept {
  const int error = os::signal_thread(os::pid(), tid, handshake_signal(), &kStackCookie);
  if (error == 0) return Sent::yes;
  return error == ESRCH ? Sent::gone : Sent::refused;
}

Stray last_stray() noexcept {
  const uint64_t stray = g_stray.load(std::memory_order_acquire);
  return {static_cast<uint32_t>(stray >> 32), static_cast<uint32_t>(stray)};
}

}  // namespace tricolor::runtime
