#include "observe/labels.h"

#include <cstring>
#include <functional>
#include <mutex>
#include <new>

#include "runtime/base/immortal.h"
#include "runtime/thread.h"

namespace tricolor::observe {

namespace {

constinit runtime::Immortal<Labels> g_the_labels;

uint32_t hash_of(std::string_view text, uint32_t hash) noexcept {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193u;
  return hash * 0x01000193u;
}

}  // namespace

Labels& g_labels = g_the_labels.value;
constinit thread_local const debug::label* t_label = nullptr;

const Labels::Set* Labels::find(const debug::label& label, const Set* outer) noexcept {
  const uint32_t hash =
      hash_of(label.value(), hash_of(label.key(), outer == nullptr ? 0x811c9dc5u : outer->hash));
  const Set*& row = table_[hash % kRows];
  for (const Set* set = row; set != nullptr; set = set->next) {
    if (set->hash == hash && set->outer == outer && set->key == label.key() &&
        set->value == label.value()) {
      return set;
    }
  }
  if (count_ >= kMostSets) return outer;
  const size_t key_bytes = label.key().size();
  void* const memory = arena_.allocate(sizeof(Set) + key_bytes + label.value().size());
  if (memory == nullptr) return outer;
  auto* const text = static_cast<char*>(memory) + sizeof(Set);
  std::memcpy(text, label.key().data(), key_bytes);
  std::memcpy(text + key_bytes, label.value().data(), label.value().size());
  auto* const set = ::new (memory) Set;
  set->outer = outer;
  set->next = row;
  set->hash = hash;
  set->key = {text, key_bytes};
  set->value = {text + key_bytes, label.value().size()};
  row = set;
  ++count_;
  return set;
}

const Labels::Set* Labels::current() noexcept {
  constexpr int kDeepest = 16;
  const debug::label* chain[kDeepest];
  int depth = 0;
  // The innermost ones count.
  for (const debug::label* l = t_label; l != nullptr && depth < kDeepest; l = l->outer())
    chain[depth++] = l;
  if (depth == 0) return nullptr;
  const std::lock_guard guard(lock_);
  const Set* set = nullptr;
  while (depth > 0) set = find(*chain[--depth], set);
  return set;
}

}  // namespace tricolor::observe

namespace tricolor::debug {

label::label(std::string_view key, std::string_view value)
    : key_(key), value_(value), outer_(observe::t_label) {
  std::atomic_signal_fence(std::memory_order_release);
  observe::t_label = this;
}

label::~label() { observe::t_label = outer_; }

}  // namespace tricolor::debug
