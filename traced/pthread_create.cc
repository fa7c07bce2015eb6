// pthread_create in front of the C library's: the new thread makes itself known before it runs
// program code. What the library starts for itself goes through unchanged. C11's thrd_create and a
// library that was bound before this one do not come by here: such a thread is attached by its
// first use of the heap, as in a closed process.

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "gc/helper_threads.h"
#include "runtime/base/ask_once.h"
#include "traced/known_threads.h"

#include <tricolor/detail/config.hpp>

using tricolor::runtime::ask_once;

using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

// A sanitizer's, which the program links in front of the C library's.
extern "C" int __interceptor_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*),
                                            void*) __attribute__((weak));
extern "C" void __tsan_init() __attribute__((weak));

namespace {

struct Start {
  void* (*run)(void*);
  void* argument;
};

void* run_known(void* start) {
  const Start copy = *static_cast<Start*>(start);
  std::free(start);
  tricolor::traced::begin_known_thread();
  return copy.run(copy.argument);
}

// The C library's own: a sanitizer's "next" one may be this file's.
Create last_create() noexcept {
  static constinit std::atomic<Create> found{nullptr};
  return ask_once(found, [] {
    void* const library = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    void* const symbol = library != nullptr ? dlsym(library, "pthread_create") : nullptr;
    return reinterpret_cast<Create>(symbol);
  });
}

enum class Place { kUnknown, kFirst, kBehind };

// Whether a program's call comes here first; else a sanitizer's passes it on to here.
bool is_first() noexcept {
  static constinit std::atomic<Place> found{Place::kUnknown};
  return ask_once(found, [] {
           Dl_info first;
           Dl_info ours;
           return dladdr(dlsym(RTLD_DEFAULT, "pthread_create"), &first) != 0 &&
                          dladdr(reinterpret_cast<const void*>(&run_known), &ours) != 0 &&
                          first.dli_fbase == ours.dli_fbase
                      ? Place::kFirst
                      : Place::kBehind;
         }) == Place::kFirst;
}

Create next_create() noexcept {
  if (&__interceptor_pthread_create != nullptr) {
    return is_first() ? __interceptor_pthread_create : last_create();
  }
  static constinit std::atomic<Create> found{nullptr};
  return ask_once(found,
                  [] { return reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create")); });
}

// ThreadSanitizer's wrapper is given on to here where the library lies behind it (a shared
// library): its thread may run nothing of ours before the wrapper has.
bool is_behind_tsan() noexcept { return &__tsan_init != nullptr && !is_first(); }

[[gnu::tls_model("initial-exec")]] constinit thread_local bool t_creating = false;

}  // namespace

extern "C" TRICOLOR_API int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                           void* (*run)(void*), void* argument) noexcept {
  const bool inner = t_creating;
  const Create create = inner ? last_create() : next_create();
  if (create == nullptr) return EAGAIN;
  if (inner || tricolor::gc::t_starting_helper || is_behind_tsan()) {
    t_creating = true;
    const int error = create(thread, attributes, run, argument);
    t_creating = inner;
    return error;
  }
  auto* const start = static_cast<Start*>(std::malloc(sizeof(Start)));
  if (start == nullptr) return EAGAIN;
  *start = {run, argument};
  t_creating = true;
  const int error = create(thread, attributes, run_known, start);
  t_creating = false;
  if (error != 0) std::free(start);
  return error;
}
