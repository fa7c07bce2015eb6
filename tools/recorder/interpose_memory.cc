// Functions of the C library that write what its own code was not compiled to report: each calls
// the next definition and notes what it wrote.
//
// The lookups happen at first use. memcpy and its kin may be needed by the lookup itself: until it
// is done, plain loops stand in for them.

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tools/recorder/watch_stores.h"

#define TRICOLOR_INTERPOSE extern "C" __attribute__((visibility("default")))

namespace {

using CopyFunction = void* (*)(void*, const void*, size_t);
using FillFunction = void* (*)(void*, int, size_t);
using Order = int (*)(const void*, const void*);
using SortFunction = void (*)(void*, size_t, size_t, Order);

CopyFunction next_move = nullptr;
FillFunction next_fill = nullptr;
SortFunction next_sort = nullptr;

__attribute__((constructor)) void on_load() {
  next_fill = reinterpret_cast<FillFunction>(dlsym(RTLD_NEXT, "memset"));
  next_sort = reinterpret_cast<SortFunction>(dlsym(RTLD_NEXT, "qsort"));
  next_move = reinterpret_cast<CopyFunction>(dlsym(RTLD_NEXT, "memmove"));
}

// volatile: or the compiler would make the loop the very call that it stands for.
void* plain_move(void* to, const void* from, size_t bytes) {
  auto* out = static_cast<volatile unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  if (reinterpret_cast<uintptr_t>(to) <= reinterpret_cast<uintptr_t>(from)) {
    for (size_t i = 0; i < bytes; ++i) out[i] = in[i];
  } else {
    for (size_t i = bytes; i-- > 0;) out[i] = in[i];
  }
  return to;
}

void* move(void* to, const void* from, size_t bytes) {
  if (next_move == nullptr) return plain_move(to, from, bytes);
  next_move(to, from, bytes);
  tools::recorder::did_write(to, bytes);
  return to;
}

}  // namespace

TRICOLOR_INTERPOSE void* memcpy(void* to, const void* from, size_t bytes) {
  return move(to, from, bytes);
}
TRICOLOR_INTERPOSE void* memmove(void* to, const void* from, size_t bytes) {
  return move(to, from, bytes);
}
TRICOLOR_INTERPOSE void* memset(void* to, int value, size_t bytes) {
  if (next_fill == nullptr) {
    auto* out = static_cast<volatile unsigned char*>(to);
    for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<unsigned char>(value);
    return to;
  }
  next_fill(to, value, bytes);
  tools::recorder::did_write(to, bytes);
  return to;
}
TRICOLOR_INTERPOSE void qsort(void* base, size_t count, size_t bytes, Order order) {
  next_sort(base, count, bytes, order);
  tools::recorder::did_write(base, count * bytes);
}
