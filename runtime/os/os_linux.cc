#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runtime/base/bits.h"
#include "runtime/base/check.h"
#include "runtime/base/no_cancellation.h"
#include "runtime/base/thread_order.h"
#include "runtime/os/os.h"

// Where the first frame of the main thread began; the dynamic linker's.
extern "C" void* __libc_stack_end;

namespace tricolor::runtime::os {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// [os.errno]
class KeepErrno {
 public:
  KeepErrno() noexcept : saved_(errno) {}
  ~KeepErrno() { errno = saved_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int saved_;
};

int64_t clock_ns(clockid_t clock) noexcept {
  KeepErrno keep;
  timespec now{};
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * kSecond + now.tv_nsec;
}

void* map_private(size_t bytes, int protection, int flags) noexcept {
  KeepErrno keep;
  void* const address =
      ::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return address == MAP_FAILED ? nullptr : address;
}

// EAGAIN may pass; where the process has as many mappings as it may have, it does not.
bool advise(void* address, size_t bytes, int advice) noexcept {
  constexpr int kAttempts = 16;
  KeepErrno keep;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (::madvise(address, bytes, advice) == 0) return true;
    if (errno != EAGAIN) break;
  }
  return false;
}

// Set before main(), or when a program loads the library later.
int64_t loaded_ns = 0;
[[gnu::constructor]] void note_loaded() { loaded_ns = now_ns(); }

// Field 22 of /proc/self/stat, in clock ticks since boot; -1 when it cannot be read.
int64_t start_ticks() noexcept {
  char text[1024];
  const NoCancellation whole;
  const int fd = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t length = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (length <= 0) return -1;
  text[length] = '\0';
  // The second field, the program's name in parentheses, may hold blanks and parentheses itself.
  const char* at = std::strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; ++field) {
    at = std::strchr(at + 1, ' ');
  }
  return at == nullptr ? -1 : std::strtoll(at + 1, nullptr, 10);
}

int64_t compute_process_start() noexcept {
  KeepErrno keep;
  const int64_t loaded = loaded_ns != 0 ? loaded_ns : now_ns();
  const int64_t ticks = start_ticks();
  const long per_second = ::sysconf(_SC_CLK_TCK);
  if (ticks < 0 || per_second <= 0) return loaded;
  const int64_t tick = kSecond / per_second;
  const int64_t since_boot = clock_ns(CLOCK_BOOTTIME) - now_ns();
  // The recorded start is rounded down, so it lies up to one tick too early.
  return std::min(loaded, (ticks + 1) * tick - since_boot);
}

bool main_stack_bounds(const char* frame, char** lo, char** hi) noexcept {
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  ::getrlimit(RLIMIT_STACK, &limit);
  // Without a limit, or where it is not told: no further down than where the kernel places the
  // first mappings.
  const size_t bytes = limit.rlim_cur == RLIM_INFINITY ? size_t{128} << 20 : limit.rlim_cur;
  char* const end = align_up(static_cast<char*>(__libc_stack_end), page_size());
  if (bytes >= reinterpret_cast<uintptr_t>(end)) return false;
  char* const start = align_down(end - bytes, page_size());
  if (frame < start || frame >= end) return false;
  *lo = start;
  *hi = end;
  return true;
}

}  // namespace

void* reserve(size_t bytes) noexcept { return map_private(bytes, PROT_NONE, MAP_NORESERVE); }

void* reserve_aligned(size_t bytes, size_t alignment) noexcept {
  const size_t total = bytes + alignment;
  if (total < bytes) return nullptr;
  char* const start = static_cast<char*>(reserve(total));
  if (start == nullptr) return nullptr;
  char* const aligned = align_up(start, alignment);
  if (aligned != start) unmap(start, static_cast<size_t>(aligned - start));
  char* const end = aligned + bytes;
  if (end != start + total) unmap(end, static_cast<size_t>(start + total - end));
  return aligned;
}

