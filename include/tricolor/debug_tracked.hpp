// Resources that were dropped without having been closed: part of <tricolor/debug.hpp>.
//
//     struct File : debug::tracked<File> {          // or a member: debug::tracked<File> open_;
//       ~File() { shut(); }
//       void shut() { if (fd >= 0) ::close(fd); fd = -1; close(); }
//       int fd = ::open("/etc/hostname", O_RDONLY);
//     };
//     auto* log = gc::make<debug::tracked<std::ofstream>>("log");   // or around a type of somebody else's
//     (*log)->close();
//
//     for (const debug::Leak& leak : debug::leaks()) std::cerr << debug::describe({leak});
//
// A resource is closed by close(), and by a destructor that the program runs: gc::destroy, the end
// of a scope, delete. It has leaked when the collector comes upon it open, whatever its destructor
// does then.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tricolor/detail/layout.hpp>

namespace tricolor::debug {

struct LeakFrame {
  const void* code = nullptr;  // where the call returns to
  std::string function;        // "" where there is no name
  std::string file;            // the program or library, and where in it: for addr2line
  std::size_t offset = 0;
};

// All that leaked from one place.
struct Leak {
  std::string type;
  std::size_t count = 0;
  std::size_t open = 0;          // made there, and neither leaked nor closed so far
  std::vector<LeakFrame> stack;  // of its creation, the innermost call first
};

// What has leaked so far, most first. Runs a full collection and waits for the destructors of what
// it finds, so that all is counted that is unreachable now; on the thread that runs destructors it
// counts what was found before. Any thread; attaches it.
[[nodiscard]] TRICOLOR_API std::vector<Leak> leaks();

// In words: "12 x File, made in ..." and the stack.
[[nodiscard]] TRICOLOR_API std::string describe(const std::vector<Leak>& leaks);

namespace detail {

// Where something was made, and what has become of what was made there.
struct CreationSite;

// An open resource. Notes the stack as it is made: a microsecond or a few.
class TRICOLOR_API OpenResource {
 public:
  explicit OpenResource(std::string_view type) noexcept;
  OpenResource(OpenResource&& other) noexcept : site_(std::exchange(other.site_, nullptr)) {}
  OpenResource& operator=(OpenResource&& other) noexcept;
  ~OpenResource() { close(); }

  void close() noexcept {
    if (site_ != nullptr) end();
  }
  // It was closed elsewhere.
  void forget() noexcept;
  bool is_closed() const noexcept { return site_ == nullptr; }

 private:
  void end() noexcept;

  CreationSite* site_;
};

}  // namespace detail

// Named while T is incomplete, as a base or a member of T: the mark of a resource. Otherwise around
// a T, constructed like it. An object that holds one has a destructor to run. Movable; what was
// moved from counts as closed.
// Threads: one at a time.
template <class T, bool Around = requires { sizeof(T); }
> class tracked {
 public:
  tracked() noexcept : resource_(gc::detail::kTypeName<T>) {}
  tracked(tracked&&) noexcept = default;
  tracked& operator=(tracked&&) noexcept = default;

  // The resource is closed: it cannot leak any more. Any number of times.
  void close() noexcept { resource_.close(); }
  bool is_closed() const noexcept { return resource_.is_closed(); }

 private:
  detail::OpenResource resource_;
};

template <class T>
class tracked<T, true> {
 public:
  template <class... Args>
  requires std::is_constructible_v<T, Args...>
  explicit tracked(Args&&... args)
      : value_(std::forward<Args>(args)...), resource_(gc::detail::kTypeName<T>) {}
  tracked(tracked&&) = default;
  tracked& operator=(tracked&&) = default;
  // One that says of itself that it is not open, as streams do, has been closed.
  ~tracked() {
    if constexpr (requires(const T& value) { static_cast<bool>(value.is_open()); }) {
      if (!value_.is_open()) resource_.forget();
    }
  }

  T& operator*() noexcept { return value_; }
  const T& operator*() const noexcept { return value_; }
  T* operator->() noexcept { return &value_; }
  const T* operator->() const noexcept { return &value_; }
  T& get() noexcept { return value_; }
  const T& get() const noexcept { return value_; }

  // Calls the value's own close() where it has one, and gives what that gives; the resource counts
  // as closed, be it that it throws.
  template <class... Args>
  decltype(auto) close(Args&&... args) {
    resource_.close();
    if constexpr (requires(T & value) { value.close(std::forward<Args>(args)...); }) {
      return value_.close(std::forward<Args>(args)...);
    }
  }
  bool is_closed() const noexcept { return resource_.is_closed(); }

 private:
  T value_;
  detail::OpenResource resource_;
};

}  // namespace tricolor::debug
