// What is on the heap and what keeps it there: part of <tricolor/debug.hpp>.
//
// Each of these runs a full collection and holds what that found reachable, while the program runs
// on and may collect:
// 1/100 of the heap for the account of it, and what dies meanwhile stays until the call returns. They take turns. Not
// from a pre-mark hook. std::bad_alloc without memory for the account.
//
// What is made while the collection runs counts as reachable.
//
// Types have names with GODEBUG=types=1, in the checking build, and where they have a destructor;
// others are called by kind and size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include <tricolor/detail/config.hpp>

namespace tricolor::debug {

// The reachable objects of one type.
struct TypeCount {
  std::string type;  // as gc::make was asked for it, "T[]" of an array
  std::size_t count = 0;
  std::size_t bytes = 0;  // of the cells that they take up
};

// Most bytes first. Any thread; attaches it.
[[nodiscard]] TRICOLOR_API std::vector<TypeCount> heap_histogram();

// A table of at most `most` lines.
TRICOLOR_API std::string describe(const std::vector<TypeCount>& histogram, std::size_t most = 30);

// Writes what is reachable, and from where, as a .heapsnapshot: Chrome DevTools (Memory, Load)
// opens it, and tools/heap reads it. References are named by the offset of their word: properties
// ("+16") where a gc::ptr has noted the word (the checking build), else elements. Objects appear in
// the order of their addresses.
//
// The objects are as they were at the end of one collection; their references are read while the
// program runs, and one that moves meanwhile may be missing: objects without any are listed apart.
// The file is written beside `path` and renamed when it is whole; a second, about 10 bytes an
// object, lies there unnamed meanwhile. What is no regular file
// (a pipe, /dev/stdout) is written to as it is, and the second file is in $TMPDIR or /tmp.
//
// std::system_error where a file cannot be made or written: nothing is left behind, and what was at
// `path` stays. Any thread; attaches it.
TRICOLOR_API void write_heap_snapshot(const std::string& path);

// What a root is, which keeps objects alive by itself.
enum class RootKind : std::uint8_t {
  none,
  root_slot,      // a gc::root
  global,         // a word of a data segment (runtime::scan_globals) or of a range (register_roots)
  traced_memory,  // a word of memory from gc::traced_allocator or operator new
  stack,          // a word of a thread's stack
  cpu_register,   // what a register held
  fiber_stack,    // a word of a registered stack
  finalizer,      // a finalizer waits for the object
  finalizable,    // the holder has a finalizer, which may want what it refers to
};

struct Root {
  RootKind kind = RootKind::none;
  const void* place = nullptr;  // of the word
  // Stacks, registers and what a compiler or the program may have left there without meaning it; a
  // gc::root is precise.
  bool conservative = false;
  // The word lies below the frames in use: no function can mean it any more.
  bool stale = false;
  std::string name;   // of a global: its symbol
  int thread_id = 0;  // of stacks and registers
  std::string thread_name;
  std::string function;        // whose frame the word lies in; "" where that is not known
  const void* code = nullptr;  // where that function is in its work
  bool own = false;            // the calling thread's, and nothing else leads to the object
  bool guessed = false;        // the function is told by what looks like a return address
};

// One object on the way. The word at `offset` in it refers to the next step, or is none in the
// last.
struct PathStep {
  const void* object = nullptr;  // its first byte
  std::string type;
  std::size_t size = 0;  // of its cell
  std::size_t offset = 0;
  bool precise = false;  // the word is a gc::ptr's or its relatives'
  bool through_key =
      false;  // the step leads to the value of a weak table's entry, of which it is the key
  // So many more objects of this type follow, each referred to by the word at this offset, before
  // the next step.
  std::size_t repeated = 0;
};

// Why an object is alive.
struct Path {
  Root root;
  std::vector<PathStep> steps;  // from what the root refers to down to the object
  const void* target = nullptr;
  std::size_t lost_roots = 0;  // words that could not be looked at for want of room

  // No root leads to the object: it is garbage, or none at all.
  [[nodiscard]] bool empty() const noexcept { return steps.empty(); }
  explicit operator bool() const noexcept { return !empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return steps.size(); }
  [[nodiscard]] auto begin() const noexcept { return steps.begin(); }
  [[nodiscard]] auto end() const noexcept { return steps.end(); }
};

// Why the object that `address` points into is alive: a shortest path from a root that the program
// has set (a gc::root, a global, traced memory, a finalizer), or, if there is none, from a word of
// a stack; the calling thread's own words for the object itself count last of all, for whoever asks
// has one. Takes 16 bytes for each object that is reached before. Any thread; attaches it.
[[nodiscard]] TRICOLOR_API Path why_alive(const void* address);

// What a word of a stack keeps alive that no root of the program's does.
struct KeptByWord {
  Root root;
  const void* object = nullptr;  // that it refers to
  std::string type;
  std::size_t objects = 0;  // it leads to, that one included
  std::size_t bytes = 0;
};

// The `most` words that keep most bytes; what several lead to is the first one's. A thread that
// waits with an old pointer in its frame, from which a queue or list goes on, shows here. Any
// thread; attaches it.
[[nodiscard]] TRICOLOR_API std::vector<KeptByWord> kept_by_stacks(std::size_t most = 10);
TRICOLOR_API std::string describe(const std::vector<KeptByWord>& kept);

// The path in words, a line a step.
TRICOLOR_API std::string describe(const Path& path);
TRICOLOR_API std::ostream& operator<<(std::ostream& out, const Path& path);

}  // namespace tricolor::debug
