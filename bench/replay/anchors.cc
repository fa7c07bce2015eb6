#include "bench/replay/anchors.h"

namespace bench::replay {
namespace {

// How far up a chain of parents a cycle is looked for. What is not found safe within it gets a
// register, which costs the replay a little of the recorded shape and nothing else.
constexpr int kMostSteps = 256;

}  // namespace

bool Anchors::is_safe(uint32_t object, const Anchor& anchor) const {
  if (anchor.kind != Anchor::Kind::kField) return anchor.kind != Anchor::Kind::kNothing;
  if (anchor.from == object) return false;
  if (nodes_[object].children.empty()) return true;
  uint32_t at = anchor.from;
  for (int step = 0; step < kMostSteps; ++step) {
    if (at == object) return false;
    const Anchor& up = nodes_[at].anchor;
    if (up.kind != Anchor::Kind::kField) return up.kind != Anchor::Kind::kNothing;
    at = up.from;
  }
  return false;
}

void Anchors::detach(uint32_t object) {
  Node& node = nodes_[object];
  if (node.anchor.kind != Anchor::Kind::kField) return;
  std::vector<uint32_t>& siblings = nodes_[node.anchor.from].children;
  siblings[node.place] = siblings.back();
  nodes_[siblings[node.place]].place = node.place;
  siblings.pop_back();
}

// [anchors.forest]
void Anchors::set(uint32_t object, const Anchor& anchor) {
  Node& node = nodes_[object];
  detach(object);
  if (node.anchor.kind == Anchor::Kind::kField || node.anchor.kind == Anchor::Kind::kRoot) {
    node.spare = node.anchor;
  }
  node.anchor = anchor;
  if (anchor.kind != Anchor::Kind::kField) return;
  std::vector<uint32_t>& siblings = nodes_[anchor.from].children;
  node.place = static_cast<uint32_t>(siblings.size());
  siblings.push_back(object);
}

bool Anchors::offer(uint32_t object, const Anchor& anchor) {
  if (!is_safe(object, anchor)) {
    nodes_[object].spare = anchor;
    return false;
  }
  set(object, anchor);
  return true;
}

void Anchors::forget(uint32_t object) {
  detach(object);
  for (const uint32_t child : nodes_[object].children) nodes_[child].anchor = {};
  nodes_[object].anchor = nodes_[object].spare = {};
  std::vector<uint32_t>().swap(nodes_[object].children);
}

}  // namespace bench::replay
