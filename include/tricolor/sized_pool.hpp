// sync::SizedPool: byte buffers to use again, in buckets of powers of two.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <tricolor/detail/config.hpp>
#include <tricolor/pool.hpp>

namespace tricolor::sync {

// Makes a buffer of n bytes: any callable that takes n and returns the address of a collected leaf
// array (std::byte*, char*, unsigned char*, void*) or a span over one, as gc::make_array<std::byte>
// does.
class BufferFunction {
 public:
  BufferFunction() noexcept = default;
  BufferFunction(std::nullptr_t) noexcept {}
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, BufferFunction> &&
           std::is_invocable_v<std::decay_t<F>&, std::size_t>) BufferFunction(F&& f)
      : make_([f = std::make_shared<std::decay_t<F>>(std::forward<F>(f))](std::size_t n) {
          return address((*f)(n));
        }) {}
  explicit operator bool() const noexcept { return make_ != nullptr; }
  std::byte* operator()(std::size_t n) const { return make_(n); }

 private:
  template <class Result>
  static std::byte* address(const Result& made) {
    if constexpr (requires { made.data(); }) {
      return static_cast<std::byte*>(static_cast<void*>(made.data()));
    } else {
      return static_cast<std::byte*>(static_cast<void*>(made));
    }
  }
  std::function<std::byte*(std::size_t)> make_;
};

struct SizedPoolOptions {
  // The smallest and the largest size that may be asked for: 1 <= min <= max <= 2^40.
  std::size_t min = 1;
  std::size_t max = std::size_t{1} << 20;
  // Makes a buffer of exactly n bytes, a bucket's size, when there is none; gc::make_array
  // <std::byte> if not given. An address of nullptr leaves get() with an empty buffer.
  BufferFunction new_fn = {};
  // Zeroes a buffer, or does what the function does, as it is put: nobody sees what an earlier user
  // left in it.
  ClearOption<std::span<std::byte>> clear = {};
};

// Buffers in buckets of powers of two, each a pool of its own with everything that a Pool promises.
// get(n) takes sizes between the bounds and rounds up to the bucket; put() takes back whole
// collected buffers of a bucket's size alone, as get() gives them, so that a buffer never comes
// back smaller than it was asked for. The contents are what the last user left, unless `clear` is
// set; fresh ones are zero. A buffer costs its bucket's bytes and no more (16 below that).
//
//     sync::SizedPool buffers({.min = 512, .max = 65536});
//     std::span<std::byte> b = buffers.get(1000);   // b.size() == 1024
//     buffers.put(b);
//
// Buffers are collected leaf memory: not scanned, no place for references. A span is a raw
// reference: it lies on a stack. Any thread.
class SizedPool {
 public:
  using Buffer = std::span<std::byte>;
  using Options = SizedPoolOptions;

  SizedPool() : SizedPool(Options{}) {}
  // std::invalid_argument for bounds that make no sense.
  TRICOLOR_API explicit SizedPool(Options options);
  SizedPool(std::size_t min, std::size_t max) : SizedPool(Options{.min = min, .max = max}) {}
  TRICOLOR_API ~SizedPool();
  SizedPool(const SizedPool&) = delete;
  SizedPool& operator=(const SizedPool&) = delete;

  // The smallest bucket that holds n bytes. std::out_of_range when n is below min or above max;
  // std::bad_alloc; what new_fn throws, and std::invalid_argument for a buffer of another size from
  // it.
  [[nodiscard]] TRICOLOR_API Buffer get(std::size_t n);
  // A buffer of this get(); an empty one without an address is ignored. std::out_of_range for a
  // size outside of the buckets; std::invalid_argument, which says what was given and what is
  // accepted, for anything else: a part of a buffer, another size, memory that is not a buffer's.
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

  // The bounds as they were given; buffers are as large as bucket_size(max_size()).
  std::size_t min_size() const noexcept { return options_.min; }
  std::size_t max_size() const noexcept { return options_.max; }
  // What get(n) would give; std::out_of_range as there.
  [[nodiscard]] TRICOLOR_API std::size_t bucket_size(std::size_t n) const;

  // Of all buckets together.
  [[nodiscard]] TRICOLOR_API PoolStats stats() const noexcept;
  TRICOLOR_API void drain() noexcept;

 private:
  struct Buckets;
  Pool<std::byte>& bucket_of(std::size_t size) const noexcept;

  Options options_;
  std::size_t smallest_ = 0, largest_ = 0;  // buckets
  std::unique_ptr<Buckets> buckets_;
};

}  // namespace tricolor::sync
