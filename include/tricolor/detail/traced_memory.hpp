// Traced memory as the headers ask for it.
#pragma once

#include <cstddef>

#include <tricolor/detail/config.hpp>

namespace tricolor::gc::detail {

// nullptr when memory is gone.
[[nodiscard]] TRICOLOR_API void* try_allocate_traced(std::size_t bytes) noexcept;
[[nodiscard]] TRICOLOR_API void* try_allocate_traced(std::size_t bytes,
                                                     std::size_t alignment) noexcept;
// std::bad_alloc when memory is gone.
[[nodiscard]] TRICOLOR_API void* allocate_traced(std::size_t bytes);
[[nodiscard]] TRICOLOR_API void* allocate_traced(std::size_t bytes, std::size_t alignment);
// For what one of the above gave, by any thread; nullptr is ignored. What was freed already, or is
// from elsewhere, ends the program with a message.
TRICOLOR_API void free_traced(void* memory) noexcept;

// Behind operator new: calls the new-handler as often as there is one.
[[nodiscard]] TRICOLOR_API void* allocate_traced_new(std::size_t bytes, std::size_t alignment);
// The same for operator new (std::nothrow).
[[nodiscard]] TRICOLOR_API void* allocate_traced_new_or_null(std::size_t bytes,
                                                             std::size_t alignment) noexcept;
// What the C++ runtime throws, with room for its header in front.
[[nodiscard]] TRICOLOR_API void* allocate_traced_exception(std::size_t bytes) noexcept;
TRICOLOR_API void free_traced_exception(void* thrown) noexcept;
[[nodiscard]] TRICOLOR_API void* allocate_dependent_exception() noexcept;
TRICOLOR_API void free_dependent_exception(void* exception) noexcept;

}  // namespace tricolor::gc::detail
