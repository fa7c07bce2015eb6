// sync::SizedPool: byte buffers to use again, in buckets of powers of two.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include <tricolor/detail/config.hpp>
#include <tricolor/pool.hpp>

namespace tricolor::sync {

// Buffers from `smallest` to `largest` bytes (rounded up to powers of two), each power a pool of
// its own with everything that a Pool promises. get() rounds up to the bucket; put() takes
// back whole collected buffers of a bucket's size alone, as get() gives them, so that a buffer
// never comes back smaller than it was asked for. The contents are what the last user left; fresh
// ones are zero.
//
//     sync::SizedPool buffers;
//     std::span<std::byte> b = buffers.get(1000);   // b.size() == 1024
//     buffers.put(b);
//
// Buffers are collected leaf memory: not scanned, no place for references. A span is a raw
// reference: it lies on a stack. Any thread.
class SizedPool {
 public:
  using Buffer = std::span<std::byte>;

  // std::invalid_argument unless 1 <= smallest <= largest <= 2^40.
  TRICOLOR_API explicit SizedPool(std::size_t smallest = 64,
                                  std::size_t largest = std::size_t{1} << 20);
  TRICOLOR_API ~SizedPool();
  SizedPool(const SizedPool&) = delete;
  SizedPool& operator=(const SizedPool&) = delete;

  // The smallest bucket that holds n bytes; n = 0 gives the smallest one. std::length_error when n
  // is above max_size(), std::bad_alloc.
  [[nodiscard]] TRICOLOR_API Buffer get(std::size_t n);
  // A buffer of this get(); an empty one without an address is ignored. std::invalid_argument,
  // which says what was given and what is accepted, for anything else: a part of a buffer, another
  // size, memory that is not a buffer's.
  TRICOLOR_API void put(Buffer buffer, CallSite where = CallSite::current());
  void put(std::byte* data, std::size_t size, CallSite where = CallSite::current()) {
    put(Buffer(data, size), where);
  }

  // A buffer that goes back at the end of the scope.
  class [[nodiscard]] Lease {
   public:
    Lease(Lease&& other) noexcept
        : pool_(other.pool_), buffer_(std::exchange(other.buffer_, Buffer{})) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (buffer_.data() != nullptr) pool_->put(buffer_);
    }
    Buffer get() const noexcept { return buffer_; }
    std::byte* data() const noexcept { return buffer_.data(); }
    std::size_t size() const noexcept { return buffer_.size(); }

   private:
    friend SizedPool;
    Lease(SizedPool& pool, Buffer buffer) noexcept : pool_(&pool), buffer_(buffer) {}
    SizedPool* pool_;
    Buffer buffer_;
  };
  Lease lease(std::size_t n) { return Lease(*this, get(n)); }

  std::size_t min_size() const noexcept { return smallest_; }
  std::size_t max_size() const noexcept { return largest_; }
  // What get(n) would give; std::length_error as there.
  [[nodiscard]] TRICOLOR_API std::size_t bucket_size(std::size_t n) const;

  // Of all buckets together.
  [[nodiscard]] TRICOLOR_API PoolStats stats() const noexcept;
  TRICOLOR_API void drain() noexcept;

 private:
  struct Buckets;
  Pool<std::byte>& bucket_of(std::size_t size) const noexcept;

  std::size_t smallest_, largest_;
  std::unique_ptr<Buckets> buckets_;
};

}  // namespace tricolor::sync
