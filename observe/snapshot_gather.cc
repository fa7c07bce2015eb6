// Reads the heap into the files of numbers.

#include <algorithm>
#include <cstdio>
#include <map>
#include <tuple>
#include <utility>

#include "observe/snapshot.h"
#include "observe/types.h"

namespace tricolor::observe {

using gc::g_held;
using gc::HeldFrom;
using gc::HeldRoot;
using gc::HeldThread;

namespace {

constexpr std::uint32_t number_of(HeldFrom from) noexcept {
  return static_cast<std::uint32_t>(from);
}

std::uint64_t zigzag(std::uint64_t difference) noexcept {
  return difference << 1 ^ (difference >> 63 != 0 ? ~std::uint64_t{0} : 0);
}

constexpr std::size_t kRootNode = 0;
constexpr std::size_t kGcRootsNode = 1;
constexpr std::size_t kNamedOffsets =
    512;  // words of an object that have names; others are elements

}  // namespace

std::size_t Snapshot::string(std::string text) {
  const auto [at, added] = string_numbers_.try_emplace(std::move(text), strings_.size());
  if (added) strings_.push_back(at->first);
  return at->second;
}

std::size_t Snapshot::offset_name(std::size_t offset) {
  const std::size_t word = offset / sizeof(void*);
  if (word >= offset_names_.size()) offset_names_.resize(word + 1);
  std::size_t& name = offset_names_[word];
  if (name == 0) name = string("+" + std::to_string(offset));
  return name;
}

std::size_t Snapshot::add_upper(std::size_t parent, NodeType type, std::string name) {
  const std::size_t number = upper_.size();
  upper_.push_back({type, string(std::move(name)), {}, {}});
  if (number != parent) upper_[parent].children.push_back(number);
  return number;
}

std::string Snapshot::global_name(const HeldRoot& root) {
  const Symbol symbol = names_.symbols().data_at(root.place);
  if (!symbol.name.empty()) return symbol.name;
  return symbol.file.empty() ? "registered range" : "data of " + symbol.file;
}

// Frames as nodes, so that what each of them keeps is told.
void Snapshot::plan_stacks(std::vector<std::size_t> roots) {
  const std::size_t group = add_upper(kGcRootsNode, NodeType::kNative, "Stacks");
  const auto frame_of = [](std::size_t i) {
    const HeldRoot& root = g_held.roots()[i];
    const HeldThread& thread = g_held.threads()[root.from - number_of(HeldFrom::kStack)];
    const bool in_register = RootNames::is_register(thread, root);
    // Registers are those of the innermost frame, or of what a signal interrupted.
    const std::uintptr_t place = !in_register              ? root.place
                                 : thread.interrupted != 0 ? thread.interrupted
                                                           : thread.sp;
    return std::tuple(root.from, RootNames::frame_of(thread, place));
  };
  std::sort(roots.begin(), roots.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(frame_of(a), a) < std::tuple(frame_of(b), b);
  });
  std::size_t thread_node = 0;
  std::size_t frame_node = 0;
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const auto [from, frame] = frame_of(roots[i]);
    const HeldThread& thread = g_held.threads()[from - number_of(HeldFrom::kStack)];
    const bool first = i == 0;
    if (first || g_held.roots()[roots[i - 1]].from != from) {
      thread_node = add_upper(
          group, NodeType::kNative,
          "thread " + std::to_string(thread.tid) + " \"" + names_.thread_name(thread.tid) + "\"");
      frame_node = 0;
    }
    if (first || frame_node == 0 || frame_of(roots[i - 1]) != frame_of(roots[i])) {
      std::string name = frame < thread.frame_count ? names_.function(thread.frames[frame].pc) : "";
      if (name.empty()) name = "(unknown frame)";
      if (thread.guessed) name += " (probably)";
      frame_node = add_upper(thread_node, NodeType::kNative, std::move(name));
    }
    upper_[frame_node].roots.push_back(roots[i]);
  }
}

void Snapshot::plan_roots() {
  add_upper(kRootNode, NodeType::kSynthetic, "");
  add_upper(kRootNode, NodeType::kSynthetic, "(GC roots)");
  static constexpr std::pair<HeldFrom, const char*> kGroups[] = {
      {HeldFrom::kSlot, "Roots (gc::root)"},
      {HeldFrom::kStanding, "Globals"},
      {HeldFrom::kTraced, "Traced memory"},
      {HeldFrom::kFiber, "Registered stacks"},
      {HeldFrom::kFinalizer, "Waiting finalizers"},
      {HeldFrom::kFinalizable, "Objects with finalizers"}};
  std::vector<std::size_t> groups(std::size(kGroups));
  for (std::size_t i = 0; i < std::size(kGroups); ++i) {
    groups[i] = add_upper(kGcRootsNode, NodeType::kNative, kGroups[i].second);
  }
  std::vector<std::size_t> of_stacks;
  std::map<std::string, std::size_t> globals;
  for (std::size_t i = 0; i < g_held.root_count(); ++i) {
    const HeldRoot& root = g_held.roots()[i];
    if (root.from == number_of(HeldFrom::kEphemeron)) {
      entries_.push_back({root.place, root.offset});
      continue;
    }
    if (!g_held.find(g_heap.base() + root.offset)) continue;
    if (root.from >= number_of(HeldFrom::kStack)) {
      of_stacks.push_back(i);
      continue;
    }
    for (std::size_t group = 0; group < std::size(kGroups); ++group) {
      if (number_of(kGroups[group].first) != root.from) continue;
      std::size_t node = groups[group];
      if (kGroups[group].first == HeldFrom::kStanding) {
        const auto [at, added] = globals.try_emplace(global_name(root), 0);
        if (added) at->second = add_upper(node, NodeType::kNative, at->first);
        node = at->second;
      }
      upper_[node].roots.push_back(i);
    }
  }
  plan_stacks(std::move(of_stacks));
  std::sort(entries_.begin(), entries_.end());
}

