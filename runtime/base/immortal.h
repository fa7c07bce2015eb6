#pragma once

// Immortal: a global that is constructed at compile time and never destroyed, because threads of the library and
// static destructors of programs use it until the process is gone.

namespace tricolor::runtime {

template <class T>
union Immortal {
  constexpr Immortal() : value() {}
  // NOLINTNEXTLINE(modernize-use-equals-default): a defaulted one would be deleted
  constexpr ~Immortal() {}

  T value;
};

}  // namespace tricolor::runtime
