#include "gc/overhead.h"

#include <algorithm>

#include "gc/pacer.h"

namespace tricolor::gc {
namespace {

constexpr int64_t kAllowedShareOfLive = 16;
constexpr int64_t kAllowedShareOfCells = 2;

int64_t room(const HeapBytes& heap) noexcept {
  return heap.limit - Pacer::kLimitHeadroom - heap.tables - heap.in_use;
}

int64_t allocated(const HeapBytes& heap) noexcept {
  return std::max<int64_t>(0, heap.live - heap.marked);
}

}  // namespace

void Overhead::swept(const HeapBytes& heap) noexcept {
  allow(heap);
  when_swept_ = bytes(heap) + allocated(heap);
}

void Overhead::limit_changed(const HeapBytes& before, const HeapBytes& heap) noexcept {
  const int64_t filled_before = filled(before);
  allow(heap);
  when_swept_ = bytes(heap) + filled_before;
}

// [overhead.allowance]
void Overhead::allow(const HeapBytes& heap) noexcept {
  const int64_t cells = std::max<int64_t>(0, heap.in_use - heap.live);
  least_room_ = std::min(cells / kAllowedShareOfCells, heap.live / kAllowedShareOfLive);
  allowance_ = std::max<int64_t>(0, least_room_ - room(heap));
}

int64_t Overhead::bytes(const HeapBytes& heap) const noexcept {
  const int64_t allowance = std::clamp<int64_t>(least_room_ - room(heap), 0, allowance_);
  return heap.tables + std::max<int64_t>(0, heap.in_use - heap.live - allowance);
}

// [overhead.cells]
int64_t Overhead::filled(const HeapBytes& heap) const noexcept {
  return std::clamp<int64_t>(when_swept_ - bytes(heap), 0, allocated(heap));
}

}  // namespace tricolor::gc
