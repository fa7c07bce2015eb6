#include "gc/hooks.h"

#include <algorithm>
#include <utility>

#include "gc/collector.h"

namespace tricolor::gc {

constinit std::atomic<void (*)() noexcept> g_forget_at_detach{nullptr};

uint64_t Hooks::add(Hook hook, bool own) {
  const std::lock_guard guard(mutex_);
  entries_.push_back({next_id_, std::move(hook), own});
  return next_id_++;
}

bool Hooks::remove(uint64_t id, Hook& removed) {
  const std::lock_guard guard(mutex_);
  const auto at =
      std::find_if(entries_.begin(), entries_.end(), [id](const Entry& e) { return e.id == id; });
  if (at == entries_.end()) return false;
  if (running_ == id && !g_collector.on_this_thread()) return false;
  removed.swap(at->hook);
  entries_.erase(at);
  return true;
}

void Hooks::run(bool all) {
  uint64_t last = 0;
  for (;;) {
    Hook hook;
    {
      const std::lock_guard guard(mutex_);
      running_ = 0;
      const auto next = std::find_if(entries_.begin(), entries_.end(),
                                     [=](const Entry& e) { return e.id > last && (all || e.own); });
      if (next == entries_.end()) return;
      last = next->id;
      running_ = last;
      hook = next->hook;
    }
    (*hook)();
  }
}

}  // namespace tricolor::gc
