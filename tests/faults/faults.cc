#include "tests/faults/faults.h"

#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace tricolor::tests::faults {
namespace {

struct Plan {
  char name[32] = {};
  std::uint64_t number = 0;  // 0: by probability
  double probability = 0;
};
Plan g_plan;
std::atomic<bool> g_armed{false};
std::atomic<std::uint64_t> g_calls{0};
std::atomic<std::uint64_t> g_injected{0};
std::atomic<std::uint64_t> g_random{0x9e3779b97f4a7c15};

// On the stack alone: malloc itself comes by here.
void say(const char* call) noexcept {
  char line[64] = "faults: ";
  std::strncat(line, call, 32);
  std::strcat(line, "\n");
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line, std::strlen(line));
}

bool chosen() noexcept {
  const std::uint64_t call = g_calls.fetch_add(1) + 1;
  if (g_plan.number != 0) return call == g_plan.number;
  std::uint64_t x = g_random.fetch_add(0x9e3779b97f4a7c15) + call;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((x ^ (x >> 31)) >> 11) < g_plan.probability * 0x1p53;
}

bool fails(const char* call) noexcept {
  if (!g_armed.load(std::memory_order_relaxed)) return false;
  const bool any = std::strcmp(g_plan.name, "any") == 0 && std::strcmp(call, "futex") != 0;
  if (!any && std::strcmp(g_plan.name, call) != 0) return false;
  const int saved_errno = errno;
  const bool fault = chosen();
  if (fault) {
    g_injected.fetch_add(1);
    if (g_plan.number != 0) say(call);
  }
  errno = saved_errno;
  return fault;
}

bool fails(const char* call, int error) noexcept {
  if (!fails(call)) return false;
  errno = error;
  return true;
}

}  // namespace

void arm() noexcept {
  const char* const plan = std::getenv("TRICOLOR_FAULTS");
  if (plan == nullptr) return;
  const char* const colon = std::strchr(plan, ':');
  const std::size_t length = colon == nullptr ? 0 : static_cast<std::size_t>(colon - plan);
  if (length == 0 || length >= sizeof g_plan.name || colon[2] != '=') {
    say("TRICOLOR_FAULTS is not understood");
    std::_Exit(2);
  }
  std::memcpy(g_plan.name, plan, length);
  if (colon[1] == 'n') g_plan.number = std::strtoull(colon + 3, nullptr, 10);
  if (colon[1] == 'p') g_plan.probability = std::strtod(colon + 3, nullptr);
  if (const char* const seed = std::getenv("TRICOLOR_SEED")) {
    g_random = std::strtoull(seed, nullptr, 0);
  }
  g_armed = true;
}
void disarm() noexcept { g_armed = false; }
std::uint64_t injected() noexcept { return g_injected.load(); }

}  // namespace tricolor::tests::faults

using tricolor::tests::faults::fails;

extern "C" {

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);

void* malloc(size_t bytes) { return fails("malloc", ENOMEM) ? nullptr : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) {
  return fails("malloc", ENOMEM) ? nullptr : __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  return fails("malloc", ENOMEM) ? nullptr : __libc_realloc(memory, bytes);
}

// A function that sets errno, and one that returns the error. `bits`: the names for large files.
#define FAULT_ERRNO(type, name, bits, parameters, arguments, failure, error) \
  type __real_##name##bits parameters;                                       \
  type __wrap_##name##bits parameters;                                       \
  type __wrap_##name##bits parameters {                                      \
    return fails(#name, error) ? failure : __real_##name##bits arguments;    \
  }
#define FAULT_RETURNED(name, bits, parameters, arguments, error) \
  int __real_##name##bits parameters;                            \
  int __wrap_##name##bits parameters;                            \
  int __wrap_##name##bits parameters {                           \
    return fails(#name) ? error : __real_##name##bits arguments; \
  }

FAULT_ERRNO(void*, mmap, 64, (void* a, size_t n, int p, int f, int fd, off_t o),
            (a, n, p, f, fd, o), MAP_FAILED, ENOMEM)
FAULT_ERRNO(int, munmap, , (void* a, size_t n), (a, n), -1, ENOMEM)
FAULT_ERRNO(int, mprotect, , (void* a, size_t n, int p), (a, n, p), -1, ENOMEM)
FAULT_ERRNO(int, madvise, , (void* a, size_t n, int advice), (a, n, advice), -1, EINVAL)
FAULT_ERRNO(int, sigaction, , (int s, const struct sigaction* n, struct sigaction* o), (s, n, o),
            -1, EINVAL)
