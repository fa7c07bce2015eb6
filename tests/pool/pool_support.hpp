// What the tests of the pools share: objects that can be checked, and collections that are counted.
#pragma once

#include "tests/support.hpp"

namespace tricolor::tests {

// A leaf that knows whether it is whole.
struct Item {
  Item() noexcept : Item(0) {}
  explicit Item(std::uint64_t k) noexcept { set(k); }
  void set(std::uint64_t k) noexcept {
    key = k;
    seal = mix(k);
  }
  bool intact() const noexcept { return seal == mix(key); }

  std::uint64_t key, seal;
};

// Counts the cycles that have started: what a pool's rotations are counted by.
class Cycles {
 public:
  Cycles() : id_(runtime::register_pre_mark_hook([this] { started_.fetch_add(1); })) {}
  ~Cycles() {
    while (!runtime::unregister_pre_mark_hook(id_)) std::this_thread::yield();
  }
  Cycles(const Cycles&) = delete;
  Cycles& operator=(const Cycles&) = delete;
  std::uint64_t started() const noexcept { return started_.load(); }

 private:
  std::atomic<std::uint64_t> started_{0};
  runtime::HookId id_;
};

// Runs `scenario`, on a thread of its own, until no cycle but the ones it asks for has come in
// between
// (GODEBUG=gcstress adds some); gives whether that was ever so. scenario(collect) returns nothing.
template <class Scenario>
bool with_counted_cycles(Scenario scenario) {
  const GcPercent off(-1);
  const Cycles cycles;
  for (int attempt = 0; attempt < 200; ++attempt) {
    runtime::collect();
    const std::uint64_t before = cycles.started();
    std::uint64_t asked = 0;
    std::function<void()> judge;
    on_fresh_thread([&] {
      judge = scenario([&asked] {
        ++asked;
        runtime::collect();
      });
    });
    if (cycles.started() - before != asked) continue;
    judge();
    return true;
  }
  return debug_setting("gcstress=");  // which may leave no moment without a cycle
}

}  // namespace tricolor::tests
