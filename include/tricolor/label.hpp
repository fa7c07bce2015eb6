// debug::label: says in profiles what allocations were made for.
#pragma once

#include <string>
#include <string_view>

#include <tricolor/detail/config.hpp>

namespace tricolor::debug {

// As long as it lives, what this thread allocates, and the processor time that it uses, carry the
// label in profiles; of labels with the same key the innermost counts. A local variable: it ends on
// the thread where it began, and the last one first.
//
//     const debug::label request("request", path);
class [[nodiscard]] label {
 public:
  TRICOLOR_API label(std::string_view key, std::string_view value);
  TRICOLOR_API ~label();
  label(const label&) = delete;
  label& operator=(const label&) = delete;

  // For those who write profiles.
  const std::string& key() const noexcept { return key_; }
  const std::string& value() const noexcept { return value_; }
  const label* outer() const noexcept { return outer_; }

 private:
  std::string key_;
  std::string value_;
  const label* outer_;
};

}  // namespace tricolor::debug
