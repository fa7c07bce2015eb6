// The ways a process ends other than by exit(): each writes the trace to its end first. An exec
// that fails returns, and the recording goes on.
//
// exit() needs nothing here, the library's destructor runs then. A process that is killed leaves a
// trace without its closing record, which readers report as cut off.

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>

#include "tools/recorder/recorder.h"

#define TRICOLOR_INTERPOSE extern "C" __attribute__((visibility("default")))

namespace {

using ExecFunction = int (*)(const char*, char* const[]);
using ExecEnvFunction = int (*)(const char*, char* const[], char* const[]);
using LeaveFunction = void (*)(int);

// Looked up when the library is loaded: most callers may be signal handlers or the child of a
// vfork, where dlsym may not be called.
struct Next {
  template <typename Function>
  static Function find(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  }
  LeaveFunction exit_now = find<LeaveFunction>("_exit");
  LeaveFunction quick_exit = find<LeaveFunction>("quick_exit");
  void (*abort)() = find<void (*)()>("abort");
  ExecFunction execv = find<ExecFunction>("execv");
  ExecFunction execvp = find<ExecFunction>("execvp");
  ExecEnvFunction execve = find<ExecEnvFunction>("execve");
  ExecEnvFunction execvpe = find<ExecEnvFunction>("execvpe");
  int (*fexecve)(int, char* const[],
                 char* const[]) = find<int (*)(int, char* const[], char* const[])>("fexecve");
};

const Next& next() {
  static const Next functions;
  return functions;
}

__attribute__((constructor)) void on_load() { next(); }

// Calls exec with the recording suspended, and resumes when exec failed.
template <typename Exec>
int replace_process(Exec exec) {
  tools::recorder::suspend();
  const int result = exec();
  const int error = errno;
  tools::recorder::resume();
  errno = error;
  return result;
}

// Number of arguments up to the closing null pointer, which is counted too.
size_t count_arguments(va_list list) {
  size_t count = 1;
  while (va_arg(list, char*) != nullptr) ++count;
  return count + 1;
}

}  // namespace

TRICOLOR_INTERPOSE void _exit(int status) {
  tools::recorder::finish();
  next().exit_now(status);
  __builtin_unreachable();
}

TRICOLOR_INTERPOSE void _Exit(int status) { _exit(status); }

TRICOLOR_INTERPOSE void quick_exit(int status) {
  tools::recorder::finish();
  next().quick_exit(status);
  __builtin_unreachable();
}

TRICOLOR_INTERPOSE void abort() {
  tools::recorder::finish();
  next().abort();
  __builtin_unreachable();
}

TRICOLOR_INTERPOSE int execv(const char* path, char* const argv[]) {
  return replace_process([=] { return next().execv(path, argv); });
}

TRICOLOR_INTERPOSE int execvp(const char* file, char* const argv[]) {
  return replace_process([=] { return next().execvp(file, argv); });
}

TRICOLOR_INTERPOSE int execve(const char* path, char* const argv[], char* const env[]) {
  return replace_process([=] { return next().execve(path, argv, env); });
}

TRICOLOR_INTERPOSE int execvpe(const char* file, char* const argv[], char* const env[]) {
  return replace_process([=] { return next().execvpe(file, argv, env); });
}

TRICOLOR_INTERPOSE int fexecve(int fd, char* const argv[], char* const env[]) {
  return replace_process([=] { return next().fexecve(fd, argv, env); });
}

// The variadic forms gather their arguments on the stack, because exec may be called where malloc
// may not.
#define TRICOLOR_GATHER(first)                                                      \
  va_list list;                                                                     \
  va_start(list, first);                                                            \
  const size_t count = count_arguments(list);                                       \
  va_end(list);                                                                     \
  auto** argv = static_cast<char**>(__builtin_alloca((count + 1) * sizeof(char*))); \
  va_start(list, first);                                                            \
  argv[0] = const_cast<char*>(first);                                               \
  for (size_t i = 1; i < count; ++i) argv[i] = va_arg(list, char*)

TRICOLOR_INTERPOSE int execl(const char* path, const char* first, ...) {
  TRICOLOR_GATHER(first);
  va_end(list);
  return execv(path, argv);
}

TRICOLOR_INTERPOSE int execlp(const char* file, const char* first, ...) {
  TRICOLOR_GATHER(first);
  va_end(list);
  return execvp(file, argv);
}

TRICOLOR_INTERPOSE int execle(const char* path, const char* first, ...) {
  TRICOLOR_GATHER(first);
  char** env = va_arg(list, char**);
  va_end(list);
  return execve(path, argv, env);
}
