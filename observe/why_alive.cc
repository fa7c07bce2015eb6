// debug::why_alive(): searches from the roots that the program has set, then from stacks, then from
// the caller's own words.

#include <algorithm>
#include <utility>
#include <vector>

#include "gc/held.h"
#include "observe/objects.h"
#include "observe/root_names.h"
#include "observe/search.h"

#include <tricolor/debug_heap.hpp>
#include <tricolor/make.hpp>

namespace tricolor::observe {

namespace {

using debug::Path;
using debug::PathStep;
using gc::g_held;
using gc::HeldRoot;

// Longer runs of one type through one field are told by their number.
constexpr std::size_t kRunShown = 4;

// The calling thread's own words for the object itself, and what lies in the library's frames below
// it.
bool is_callers(const HeldRoot& root, Cell target, std::uintptr_t frame) noexcept {
  constexpr std::uint32_t kStack = Search::number_of(gc::HeldFrom::kStack);
  if (root.from < kStack || !g_held.threads()[root.from - kStack].caller) return false;
  const Cell cell = g_held.find(g_heap.base() + root.offset);
  return root.in_register != 0 || root.place < frame ||
         (cell.span == target.span && cell.index == target.index);
}

bool run(Search& search, Cell target, const void* callers_frame) {
  const auto frame = reinterpret_cast<std::uintptr_t>(callers_frame);
  search.add_roots([](const HeldRoot& root) { return !Search::is_on_stack(root); });
  search.drain();
  search.add_roots([&](const HeldRoot& root) {
    return Search::is_on_stack(root) && !is_callers(root, target, frame);
  });
  search.drain();
  search.add_roots([&](const HeldRoot& root) { return is_callers(root, target, frame); });
  search.drain();
  return search.found();
}

PathStep step_at(Search& search, std::uint64_t place) {
  const Cell cell = search.cell_at(place);
  PathStep step;
  step.object = g_heap.cell_address(cell);
  step.type = name_of(cell);
  step.size = cell.span->cell_size;
  return step;
}

void lead_on(PathStep& step, const Reached& next) noexcept {
  step.through_key = next.word == Search::kKey;
  if (step.through_key) return;
  step.offset = next.word * sizeof(void*);
  step.precise = gc::is_noted_reference(static_cast<const char*>(step.object) + step.offset);
}

// Appends the step, or counts it where it goes on like those before it.
void add(Path& path, PathStep step, bool last) {
  const auto alike = [&](const PathStep& other) {
    return other.type == step.type && other.offset == step.offset &&
           other.through_key == step.through_key;
  };
  std::size_t run = 0;
  for (auto at = path.steps.rbegin(); at != path.steps.rend() && run < kRunShown && alike(*at);
       ++at) {
    ++run;
  }
  if (!last && run == kRunShown) {
    ++path.steps.back().repeated;
    return;
  }
  path.steps.push_back(std::move(step));
}

Path path_of(Search& search, Cell target, const void* callers_frame) {
  Path path;
  std::vector<std::uint64_t> way;
  std::uint64_t at = search.found_at();
  for (;; at = search.at(at).from) {
    way.push_back(at);
    if (search.at(at).from >= Search::kRoot) break;
  }
  RootNames names;
  const HeldRoot& root = g_held.roots()[search.at(at).from - Search::kRoot];
  path.root = names.name(root);
  path.root.own = is_callers(root, target, reinterpret_cast<std::uintptr_t>(callers_frame));
  std::reverse(way.begin(), way.end());
  for (std::size_t i = 0; i < way.size(); ++i) {
    PathStep step = step_at(search, way[i]);
    if (i + 1 < way.size()) lead_on(step, search.at(way[i + 1]));
    add(path, std::move(step), i + 1 == way.size());
  }
  return path;
}

}  // namespace

}  // namespace tricolor::observe

namespace tricolor::debug {

Path why_alive(const void* address) {
  Path path;
  if (gc::is_managed(address)) {
    const gc::Inspection inspection;
    if (const runtime::Cell cell = gc::g_held.find(address)) {
      observe::Search search(cell);
      const void* const frame = __builtin_frame_address(0);
      if (observe::run(search, cell, frame)) path = observe::path_of(search, cell, frame);
      path.lost_roots = gc::g_held.lost();
    }
  }
  path.target = address;
  return path;
}

}  // namespace tricolor::debug
