// Included in exactly one source file of a program: all memory of `new` is traced memory then, and
// globals and thread-locals are roots, so plain pointers to collected objects may lie in lambdas,
// in std::function, std::any and std::promise, in containers of any library, in exceptions. The
// same without including anything: link libtricolor_new.so, or name it in LD_PRELOAD.
//
// What comes from malloc is not traced, nor is what C libraries allocate. `delete` of a collected
// object, of what was deleted already, or of what no `new` gave ends the program with a message.
#pragma once

#include <cstddef>
#include <new>

#include <tricolor/detail/traced_memory.hpp>
#include <tricolor/traced.hpp>

namespace tricolor::gc::detail {

namespace {
struct GlobalsAreRoots {
  GlobalsAreRoots() noexcept { runtime::scan_globals(true); }
};
// Before the program's own globals are constructed.
__attribute__((init_priority(101), used)) GlobalsAreRoots globals_are_roots;
}  // namespace

}  // namespace tricolor::gc::detail

// As <cxxabi.h> names it, which may come before or after.
namespace __cxxabiv1 {
struct __cxa_dependent_exception;
}

#define TRICOLOR_REPLACES __attribute__((visibility("default"), noinline))

TRICOLOR_REPLACES void* operator new(std::size_t bytes) {
  void* const memory = tricolor::gc::detail::try_allocate_traced(bytes);
  if (__builtin_expect(memory != nullptr, 1)) return memory;
  return tricolor::gc::detail::allocate_traced_new(bytes, 1);
}
TRICOLOR_REPLACES void* operator new[](std::size_t bytes) {
  void* const memory = tricolor::gc::detail::try_allocate_traced(bytes);
  if (__builtin_expect(memory != nullptr, 1)) return memory;
  return tricolor::gc::detail::allocate_traced_new(bytes, 1);
}
TRICOLOR_REPLACES void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return tricolor::gc::detail::allocate_traced_new_or_null(bytes, 1);
}
TRICOLOR_REPLACES void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return tricolor::gc::detail::allocate_traced_new_or_null(bytes, 1);
}
TRICOLOR_REPLACES void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return tricolor::gc::detail::allocate_traced_new(bytes, static_cast<std::size_t>(alignment));
}
TRICOLOR_REPLACES void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return tricolor::gc::detail::allocate_traced_new(bytes, static_cast<std::size_t>(alignment));
}
TRICOLOR_REPLACES void* operator new(std::size_t bytes, std::align_val_t alignment,
                                     const std::nothrow_t&) noexcept {
  return tricolor::gc::detail::allocate_traced_new_or_null(bytes,
                                                           static_cast<std::size_t>(alignment));
}
TRICOLOR_REPLACES void* operator new[](std::size_t bytes, std::align_val_t alignment,
                                       const std::nothrow_t&) noexcept {
  return tricolor::gc::detail::allocate_traced_new_or_null(bytes,
                                                           static_cast<std::size_t>(alignment));
}
TRICOLOR_REPLACES void operator delete(void* memory) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete[](void* memory) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete(void* memory, std::size_t) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete[](void* memory, std::size_t) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete(void* memory, const std::nothrow_t&) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete(void* memory, std::align_val_t) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete[](void* memory, std::align_val_t) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete(void* memory, std::align_val_t,
                                       const std::nothrow_t&) noexcept {
  tricolor::gc::detail::free_traced(memory);
}
TRICOLOR_REPLACES void operator delete[](void* memory, std::align_val_t,
                                         const std::nothrow_t&) noexcept {
  tricolor::gc::detail::free_traced(memory);
}

// The C++ runtime's own, so that what is thrown is traced while it is on its way or kept in a
// std::exception_ptr. All four: an archive of the runtime has them in one object.
extern "C" {
TRICOLOR_REPLACES void* __cxa_allocate_exception(std::size_t bytes) noexcept {
  return tricolor::gc::detail::allocate_traced_exception(bytes);
}
TRICOLOR_REPLACES void __cxa_free_exception(void* thrown) noexcept {
  tricolor::gc::detail::free_traced_exception(thrown);
}
TRICOLOR_REPLACES __cxxabiv1::__cxa_dependent_exception*
__cxa_allocate_dependent_exception() noexcept {
  return static_cast<__cxxabiv1::__cxa_dependent_exception*>(
      tricolor::gc::detail::allocate_dependent_exception());
}
TRICOLOR_REPLACES void __cxa_free_dependent_exception(
    __cxxabiv1::__cxa_dependent_exception* exception) noexcept {
  tricolor::gc::detail::free_dependent_exception(exception);
}
}

#undef TRICOLOR_REPLACES
