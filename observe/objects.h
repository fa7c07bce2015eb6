#pragma once

// Objects: held objects (gc/held.h) as observers show them: what they are called, and which words of theirs refer to
// which others.
//
// A type is known where it is recorded, and of objects with a destructor; others are called by kind
// and size.
// Threads: the one that inspects, in no runtime section.

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "gc/boxed.h"
#include "gc/check_references.h"
#include "gc/held.h"
#include "runtime/heap/heap_map.h"

namespace tricolor::observe {

using runtime::Cell;
using runtime::g_heap;

// Names of types by number, in order of appearance.
class TypeNames {
 public:
  // The number of what `cell` holds.
  size_t number_of(Cell cell);
  const std::string& name(size_t number) const noexcept { return names_[number]; }
  // A type's name, no mere kind and size.
  bool is_known(size_t number) const noexcept { return known_[number]; }

 private:
  size_t add(uintptr_t key, std::string name, bool known);

  std::unordered_map<uintptr_t, size_t> numbers_;
  std::vector<std::string> names_;
  std::vector<bool> known_;
};

// "Node", "Node[]", "48-byte object", "leaf of 4096 bytes".
std::string name_of(Cell cell);

// A word of a held object that refers to another.
struct Edge {
  size_t offset;  // of the word
  Cell target;
  bool precise;  // a gc::ptr or its relatives has noted the word; else it may be any number
};

// Calls visit(Edge) for each word of the object that refers to another held one. The program may
// write them meanwhile.
template <class Visit>
__attribute__((no_sanitize("address", "thread", "undefined"))) void for_each_edge(Cell cell,
                                                                                  Visit visit) {
  if (gc::detail::is_leaf_kind(cell.span->kind)) return;
  const char* const object = g_heap.cell_address(cell);
  const bool boxed = gc::boxed_words_in_use();
  const auto base = reinterpret_cast<uintptr_t>(g_heap.base());
  for (size_t at = 0; at + sizeof(void*) <= cell.span->cell_size; at += sizeof(void*)) {
    const auto word =
        gc::referred_address(*reinterpret_cast<const volatile uintptr_t*>(object + at), boxed);
    if (word - base >= g_heap.limit()) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const Cell target = gc::g_held.find(reinterpret_cast<const void*>(word));
    if (!target || (target.span == cell.span && target.index == cell.index)) continue;
    visit(Edge{at, target, gc::is_noted_reference(object + at)});
  }
}

}  // namespace tricolor::observe
