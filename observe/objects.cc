#include "observe/objects.h"

#include <utility>

#include "gc/types.h"
#include "observe/types.h"

#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/thread_local.hpp>

namespace tricolor::observe {

using gc::detail::TypeInfo;
using runtime::Kind;

namespace {

// nullptr: not known.
const TypeInfo* type_of(Cell cell) noexcept {
  char* const object = g_heap.cell_address(cell);
  if (g_type_table.is_on()) {
    if (const TypeInfo* const type = g_type_table.find(object)) return type;
  }
  if (cell.span->kind != Kind::kDestructor) return nullptr;
  const auto* const type = static_cast<const TypeInfo*>(
      gc::detail::load_word(gc::detail::hidden_word(object, cell.span->cell_size, 1)));
  return type == nullptr || gc::g_types.is_gone(type) ? nullptr : type;
}

std::string name_of(const TypeInfo& type) {
  std::string name(type.name);
  if (type.array) name += "[]";
  return name;
}

std::string name_by_kind(Kind kind, size_t size) {
  const std::string bytes = std::to_string(size) + " bytes";
  if (gc::detail::is_leaf_kind(kind)) return "leaf of " + bytes;
  return (kind == Kind::kDestructor ? "destroyed object of " : "object of ") + bytes;
}

}  // namespace

std::string name_of(Cell cell) {
  const TypeInfo* const type = type_of(cell);
  return type != nullptr ? name_of(*type) : name_by_kind(cell.span->kind, cell.span->cell_size);
}

size_t TypeNames::add(uintptr_t key, std::string name, bool known) {
  known_.push_back(known);
  names_.push_back(std::move(name));
  numbers_.emplace(key, names_.size() - 1);
  return names_.size() - 1;
}

size_t TypeNames::number_of(Cell cell) {
  const TypeInfo* const type = type_of(cell);
  if (type != nullptr) {
    const auto key = reinterpret_cast<uintptr_t>(type);
    const auto at = numbers_.find(key);
    return at != numbers_.end() ? at->second : add(key, name_of(*type), true);
  }
  // No address is odd: sizes are multiples of 16.
  const bool leaf = gc::detail::is_leaf_kind(cell.span->kind);
  const bool ended = cell.span->kind == Kind::kDestructor;
  const uintptr_t key = cell.span->cell_size | (leaf ? 1 : ended ? 3 : 5);
  const auto at = numbers_.find(key);
  return at != numbers_.end()
             ? at->second
             : add(key, name_by_kind(cell.span->kind, cell.span->cell_size), false);
}

}  // namespace tricolor::observe
