// Exceptions in headers that compile without them too (-fno-exceptions).
//
// There what would be thrown ends the program with the message of the exception, and what is caught
// was never thrown. What the library itself throws (std::bad_alloc) finds no handler in such a
// program: std::terminate.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <type_traits>

#if defined(__cpp_exceptions)
#define TRICOLOR_TRY try
#define TRICOLOR_CATCH(...) catch (__VA_ARGS__)
#define TRICOLOR_CATCH_AS(type, name) catch (const type& name)
#define TRICOLOR_THROW(...) throw __VA_ARGS__
#define TRICOLOR_RETHROW throw
#else
#define TRICOLOR_TRY if constexpr (true)
#define TRICOLOR_CATCH(...) else if constexpr (false)
#define TRICOLOR_CATCH_AS(type, name) \
  else if ([[maybe_unused]] const type& name = ::tricolor::internal::never_caught<type>(); false)
#define TRICOLOR_THROW(...) ::tricolor::internal::end_for(__VA_ARGS__)
#define TRICOLOR_RETHROW ::std::abort()

namespace tricolor::internal {

template <class Exception>
[[noreturn]] void end_for(const Exception& exception) noexcept {
  const char* what = "an exception";
  if constexpr (std::is_base_of_v<std::exception, Exception>) what = exception.what();
  std::fprintf(stderr, "tricolor: without exceptions this ends the program: %s\n", what);
  std::abort();
}

template <class Exception>
[[noreturn]] const Exception& never_caught() noexcept {
  std::abort();
}

}  // namespace tricolor::internal
#endif
