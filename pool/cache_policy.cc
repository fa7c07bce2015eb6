#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include <tricolor/detail/cache_policy.hpp>
#include <tricolor/make.hpp>

namespace tricolor::sync::detail {

namespace {

constexpr uint64_t kHalf = 0x7777777777777777;
constexpr double kFirstStep = 0.0625;  // of the bound
constexpr double kDecay = 0.98;
constexpr double kRestart = 0.05;  // a change of the hit ratio that begins the search anew

uint64_t rehash(uint64_t h, unsigned row) noexcept {
  constexpr uint64_t kSeeds[] = {0xc3a5c85c97cb3127, 0xb492b66fbe98f273, 0x9ae16a3b2f90404f,
                                 0xcbf29ce484222325};
  h = (h + kSeeds[row]) * kSeeds[row];
  return h ^ h >> 32;
}

}  // namespace

// Keys fall into the same place of either half of a table twice as large: what is known is kept.
void FrequencySketch::ensure(std::size_t keys) {
  std::size_t size = std::max<std::size_t>(words_.size(), 64);
  while (size < keys) size *= 2;
  if (words_.empty()) words_.resize(size);
  while (words_.size() < size) {
    const std::size_t half = words_.size();
    words_.resize(2 * half);
    std::copy_n(words_.begin(), half, words_.begin() + static_cast<std::ptrdiff_t>(half));
  }
}

void FrequencySketch::add(std::uint64_t key) noexcept {
  bool added = false;
  for (unsigned row = 0; row < 4; ++row) {
    const uint64_t h = rehash(key, row);
    uint64_t& word = words_[h & (words_.size() - 1)];
    const unsigned shift = (row * 4 + static_cast<unsigned>(h >> 60) % 4) * 4;
    if ((word >> shift & 15) == 15) continue;
    word += uint64_t{1} << shift;
    added = true;
  }
  if (added && ++added_ >= 10 * words_.size()) halve();
}

unsigned FrequencySketch::estimate(std::uint64_t key) const noexcept {
  unsigned least = 15;
  for (unsigned row = 0; row < 4; ++row) {
    const uint64_t h = rehash(key, row);
    const uint64_t word = words_[h & (words_.size() - 1)];
    const unsigned shift = (row * 4 + static_cast<unsigned>(h >> 60) % 4) * 4;
    least = std::min(least, static_cast<unsigned>(word >> shift & 15));
  }
  return least;
}

void FrequencySketch::halve() noexcept {
  for (uint64_t& word : words_) word = word >> 1 & kHalf;
  added_ /= 2;
}

CachePolicy::CachePolicy(Host& host, std::size_t max_cost, std::shared_ptr<Evictor> evictor)
    : host_(host),
      max_cost_(max_cost),
      lists_(gc::make<CacheLists>()),
      evictor_(std::move(evictor)),
      window_cost_(std::max<std::size_t>(max_cost / 100, 1)),
      step_(kFirstStep * static_cast<double>(max_cost)) {
  sketch_.ensure(64);
}

// The newest end.
void CachePolicy::link(CacheNode& node, CachePart part) noexcept {
  CacheList& to = list(part);
  node.part = part;
  node.newer = nullptr;
  node.older = to.newest;
  if (to.newest != nullptr) to.newest->newer = &node;
  if (to.oldest == nullptr) to.oldest = &node;
  to.newest = &node;
  to.cost += node.cost;
}

void CachePolicy::unlink(CacheNode& node) noexcept {
  CacheList& from = list(node.part);
  (node.newer != nullptr ? node.newer->older : from.newest) = node.older;
  (node.older != nullptr ? node.older->newer : from.oldest) = node.newer;
  // An entry that is out keeps none of its neighbours.
  node.newer = nullptr;
  node.older = nullptr;
  from.cost -= node.cost;
  node.part = CachePart::kNone;
}

// The evictor's functions may throw: then the cache goes on without it.
template <class Call>
void CachePolicy::guarded(Call call) {
  if (evictor_ == nullptr) return;
  try {
    call(*evictor_);
  } catch (...) {
    error_ = std::current_exception();
    evictor_ = nullptr;
  }
}

void CachePolicy::on_hit(CacheNode& node) {
  sketch_.add(node.id);
  climb(true);
  if (node.part == CachePart::kNone) return;
  ++node.uses;
  touch(node);
  guarded([&node](Evictor& evictor) { evictor.on_access(node.id); });
}

void CachePolicy::touch(CacheNode& node) noexcept {
  CachePart part = node.part;
  // A second use makes an entry of the main part a protected one; those have four fifths of it.
  if (part == CachePart::kProbation && evictor_ == nullptr) part = CachePart::kProtected;
  unlink(node);
  link(node, part);
  const std::size_t main = max_cost_ - std::min(window_cost_, max_cost_);
  CacheList& safe = list(CachePart::kProtected);
  while (safe.cost > main / 5 * 4 && safe.oldest != &node && safe.oldest != nullptr) {
    CacheNode& demoted = *safe.oldest;
    unlink(demoted);
    link(demoted, CachePart::kProbation);
  }
}

bool CachePolicy::add(CacheNode& node, std::size_t cost) {
  if (cost > max_cost_) return false;
  sketch_.ensure(entries_ + 1);
  sketch_.add(node.id);
  climb(false);
  make_room(cost, nullptr);
  node.cost = cost;
  node.uses = 1;
  link(node, CachePart::kWindow);
  cost_ += cost;  // [cache.bound]
  ++entries_;
  guarded([&node](Evictor& evictor) { evictor.on_access(node.id); });
  return true;
}

bool CachePolicy::change(CacheNode& node, std::size_t cost) {
  if (cost > max_cost_) {
    remove(node);
    return false;
  }
  touch(node);
  if (cost > node.cost) make_room(cost - node.cost, &node);
  list(node.part).cost += cost - node.cost;
  cost_ += cost - node.cost;  // [cache.bound]
  node.cost = cost;
  return true;
}

void CachePolicy::remove(CacheNode& node) {
  if (node.part == CachePart::kNone) return;
  unlink(node);
  cost_ -= node.cost;
  --entries_;
  guarded([&node](Evictor& evictor) { evictor.on_remove(node.id); });
}

void CachePolicy::evict(CacheNode& node) {
  remove(node);
  host_.evicted(node);
}

// What goes first of the main part; `keep` never does.
CacheNode* CachePolicy::main_victim(CacheNode* keep) const noexcept {
  for (const CachePart part : {CachePart::kProbation, CachePart::kProtected}) {
    CacheNode* node = list(part).oldest;
    if (node == keep && node != nullptr) node = node->newer;
    if (node != nullptr) return node;
  }
  return nullptr;
}

// Takes one step towards a window that has room for `cost`: its oldest entry goes to the main part,
// against the main part's own victim where that is full. False when the window is well.
bool CachePolicy::overflow_window(std::size_t cost, CacheNode* keep) {
  CacheList& window = list(CachePart::kWindow);
  CacheNode* candidate = window.oldest;
  if (candidate == keep && candidate != nullptr) candidate = candidate->newer;
  if (candidate == nullptr || window.cost + cost <= window_cost_) return false;
  if (cost_ + cost <= max_cost_) {
    unlink(*candidate);
    link(*candidate, CachePart::kProbation);
    return true;
  }
  CacheNode* const victim = main_victim(keep);
  if (victim == nullptr || sketch_.estimate(candidate->id) <= sketch_.estimate(victim->id)) {
    evict(*candidate);
    return true;
  }
  evict(*victim);
  return true;
}

// [cache.bound]
void CachePolicy::make_room(std::size_t cost, CacheNode* keep) {
  if (evictor_ == nullptr) {
    while (overflow_window(cost, keep)) {
    }
  }
  while (cost_ + cost > max_cost_) {
    CacheNode* victim = evictor_ != nullptr ? choose_by_evictor(keep) : main_victim(keep);
    if (victim == nullptr) {
      victim = list(CachePart::kWindow).oldest;
      if (victim == keep && victim != nullptr) victim = victim->newer;
    }
    if (victim == nullptr) return;  // `keep` alone is there, and fits
    evict(*victim);
  }
}

CacheNode* CachePolicy::choose_by_evictor(CacheNode* keep) {
  CacheNode* chosen = nullptr;
  guarded([&](Evictor& evictor) {
    if (const auto id = evictor.victim()) {
      CacheNode* const node = host_.find(*id);
      if (node != nullptr && node != keep && node->part != CachePart::kNone) chosen = node;
      if (node == nullptr) evictor.on_remove(*id);  // it is behind the times
      return;
    }
    for (CacheNode* node = list(CachePart::kWindow).oldest; node != nullptr; node = node->newer) {
      if (node == keep || !evictor.should_evict(node->id)) continue;
      chosen = node;
      return;
    }
  });
  return chosen;
}

void CachePolicy::set_evictor(std::shared_ptr<Evictor> evictor) {
  error_ = nullptr;
  evictor_ = std::move(evictor);
  // All in one list: its order is what an evictor is asked in.
  for (const CachePart part : {CachePart::kProbation, CachePart::kProtected}) {
    while (evictor_ != nullptr && list(part).oldest != nullptr) {
      CacheNode& node = *list(part).oldest;
      unlink(node);
      link(node, CachePart::kWindow);
    }
  }
  guarded([this](Evictor& e) {
    e.reset();
    for (CacheNode* node = list(CachePart::kWindow).oldest; node != nullptr; node = node->newer) {
      e.on_access(node->id);
    }
  });
}

void CachePolicy::clear() {
  for (const CachePart part : {CachePart::kWindow, CachePart::kProbation, CachePart::kProtected}) {
    while (CacheNode* const node = list(part).oldest) unlink(*node);
  }
  cost_ = entries_ = 0;
  guarded([](Evictor& evictor) { evictor.reset(); });
}

// Moves the window's share in the direction that made the hit ratio better, by ever smaller steps;
// a hit ratio that changes much begins anew.
void CachePolicy::climb(bool hit) noexcept {
  hits_ += hit ? 1 : 0;
  if (++accesses_ < 10 * std::max<std::size_t>(entries_, 64)) return;
  const double ratio = static_cast<double>(hits_) / static_cast<double>(accesses_);
  const double change = ratio - last_ratio_;
  last_ratio_ = ratio;
  hits_ = accesses_ = 0;
  if (change < 0) step_ = -step_;
  const double most = static_cast<double>(max_cost_);
  const double share = std::clamp(static_cast<double>(window_cost_) + step_, 1.0, most * 0.8 + 1);
  window_cost_ = static_cast<std::size_t>(share);
  step_ = std::abs(change) >= kRestart ? std::copysign(kFirstStep * most, step_) : step_ * kDecay;
}

}  // namespace tricolor::sync::detail
