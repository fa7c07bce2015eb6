// debug::kept_by_stacks(): what no root that the program has set leads to, by the word of a stack
// that does.

#include <algorithm>

#include "gc/held.h"
#include "observe/root_names.h"
#include "observe/search.h"

#include <tricolor/debug_heap.hpp>

namespace tricolor::debug {

using gc::HeldRoot;
using observe::Search;

std::vector<KeptByWord> kept_by_stacks(std::size_t most) {
  const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  const gc::Inspection inspection;
  Search search;
  search.add_roots([](const HeldRoot& root) { return !Search::is_on_stack(root); });
  search.drain();
  struct Found {
    std::size_t root;
    std::uint64_t first;
    std::size_t objects;
    std::size_t bytes;
  };
  std::vector<Found> found;
  for (std::size_t i = 0; i < gc::g_held.root_count(); ++i) {
    const HeldRoot& root = gc::g_held.roots()[i];
    constexpr std::uint32_t kStack = Search::number_of(gc::HeldFrom::kStack);
    if (!Search::is_on_stack(root)) continue;
    // The library's own frames, below the caller's.
    if (root.from >= kStack && gc::g_held.threads()[root.from - kStack].caller &&
        root.place < frame) {
      continue;
    }
    const std::uint64_t first = search.end();
    search.add_root(i);
    search.drain();
    if (search.end() == first) continue;
    std::size_t bytes = 0;
    for (std::uint64_t at = first; at < search.end(); ++at) {
      bytes += search.cell_at(at).span->cell_size;
    }
    found.push_back({i, first, search.end() - first, bytes});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.bytes > b.bytes; });
  if (found.size() > most) found.resize(most);
  std::vector<KeptByWord> kept;
  observe::RootNames names;
  for (const Found& entry : found) {
    const runtime::Cell cell = search.cell_at(entry.first);
    kept.push_back({names.name(gc::g_held.roots()[entry.root]), runtime::g_heap.cell_address(cell),
                    observe::name_of(cell), entry.objects, entry.bytes});
  }
  return kept;
}

}  // namespace tricolor::debug
