#include <bit>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string>

#include "runtime/heap/heap_map.h"

#include <tricolor/make.hpp>
#include <tricolor/sized_pool.hpp>

namespace tricolor::sync {

namespace {

constexpr std::size_t kLargest = std::size_t{1} << 40;

std::string range(std::size_t smallest, std::size_t largest) {
  return "from " + std::to_string(smallest) + " to " + std::to_string(largest) + " bytes";
}

// The bytes of the collected leaf array that begins at `data`; 0 if none does.
std::size_t array_at(const void* data) noexcept {
  const runtime::Cell cell = runtime::g_heap.find_allocated(data);
  if (!cell || runtime::g_heap.cell_address(cell) != data) return 0;
  if (!gc::detail::is_leaf_kind(cell.span->kind)) return 0;
  return gc::array_size(static_cast<const std::byte*>(data));
}

}  // namespace

struct SizedPool::Buckets {
  std::deque<Pool<std::byte>> pools;  // [i]: smallest << i bytes
};

SizedPool::SizedPool(Options options) : options_(std::move(options)) {
  if (options_.min == 0 || options_.min > options_.max || options_.max > kLargest) {
    throw std::invalid_argument(
        "sync::SizedPool: sizes " + range(options_.min, options_.max) +
        " are asked for; accepted is 1 <= min <= max <= " + std::to_string(kLargest));
  }
  smallest_ = std::bit_ceil(options_.min);
  largest_ = std::bit_ceil(options_.max);
  buckets_ = std::make_unique<Buckets>();
  for (std::size_t size = smallest_; size <= largest_; size *= 2) {
    buckets_->pools.emplace_back([size, make = options_.new_fn]() -> std::byte* {
      if (!make) return gc::make_array<std::byte>(size);
      std::byte* const made = make(size);
      if (made != nullptr && array_at(made) != size) {
        throw std::invalid_argument("sync::SizedPool: new_fn was asked for a collected buffer of " +
                                    std::to_string(size) + " bytes; it gave one of " +
                                    std::to_string(array_at(made)));
      }
      return made;
    });
  }
}

SizedPool::~SizedPool() = default;

Pool<std::byte>& SizedPool::bucket_of(std::size_t size) const noexcept {
  return buckets_
      ->pools[static_cast<std::size_t>(std::countr_zero(size) - std::countr_zero(smallest_))];
}

std::size_t SizedPool::bucket_size(std::size_t n) const {
  if (n < options_.min || n > options_.max) {
    throw std::out_of_range("sync::SizedPool: a buffer of " + std::to_string(n) +
                            " bytes is asked for; accepted is " +
                            range(options_.min, options_.max));
  }
  return std::bit_ceil(n);
}

SizedPool::Buffer SizedPool::get(std::size_t n) {
  const std::size_t size = bucket_size(n);
  std::byte* const data = bucket_of(size).get();
  return data == nullptr ? Buffer{} : Buffer{data, size};
}

void SizedPool::put(Buffer buffer, CallSite where) {
  if (buffer.data() == nullptr && buffer.empty()) return;
  const std::size_t size = buffer.size();
  const auto refusal = [&] {
    return "sync::SizedPool: a buffer of " + std::to_string(size) +
           " bytes is put; accepted are powers of two " + range(smallest_, largest_) +
           ", whole as get() gave them";
  };
  if (size < smallest_ || size > largest_) throw std::out_of_range(refusal());
  if (!std::has_single_bit(size)) throw std::invalid_argument(refusal());
  const std::size_t whole = array_at(buffer.data());
  if (whole != size) {
    throw std::invalid_argument(
        "sync::SizedPool: the " + std::to_string(size) + " bytes that are put are not " +
        (whole == 0 ? "the beginning of a collected buffer"
                    : "all of their buffer, which has " + std::to_string(whole)));
  }
  if (options_.clear.is_function()) {
    options_.clear(buffer);
  } else if (options_.clear) {
    std::memset(buffer.data(), 0, size);
  }
  bucket_of(size).put(buffer.data(), where);
}

PoolStats SizedPool::stats() const noexcept {
  PoolStats sum;
  for (const Pool<std::byte>& pool : buckets_->pools) sum += pool.stats();
  return sum;
}

void SizedPool::drain() noexcept {
  for (Pool<std::byte>& pool : buckets_->pools) pool.drain();
}

}  // namespace tricolor::sync