// Differences, as most are small.
void Snapshot::put_node(NodeType type, std::size_t name, std::uint64_t id, std::uint64_t size) {
  nodes_.put(static_cast<std::uint64_t>(type));
  nodes_.put(name);
  nodes_.put(zigzag(id - id_));
  nodes_.put(size);
  nodes_.put(edges_of_node_);
  id_ = id;
  edge_count_ += edges_of_node_;
  edges_of_node_ = 0;
  ++node_count_;
}

void Snapshot::put_edge(EdgeType type, std::uint64_t name_or_index, std::uint64_t to) {
  edges_.put(static_cast<std::uint64_t>(type));
  edges_.put(name_or_index);
  edges_.put(zigzag(to - edge_target_));
  edge_target_ = to;
  ++edges_of_node_;
}

void Snapshot::put_edge_to(EdgeType type, std::uint64_t name_or_index, Cell target) {
  const std::size_t number = g_held.number_of(target);
  referred_[number / 64] |= std::uint64_t{1} << (number % 64);
  put_edge(type, name_or_index, upper_.size() + number);
}

// The same for the same object in the next snapshot, as objects do not move; odd. The format has 32
// bits for it.
std::uint64_t Snapshot::id_of(Cell cell) const noexcept {
  const auto offset = static_cast<std::uint64_t>(g_heap.cell_address(cell) - g_heap.base());
  const std::uint64_t granule = offset / gc::detail::kGranule;
  return (heap_base_ != 0 ? granule : g_held.number_of(cell)) * 2 + 1;
}

void Snapshot::gather_roots_of(const Upper& upper) {
  for (std::size_t i = 0; i < upper.roots.size(); ++i) {
    const HeldRoot& root = g_held.roots()[upper.roots[i]];
    const Cell cell = g_held.find(g_heap.base() + root.offset);
    if (root.from == number_of(HeldFrom::kFinalizable)) {
      for_each_edge(cell, [&](const Edge& edge) {
        put_edge_to(EdgeType::kInternal, string("what it refers to"), edge.target);
      });
    } else if (root.from >= number_of(HeldFrom::kStack)) {
      const HeldThread& thread = g_held.threads()[root.from - number_of(HeldFrom::kStack)];
      const bool in_register = RootNames::is_register(thread, root);
      put_edge_to(EdgeType::kInternal,
                  string(in_register ? "register (conservative)" : "stack word (conservative)"),
                  cell);
    } else {
      put_edge_to(EdgeType::kElement, i, cell);
    }
  }
}

void Snapshot::gather_upper() {
  const std::uint64_t unreferenced = upper_.size() + g_held.count();
  for (std::size_t number = 0; number < upper_.size(); ++number) {
    const Upper& upper = upper_[number];
    for (std::size_t i = 0; i < upper.children.size(); ++i) {
      put_edge(EdgeType::kElement, i, upper.children[i]);
    }
    // What DevTools measures distances from.
    if (number == kRootNode) {
      for (const std::size_t group : upper_[kGcRootsNode].children) {
        put_edge(EdgeType::kShortcut, upper_[group].name, group);
      }
      put_edge(EdgeType::kShortcut, string("made or moved meanwhile"), unreferenced);
    }
    gather_roots_of(upper);
    put_node(upper.type, upper.name, 2 * number + 2, 0);
  }
}

void Snapshot::gather_object(Cell cell) {
  for_each_edge(cell, [&](const Edge& edge) {
    const bool named = edge.precise && edge.offset / sizeof(void*) < kNamedOffsets;
    put_edge_to(named ? EdgeType::kProperty : EdgeType::kElement,
                named ? offset_name(edge.offset) : edge.offset, edge.target);
  });
  if (!entries_.empty()) {
    const auto key = static_cast<std::uint64_t>(g_heap.cell_address(cell) - g_heap.base());
    for (auto at = std::lower_bound(entries_.begin(), entries_.end(), Entry{key, 0});
         at != entries_.end() && at->key == key; ++at) {
      if (const Cell value = g_held.find(g_heap.base() + at->value)) {
        put_edge_to(EdgeType::kInternal, value_name_, value);
      }
    }
  }
  const std::size_t type = types_.number_of(cell);
  if (type == type_strings_.size()) type_strings_.push_back(string(types_.name(type)));
  put_node(types_.is_known(type) ? NodeType::kObject : NodeType::kNative, type_strings_[type],
           id_of(cell), cell.span->cell_size);
}

// Made while the collection ran and dropped since; or their reference moved while the heap was
// read, from where it was not read yet to where it had been.
void Snapshot::gather_unreferenced() {
  std::uint64_t index = 0;
  for (std::size_t number = 0; number < g_held.count(); ++number) {
    if ((referred_[number / 64] >> (number % 64) & 1) != 0) continue;
    put_edge(EdgeType::kElement, index++, upper_.size() + number);
  }
  put_node(NodeType::kNative, string("Made or moved while the snapshot was taken"),
           2 * upper_.size() + 2, 0);
}

void Snapshot::gather() {
  const bool fits = g_heap.described_bytes() / gc::detail::kGranule < std::uint64_t{1} << 31;
  if (fits) heap_base_ = reinterpret_cast<std::size_t>(g_heap.base());
  referred_.assign(g_held.count() / 64 + 1, 0);
  value_name_ = string("value of a weak table's entry");
  plan_roots();
  gather_upper();
  g_held.for_each([this](Cell cell) { gather_object(cell); });
  gather_unreferenced();
}

}  // namespace tricolor::observe
