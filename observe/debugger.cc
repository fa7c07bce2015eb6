#include "observe/debugger.h"

#include <cstdio>
#include <exception>
#include <string>

#include "runtime/thread.h"

#include <tricolor/debug_heap.hpp>

namespace tricolor::observe {

namespace {

// A collection would wait for what the thread holds.
bool may_be_used() noexcept {
  const runtime::Thread* const thread = runtime::Thread::current();
  return thread == nullptr ||
         (!thread->in_runtime() &&
          thread->state.load(std::memory_order_relaxed) == runtime::ThreadState::kRunning);
}

template <class Text>
const char* answer(Text text) noexcept {
  static std::string last;
  try {
    last = may_be_used() ? text()
                         : "error: this thread stands inside the library: choose another, or let "
                           "it go on first\n";
  } catch (const std::exception& error) {
    last = std::string("error: ") + error.what() + "\n";
  }
  return last.c_str();
}

}  // namespace

}  // namespace tricolor::observe

const char* tricolor_why(const void* address) noexcept {
  return tricolor::observe::answer([address] {
    const tricolor::debug::Path path = tricolor::debug::why_alive(address);
    std::string text = tricolor::debug::describe(path);
    // For the debugger, which knows lines and variables.
    if (path.root.thread_id != 0) {
      char word[128];
      std::snprintf(word, sizeof word, "word %p of thread %d code %p\n", path.root.place,
                    path.root.thread_id, path.root.code);
      text += word;
    }
    return text;
  });
}

const char* tricolor_stacks() noexcept {
  return tricolor::observe::answer(
      [] { return tricolor::debug::describe(tricolor::debug::kept_by_stacks()); });
}

const char* tricolor_histogram() noexcept {
  return tricolor::observe::answer(
      [] { return tricolor::debug::describe(tricolor::debug::heap_histogram()); });
}

const char* tricolor_snapshot(const char* path) noexcept {
  return tricolor::observe::answer([path] {
    tricolor::debug::write_heap_snapshot(path);
    return std::string("written to ") + path + "\n";
  });
}
