// debug::tracked and debug::leaks(): what was dropped open, by the place that made it.

#include <fstream>

#include "tests/support.hpp"

#include <tricolor/debug.hpp>
#include <tricolor/prelude.hpp>

namespace tricolor::tests {

namespace {

// As a base; its destructor closes what it finds open, which does not make it less of a leak.
struct Handle : debug::tracked<Handle> {
  Handle() = default;
  Handle(Handle&&) = default;
  ~Handle() { close(); }
  int number = 0;
};

struct Socket {
  debug::tracked<Socket> open;
  int number = 0;
};

struct Plain {
  explicit Plain(int value) : number(value) {}
  int close() { return number; }
  int number;
};

std::size_t leaked(std::string_view type) {
  std::size_t count = 0;
  for (const debug::Leak& leak : debug::leaks()) {
    if (leak.type.find(type) != std::string::npos) count += leak.count;
  }
  return count;
}

// Leaves at most a few behind on stacks.
void between(std::size_t found, std::size_t least, std::size_t most) {
  CHECK(found >= least);
  CHECK(found <= most);
}

[[gnu::noinline]] void make_handles(int count, bool closed) {
  for (int i = 0; i < count; ++i) {
    Handle* const handle = gc::make<Handle>();
    if (closed) handle->close();
  }
}

}  // namespace

TEST_CASE("tracked: a base class; counted where it was made") {
  const std::size_t before = leaked("Handle");
  on_fresh_thread([] {
    make_handles(100, false);
    make_handles(100, true);
  });
  clear_stack();
  between(leaked("Handle") - before, 95, 100);
  const std::vector<debug::Leak> leaks = debug::leaks();
  INFO(debug::describe(leaks));
  bool named = false;
  for (const debug::Leak& leak : leaks) {
    if (leak.type.find("Handle") == std::string::npos || leak.count < 90) continue;
    for (const debug::LeakFrame& frame : leak.stack) {
      named = named || frame.function.find("make_handles") != std::string::npos;
    }
  }
  CHECK(named);
}

TEST_CASE("tracked: what the program ends has not leaked") {
  const std::size_t before = leaked("Handle");
  {
    Handle on_stack;
    const auto owned = std::make_unique<Handle>();
    for (int i = 0; i < 50; ++i) gc::destroy(gc::make<Handle>());
    Handle moved = std::move(on_stack);
    CHECK(on_stack.is_closed());
    CHECK_FALSE(moved.is_closed());
  }
  CHECK(leaked("Handle") == before);
}

TEST_CASE("tracked: a member, and around a value") {
  on_fresh_thread([] {
    for (int i = 0; i < 100; ++i) {
      Socket* const socket = gc::make<Socket>();
      if (i % 2 == 0) socket->open.close();
      auto* const plain = gc::make<debug::tracked<Plain>>(i);
      if (i % 4 == 0) CHECK(plain->close() == i);
      CHECK((*plain)->number == i);
    }
  });
  clear_stack();
  between(leaked("Socket"), 45, 50);
  between(leaked("Plain"), 70, 75);
}

TEST_CASE("tracked: what says of itself that it is not open has been closed") {
  on_fresh_thread([] {
    for (int i = 0; i < 40; ++i) {
      auto* const file = gc::make<debug::tracked<std::ifstream>>("/dev/null");
      if (i % 2 == 0) (*file)->close();
    }
  });
  clear_stack();
  between(leaked("ifstream"), 16, 20);
}

TEST_CASE("tracked: from many threads") {
  const std::size_t before = leaked("Handle");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([] { make_handles(200, false); });
  for (std::thread& thread : threads) thread.join();
  between(leaked("Handle") - before, 780, 800);
}

}  // namespace tricolor::tests
