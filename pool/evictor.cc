#include <algorithm>
#include <stdexcept>

#include <tricolor/sync/evictor.hpp>

namespace tricolor::sync {

void LruEvictor::on_access(std::uint64_t) {}
bool LruEvictor::should_evict(std::uint64_t) { return true; }
void LruEvictor::reset() {}

LruKEvictor::LruKEvictor(std::size_t k) : k_(k) {
  if (k == 0) throw std::invalid_argument("sync::LruKEvictor: k is 0; accepted is 1 and more");
}

void LruKEvictor::on_access(std::uint64_t key) {
  Uses& uses = uses_[key];
  if (!uses.times.empty()) order_.erase(uses.rank);
  uses.times.insert(uses.times.begin(), ++now_);
  if (uses.times.size() > k_) uses.times.pop_back();
  uses.rank = {uses.times.size() == k_ ? uses.times.back() : 0, now_};
  order_.emplace(uses.rank, key);
}

bool LruKEvictor::should_evict(std::uint64_t key) { return victim() == key; }

void LruKEvictor::reset() {
  uses_.clear();
  order_.clear();
}

void LruKEvictor::on_remove(std::uint64_t key) {
  const auto at = uses_.find(key);
  if (at == uses_.end()) return;
  order_.erase(at->second.rank);
  uses_.erase(at);
}

std::optional<std::uint64_t> LruKEvictor::victim() {
  if (order_.empty()) return std::nullopt;
  return order_.begin()->second;
}

SampledLfuEvictor::SampledLfuEvictor(std::size_t sample, std::uint64_t seed)
    : sample_(sample), random_(seed) {
  if (sample == 0) {
    throw std::invalid_argument("sync::SampledLfuEvictor: a sample of 0; accepted is 1 and more");
  }
}

void SampledLfuEvictor::on_access(std::uint64_t key) {
  const auto [at, fresh] = places_.try_emplace(key, keys_.size());
  if (fresh) {
    keys_.push_back({key, 1});
  } else {
    ++keys_[at->second].count;
  }
  if (++since_halved_ < 16 * keys_.size() + 1024) return;
  since_halved_ = 0;
  for (Counted& counted : keys_) counted.count = (counted.count + 1) / 2;
}

bool SampledLfuEvictor::should_evict(std::uint64_t key) { return victim() == key; }

void SampledLfuEvictor::reset() {
  keys_.clear();
  places_.clear();
  since_halved_ = 0;
}

void SampledLfuEvictor::on_remove(std::uint64_t key) {
  const auto at = places_.find(key);
  if (at == places_.end()) return;
  const std::size_t place = at->second;
  places_.erase(at);
  if (place + 1 != keys_.size()) {
    keys_[place] = keys_.back();
    places_[keys_[place].key] = place;
  }
  keys_.pop_back();
}

std::optional<std::uint64_t> SampledLfuEvictor::victim() {
  if (keys_.empty()) return std::nullopt;
  const Counted* least = nullptr;
  // As many as there are at most: a small cache is looked at as a whole.
  const bool all = keys_.size() <= sample_;
  for (std::size_t i = 0; i < std::min(sample_, keys_.size()); ++i) {
    random_ = random_ * 6364136223846793005 + 1442695040888963407;
    const Counted& seen = keys_[all ? i : (random_ >> 33) % keys_.size()];
    if (least == nullptr || seen.count < least->count) least = &seen;
  }
  return least->key;
}

}  // namespace tricolor::sync