FAULT_ERRNO(int, sigaltstack, , (const stack_t* n, stack_t* o), (n, o), -1, EPERM)
FAULT_ERRNO(int, sched_getaffinity, , (pid_t p, size_t n, cpu_set_t* s), (p, n, s), -1, EPERM)
FAULT_ERRNO(int, sched_setscheduler, , (pid_t p, int policy, const sched_param* s), (p, policy, s),
            -1, EPERM)
FAULT_ERRNO(int, setpriority, , (__priority_which_t w, id_t id, int n), (w, id, n), -1, EACCES)
FAULT_ERRNO(int, getpriority, , (__priority_which_t w, id_t id), (w, id), -1, EPERM)
FAULT_ERRNO(int, getrlimit, 64, (__rlimit_resource_t r, rlimit* l), (r, l), -1, EPERM)
FAULT_ERRNO(ssize_t, read, , (int fd, void* out, size_t n), (fd, out, n), -1, EIO)
FAULT_ERRNO(ssize_t, pread, 64, (int fd, void* out, size_t n, off_t o), (fd, out, n, o), -1, EIO)
FAULT_ERRNO(DIR*, fdopendir, , (int fd), (fd), nullptr, ENOMEM)
FAULT_ERRNO(ssize_t, process_vm_readv, ,
            (pid_t p, const iovec* l, unsigned long ln, const iovec* r, unsigned long rn,
             unsigned long f),
            (p, l, ln, r, rn, f), -1, EPERM)
FAULT_RETURNED(pthread_create, ,
               (pthread_t * t, const pthread_attr_t* a, void* (*f)(void*), void* arg),
               (t, a, f, arg), EAGAIN)
FAULT_RETURNED(pthread_key_create, , (pthread_key_t * k, void (*d)(void*)), (k, d), EAGAIN)
FAULT_RETURNED(pthread_setspecific, , (pthread_key_t k, const void* v), (k, v), ENOMEM)
FAULT_RETURNED(pthread_atfork, , (void (*b)(), void (*p)(), void (*c)()), (b, p, c), ENOMEM)
FAULT_RETURNED(pthread_getattr_np, , (pthread_t t, pthread_attr_t* a), (t, a), ENOMEM)
FAULT_RETURNED(pthread_attr_init, , (pthread_attr_t * a), (a), ENOMEM)
FAULT_RETURNED(pthread_sigmask, , (int how, const sigset_t* s, sigset_t* o), (how, s, o), EINVAL)
FAULT_RETURNED(atexit, , (void (*f)()), (f), ENOMEM)
FAULT_RETURNED(clock_nanosleep, , (clockid_t c, int f, const timespec* t, timespec* l),
               (c, f, t, l), EINTR)

long __real_sysconf(int name);
long __wrap_sysconf(int name);
long __wrap_sysconf(int name) {
  // The page size is known to every process.
  return name != _SC_PAGESIZE && fails("sysconf", EINVAL) ? -1 : __real_sysconf(name);
}

int __real_open64(const char* path, int flags, ...);
int __wrap_open64(const char* path, int flags, ...);
int __wrap_open64(const char* path, int flags, ...) {
  return fails("open", EMFILE) ? -1 : __real_open64(path, flags);  // nothing is created
}

int __real_openat64(int directory, const char* path, int flags, ...);
int __wrap_openat64(int directory, const char* path, int flags, ...);
int __wrap_openat64(int directory, const char* path, int flags, ...) {
  return fails("open", EMFILE) ? -1 : __real_openat64(directory, path, flags);
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...) {
  if (fails("prctl", EPERM)) return -1;
  va_list list;
  va_start(list, option);
  const unsigned long a = va_arg(list, unsigned long);
  va_end(list);
  return __real_prctl(option, a, 0ul, 0ul, 0ul);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long argument[6];
  for (long& a : argument) a = va_arg(list, long);
  va_end(list);
  switch (number) {
    case SYS_futex:
      if ((argument[1] & FUTEX_CMD_MASK) == FUTEX_WAIT && fails("futex", EINTR)) return -1;
      break;
    case SYS_rt_tgsigqueueinfo:
      if (fails("rt_tgsigqueueinfo", EAGAIN)) return -1;
      break;
    case SYS_membarrier:
      if (fails("membarrier", EPERM)) return -1;
      break;
    case SYS_openat:
      if (fails("open", EMFILE)) return -1;
      break;
    case SYS_read:
      if (fails("read", EIO)) return -1;
      break;
    default:
      break;
  }
  return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                        argument[5]);
}

}  // extern "C"
