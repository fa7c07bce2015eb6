// A path in words: debug::describe() and operator<<.

#include <cstdio>
#include <ostream>

#include <tricolor/debug_heap.hpp>

namespace tricolor::debug {

namespace {

std::string hex(const void* address) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%zx", reinterpret_cast<std::size_t>(address));
  return text;
}

std::string in_thread(const Root& root) {
  std::string text = "thread " + std::to_string(root.thread_id);
  if (!root.thread_name.empty()) text += " \"" + root.thread_name + "\"";
  if (!root.function.empty()) {
    text += root.guessed ? ", probably in " : ", in ";
    text += root.function;
  }
  return text;
}

std::string describe_root(const Root& root) {
  switch (root.kind) {
    case RootKind::none:
      break;
    case RootKind::root_slot:
      return "a gc::root (slot " + hex(root.place) + ")";
    case RootKind::global:
      return root.name.empty() ? "the word at " + hex(root.place) + ", read as a root"
                               : "global " + root.name + " (" + hex(root.place) + ")";
    case RootKind::traced_memory:
      return "the word at " + hex(root.place) + " in traced memory";
    case RootKind::stack:
      return std::string(root.stale ? "an old" : "a") + " word of the stack at " + hex(root.place) +
             ", " + in_thread(root);
    case RootKind::cpu_register:
      return "a register of " + in_thread(root);
    case RootKind::fiber_stack:
      return "the word at " + hex(root.place) + " of a registered stack";
    case RootKind::finalizer:
      return "a finalizer that waits to run";
    case RootKind::finalizable:
      return "the object at " + hex(root.place) + ", which has a finalizer";
  }
  return "nothing";
}

// What the reader should make of it.
std::string advice(const Root& root) {
  if (root.stale) return "  (below the frames in use: no function means it any more)\n";
  if (root.own)
    return "  (the calling thread's own, which asks: nothing else leads to the object)\n";
  if (root.kind == RootKind::stack || root.kind == RootKind::cpu_register) {
    return "  (conservative: whether the function still needs the word cannot be seen; what it "
           "left there stays until "
           "the word is overwritten)\n";
  }
  return {};
}

}  // namespace

std::string describe(const Path& path) {
  if (path.empty()) return hex(path.target) + " is not alive: no root leads to it\n";
  std::string text = hex(path.target) + " is alive:\n";
  text += "  " + describe_root(path.root) + "\n" + advice(path.root);
  const PathStep* before = nullptr;
  for (const PathStep& step : path.steps) {
    text += "  -> " + step.type + " at " + hex(step.object);
    if (before != nullptr && before->through_key) {
      text += ", the value of a weak table's entry with that key";
    } else if (before != nullptr) {
      text += ", by the word at +" + std::to_string(before->offset);
      if (before->precise) text += " (a gc::ptr)";
    }
    text += "\n";
    if (step.repeated != 0) {
      text += "     ... " + std::to_string(step.repeated) + " more of them, each by the word at +" +
              std::to_string(step.offset) + " of the one before\n";
    }
    before = &step;
  }
  if (path.lost_roots != 0) {
    text += "  (" + std::to_string(path.lost_roots) + " words of stacks could not be looked at)\n";
  }
  return text;
}

std::string describe(const std::vector<KeptByWord>& kept) {
  if (kept.empty()) return "stacks keep nothing that no root leads to\n";
  std::string text;
  for (const KeptByWord& entry : kept) {
    text += std::to_string(entry.bytes) + " bytes in " + std::to_string(entry.objects) +
            (entry.objects == 1 ? " object" : " objects") + ", from the " + entry.type + " at " +
            hex(entry.object) + ": kept by\n  " + describe_root(entry.root) + "\n";
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const Path& path) { return out << describe(path); }

}  // namespace tricolor::debug
