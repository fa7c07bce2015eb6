#pragma once

// Checks: what must hold, and how the library speaks when it does not.
//
//   TC_CHECK(cond, "message %d", x)   always
//   TC_DCHECK(...)                    when TRICOLOR_DEBUG is 1 (TRICOLOR_CHECKS makes it so)
//   TC_VERIFY(...)                    when TRICOLOR_VERIFY is 1 (walks over whole structures)
//
// A check that is off is compiled, but its condition is not evaluated.
//
// A failure prints the expression, the place and the message, calls the hook, if one is set, and
// aborts.
//
// [check.no-malloc]  nothing here allocates, locks or touches errno; all of it may run in a signal
//                    handler, and a line leaves the process as one write(2).
//
// The message is formatted here, not by printf: %d %i %u %x %X %o %c %s %p %f %g %% with flags "-",
// "0", a width, a precision ("*" included) and the lengths hh h l ll z j t. %g prints like %f.
// Threads: any.

#include <cstdarg>
#include <cstddef>

#ifndef TRICOLOR_DEBUG
#if defined(TRICOLOR_CHECKS) && TRICOLOR_CHECKS
#define TRICOLOR_DEBUG 1
#else
#define TRICOLOR_DEBUG 0
#endif
#endif
#ifndef TRICOLOR_VERIFY
#define TRICOLOR_VERIFY 0
#endif

namespace tricolor::runtime {

// Longer lines are cut and end in "...".
inline constexpr size_t kReportLineBytes = 1024;

// Writes "tricolor: <message>\n" to standard error.
void report(const char* format, ...) noexcept __attribute__((format(printf, 1, 2)));

// Writes "tricolor: fatal: <message>\n", runs the hook, aborts.
[[noreturn]] void fatal(const char* format, ...) noexcept __attribute__((format(printf, 1, 2)));

// Formats into `buffer` without allocating; always terminates it; returns the characters before the
// terminator (at most size - 1).
size_t format_to(char* buffer, size_t size, const char* format, ...) noexcept
    __attribute__((format(printf, 3, 4)));
size_t vformat_to(char* buffer, size_t size, const char* format, va_list args) noexcept
    __attribute__((format(printf, 3, 0)));

// Called once, by the first thread that fails, after its message and before abort().
using FailureHook = void (*)() noexcept;
void set_failure_hook(FailureHook hook) noexcept;

[[noreturn]] void check_failed(const char* kind, const char* expression, const char* file, int line,
                               const char* format, ...) noexcept
    __attribute__((cold, format(printf, 5, 6)));

}  // namespace tricolor::runtime

#define TC_CHECK_IMPL(kind, cond, ...)          \
  (__builtin_expect(static_cast<bool>(cond), 1) \
       ? static_cast<void>(0)                   \
       : ::tricolor::runtime::check_failed(kind, #cond, __FILE__, __LINE__, __VA_ARGS__))

// Keeps the operands "used" and the format checked, evaluates nothing.
#define TC_CHECK_OFF(cond, ...) \
  (true ? static_cast<void>(0) : TC_CHECK_IMPL("check", cond, __VA_ARGS__))

#define TC_CHECK(cond, ...) TC_CHECK_IMPL("check", cond, __VA_ARGS__)

#if TRICOLOR_DEBUG
#define TC_DCHECK(cond, ...) TC_CHECK_IMPL("debug check", cond, __VA_ARGS__)
#else
#define TC_DCHECK(cond, ...) TC_CHECK_OFF(cond, __VA_ARGS__)
#endif

#if TRICOLOR_VERIFY
#define TC_VERIFY(cond, ...) TC_CHECK_IMPL("verify", cond, __VA_ARGS__)
#else
#define TC_VERIFY(cond, ...) TC_CHECK_OFF(cond, __VA_ARGS__)
#endif
