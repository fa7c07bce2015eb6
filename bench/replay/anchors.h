#pragma once

// Anchors: of all that leads to an object, the one thing that surely keeps it alive.
//
// Every object that lives has one anchor: a root, a register, its thread's window of new objects,
// or a reference in another object, its parent. Anchors make a forest whose trees hang from roots,
// registers and windows, so what has an anchor is reachable; a cycle of references never becomes a
// cycle of anchors. When an anchor goes away and no other reference is known to do, the caller has
// to provide a register.
//
// [anchors.forest]  following parents ends at a root, a register or a window.
//
// Threads: one.

#include <cstdint>
#include <vector>

#include "bench/trace/fields.h"

namespace bench::replay {

struct Anchor {
  enum class Kind : uint8_t { kNothing, kNewest, kRegister, kRoot, kField };
  Kind kind = Kind::kNothing;
  uint32_t from = trace::kNobody;  // kRegister, kRoot: its number; kField: the parent
  uint32_t slot = 0;               // kField

  bool operator==(const Anchor&) const = default;
};

class Anchors {
 public:
  explicit Anchors(uint64_t objects) : nodes_(objects) {}

  const Anchor& of(uint32_t object) const { return nodes_[object].anchor; }
  const std::vector<uint32_t>& children(uint32_t object) const { return nodes_[object].children; }

  // Hangs the object from `anchor`, which leads to it from now on; what it hung from before becomes
  // its spare when it is a field or root.
  void set(uint32_t object, const Anchor& anchor);

  // Offers a reference that leads to the object from now on. Takes it as the anchor where that is
  // known to be safe, else as the spare.
  bool offer(uint32_t object, const Anchor& anchor);

  // A reference that led to the object, kept in case the anchor goes away. It may have gone itself.
  const Anchor& spare(uint32_t object) const { return nodes_[object].spare; }
  // Would the object still hang from something if it hung from there?
  bool is_safe(uint32_t object, const Anchor& anchor) const;

  // The object has ended. Children that it still has end with it.
  void forget(uint32_t object);

 private:
  struct Node {
    Anchor anchor;
    Anchor spare;
    std::vector<uint32_t> children;
    uint32_t place = 0;  // among the parent's children
  };

  void detach(uint32_t object);

  std::vector<Node> nodes_;
};

}  // namespace bench::replay