bool commit(void* address, size_t bytes) noexcept {
  KeepErrno keep;
  return ::mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool make_readable(void* address, size_t bytes) noexcept {
  KeepErrno keep;
  return ::mprotect(address, bytes, PROT_READ) == 0;
}

void decommit(void* address, size_t bytes) noexcept {
  KeepErrno keep;
  advise(address, bytes, MADV_DONTNEED);
  ::mprotect(address, bytes, PROT_NONE);
}

bool release(void* address, size_t bytes) noexcept { return advise(address, bytes, MADV_DONTNEED); }

void advise_huge(void* address, size_t bytes) noexcept { advise(address, bytes, MADV_HUGEPAGE); }
void advise_no_huge(void* address, size_t bytes) noexcept {
  advise(address, bytes, MADV_NOHUGEPAGE);
}

void* map(size_t bytes) noexcept {
  void* const memory = map_private(bytes, PROT_READ | PROT_WRITE, 0);
  tell_order();
  return memory;
}

void unmap(void* address, size_t bytes) noexcept {
  KeepErrno keep;
  ::munmap(address, bytes);
}

size_t page_size() noexcept {
  // Written with the same value by whoever comes first.
  static std::atomic<size_t> known{0};
  size_t size = known.load(std::memory_order_relaxed);
  if (size == 0) {
    size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    known.store(size, std::memory_order_relaxed);
  }
  return size;
}

int64_t now_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }
int64_t wall_ns() noexcept { return clock_ns(CLOCK_REALTIME); }
int64_t thread_cpu_ns() noexcept { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
int64_t process_cpu_ns() noexcept { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

int64_t process_start_ns() noexcept {
  // The first answer stands, so that all callers measure from one moment.
  static std::atomic<int64_t> known{0};
  int64_t start = known.load(std::memory_order_relaxed);
  if (start != 0) return start;
  const int64_t computed = compute_process_start();
  return known.compare_exchange_strong(start, computed, std::memory_order_relaxed) ? computed
                                                                                   : start;
}

unsigned cpu_count() noexcept {
  KeepErrno keep;
  // The kernel refuses a set shorter than its own; no machine needs the last size. The C library's
  // own answer would be a guess where the call is forbidden: 2 to 32768.
  for (size_t processors = CPU_SETSIZE; processors <= size_t{1} << 20; processors *= 4) {
    const size_t bytes = processors / 8;
    auto* const set = static_cast<cpu_set_t*>(map(bytes));
    if (set == nullptr) return 1;
    const bool known = ::sched_getaffinity(0, bytes, set) == 0;
    const bool longer = !known && errno == EINVAL;
    const int count = known ? CPU_COUNT_S(bytes, set) : 1;
    unmap(set, bytes);
    if (!longer) return static_cast<unsigned>(std::max(1, count));
  }
  return 1;
}

// Field "Seccomp" of the thread's status: 2 where a filter stands before its system calls. A filter
// cannot be asked what it forbids, and some end the process for it.
bool is_filtered() noexcept {
  KeepErrno keep;
  const NoCancellation whole;
  const int fd = ::open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;  // as likely as not for the same reason
  char text[4096];
  size_t length = 0;
  for (ssize_t got; length < sizeof text - 1 &&
                    (got = ::read(fd, text + length, sizeof text - 1 - length)) > 0;) {
    length += static_cast<size_t>(got);
  }
  ::close(fd);
  text[length] = '\0';
  const char* const field = std::strstr(text, "\nSeccomp:");
  return field != nullptr && std::strtol(field + sizeof("\nSeccomp:") - 1, nullptr, 10) == 2;
}

bool set_background_priority(int nicer_by) noexcept {
  if (is_filtered()) return false;
  KeepErrno keep;
  const sched_param parameters{};
  const auto self = static_cast<id_t>(tid());
  const int nice = ::getpriority(PRIO_PROCESS, self) + nicer_by;
  const bool lowered = ::setpriority(PRIO_PROCESS, self, nice) == 0;
  return ::sched_setscheduler(0, SCHED_BATCH, &parameters) == 0 && lowered;
}

void name_thread(const char* name) noexcept {
  KeepErrno keep;
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
}

int tid() noexcept { return static_cast<int>(::syscall(SYS_gettid)); }
int pid() noexcept { return ::getpid(); }

bool is_runnable(int tid) noexcept {
  char path[64];
  char text[512];
  format_to(path, sizeof path, "/proc/self/task/%d/stat", tid);
  const std::string_view stat(text, read_file(path, text, sizeof text));
  const size_t name_end = stat.rfind(')');  // a name may have brackets of its own
  return name_end != std::string_view::npos && stat.substr(name_end + 1).starts_with(" R");
}

int signal_thread(int pid, int tid, int signal, const void* cookie) noexcept {
  KeepErrno keep;
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = pid;
  info.si_value.sival_ptr = const_cast<void*>(cookie);
  return ::syscall(SYS_rt_tgsigqueueinfo, pid, tid, signal, &info) == 0 ? 0 : errno;
}

// `frame`: an address on the stack, if one is known.
static bool bounds_by_library(pthread_t thread, const char* frame, char** lo, char** hi) noexcept {
  const NoCancellation whole;  // of the main thread it reads a file
  pthread_attr_t attributes;
  std::memset(&attributes, 0, sizeof attributes);
  const bool known = ::pthread_getattr_np(thread, &attributes) == 0;
  void* start = nullptr;
  size_t bytes = 0;
  const bool read = ::pthread_attr_getstack(&attributes, &start, &bytes) == 0;
  if (known) ::pthread_attr_destroy(&attributes);
  if (!read || start == nullptr) return false;
  *lo = static_cast<char*>(start);
  *hi = *lo + bytes;
  // It notes the stack first, and then may lack the memory or the right to ask for the processors
  // that the thread may run on. What must lie on the stack tells whether it has come that far.
  const auto on_it = [&](const char* at) { return at >= *lo && at < *hi; };
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the C library's descriptor of the thread
  return known || on_it(frame) || on_it(reinterpret_cast<const char*>(thread));
}

bool stack_bounds(char** lo, char** hi) noexcept {
  KeepErrno keep;
  // The C library finds the main thread's bounds by reading /proc/self/maps, which takes long in a
  // process with many mappings. After fork() from another thread, tid and pid agree on a stack that
  // is not the main one: the frame tells.
  const char* const frame = static_cast<const char*>(__builtin_frame_address(0));
  if (tid() == pid() && main_stack_bounds(frame, lo, hi)) return true;
  return bounds_by_library(::pthread_self(), frame, lo, hi);
}

bool stack_bounds_of(unsigned long thread, int tid, char** lo, char** hi) noexcept {
  KeepErrno keep;
  const char* const first_frame = static_cast<const char*>(__libc_stack_end) - sizeof(void*);
  if (tid == pid() && main_stack_bounds(first_frame, lo, hi)) return true;
  return bounds_by_library(thread, nullptr, lo, hi);
}

const char* signal_stack_end(const char* address, const char** begin) noexcept {
  KeepErrno keep;
  stack_t stack;
  if (::sigaltstack(nullptr, &stack) != 0 || (stack.ss_flags & SS_DISABLE) != 0) return nullptr;
  const char* const lo = static_cast<const char*>(stack.ss_sp);
  if (address < lo || address >= lo + stack.ss_size) return nullptr;
  if (begin != nullptr) *begin = lo;
  return lo + stack.ss_size;
}

size_t signal_stack_bytes() noexcept {
  KeepErrno keep;
  stack_t stack;
  return ::sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0 ? stack.ss_size
                                                                                   : 0;
}

size_t signal_frame_bytes() noexcept {
  constexpr size_t kRedZone = 128;
  constexpr size_t kOlderSystems = 2048;  // they do not tell
  KeepErrno keep;
  return std::max(size_t{::getauxval(AT_MINSIGSTKSZ)}, kOlderSystems) + kRedZone;
}

// A wait for a word that has another value ends at once; where it has this one, the time is over
// at once. EFAULT tells what cannot be read, and no sandbox forbids the call. (mincore would call a
// page that is swapped out absent; valgrind writes a line for a signal mask's operation that is
// none.)
bool is_readable(uintptr_t address) noexcept {
  KeepErrno keep;
  constexpr uint32_t kUnlikely = 0x5ca710ad;
  constexpr timespec kNoTime{};
  const uintptr_t word = address & ~uintptr_t{3};
  return ::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, kUnlikely, &kNoTime, nullptr, 0) == 0 ||
         errno != EFAULT;
}

void yield() noexcept { ::sched_yield(); }

void sleep_ns(int64_t ns) noexcept {
  if (ns <= 0) return;
  const NoCancellation whole;
  const int64_t until = now_ns() + ns;
  const timespec deadline{static_cast<time_t>(until / kSecond), static_cast<long>(until % kSecond)};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr) == EINTR) {
  }
}

// By bare system calls: open() and read() are cancellation points.
size_t read_file(const char* path, char* out, size_t size) noexcept {
  KeepErrno keep;
  const auto fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
  if (fd < 0) return 0;
  const long got = ::syscall(SYS_read, fd, out, size);
  ::syscall(SYS_close, fd);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

// The second number of the line, in pages.
int64_t resident_bytes() noexcept {
  char text[128];
  const size_t length = read_file("/proc/self/statm", text, sizeof(text) - 1);
  text[length] = 0;
  char* rest = nullptr;
  std::strtoll(text, &rest, 10);
  return std::strtoll(rest, nullptr, 10) * static_cast<int64_t>(page_size());
}

void trim_malloc() noexcept {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

bool membarrier_register() noexcept {
  KeepErrno keep;
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool membarrier() noexcept {
  KeepErrno keep;
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

}  // namespace tricolor::runtime::os
