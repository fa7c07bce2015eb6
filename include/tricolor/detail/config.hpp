// Compile-time configuration shared by the public headers and the library.
//
// TRICOLOR_CHECKS=1 (the checking build) turns on the checks of the reference rules; program and
// library must agree on it, so it comes with the flags that pkg-config and CMake hand out, never
// from NDEBUG.
#pragma once

#define TRICOLOR_VERSION_MAJOR 0
#define TRICOLOR_VERSION_MINOR 1
#define TRICOLOR_VERSION_PATCH 0

#ifndef TRICOLOR_CHECKS
#define TRICOLOR_CHECKS 0
#endif

#define TRICOLOR_API __attribute__((visibility("default")))
#define TRICOLOR_NOINLINE __attribute__((noinline))
#define TRICOLOR_ALWAYS_INLINE inline __attribute__((always_inline))

// Before a function whose loops touch no collected memory: g++ optimises them as it would without
// -fno-ivopts. It holds for what is inlined into the function too.
//
//     TRICOLOR_NO_REFERENCES void multiply(std::span<const double> a, ...);
#if defined(__GNUC__) && !defined(__clang__)
#define TRICOLOR_NO_REFERENCES __attribute__((optimize("ivopts")))
#else
#define TRICOLOR_NO_REFERENCES
#endif

#if defined(__SANITIZE_THREAD__)
#define TRICOLOR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TRICOLOR_TSAN 1
#endif
#endif
#ifndef TRICOLOR_TSAN
#define TRICOLOR_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define TRICOLOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRICOLOR_ASAN 1
#endif
#endif
#ifndef TRICOLOR_ASAN
#define TRICOLOR_ASAN 0
#endif

#if !defined(__linux__) || !(defined(__x86_64__) || defined(__aarch64__))
#error "tricolor supports 64-bit Linux on x86-64 and AArch64"
#endif

// The checking build differs in inlined code. A program built one way and a library built the other
// do not link: the library defines one of these, the program refers to one.
namespace tricolor::internal {
#if TRICOLOR_CHECKS
TRICOLOR_API extern const char library_with_checks;
[[gnu::used]] inline const char* const library_wanted = &library_with_checks;
#else
TRICOLOR_API extern const char library_without_checks;
[[gnu::used]] inline const char* const library_wanted = &library_without_checks;
#endif
}  // namespace tricolor::internal
