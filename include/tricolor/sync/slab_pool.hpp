// sync::SlabPool: objects of one type side by side in slabs, handed out one by one.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <tricolor/atomic.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/make.hpp>
#include <tricolor/pool.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/root.hpp>

namespace tricolor::sync {

// Slabs are collected arrays of T, each element aligned as T is and next to the one before it;
// get() gives the lowest free element of a slab, so objects that are taken one after the other lie
// one after the other. The first slab has `first` elements, each further one as many as all before
// it.
//
//     sync::SlabPool<Particle> particles(1024);
//     Particle* p = particles.get();
//     particles.reset();                           // all are the pool's again
//
// Elements are made (T()) with their slab; in between they keep what the last user left, unless
// `clear` is set, which makes them T() as they are put (and by reset). A reference to an element
// keeps its slab alive, after the pool's end too; T's destructors run when the slab has died. An
// element is put back or stays out: one that is lost costs its place until reset().
//
// get and put: any thread, lock-free. reset, construction and destruction: while nobody else uses
// the pool.
template <class T>
class SlabPool {
 public:
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T>);
  static_assert(std::is_default_constructible_v<T>, "the elements of a slab are made as T()");
  using element_type = T;
  using Lease = sync::Lease<T, SlabPool>;

  static constexpr std::size_t kFirst = sizeof(T) >= 4096 ? 16 : 65536 / sizeof(T) / 64 * 64;

  // std::invalid_argument for first = 0 and more than 2^32. Memory comes with the first get().
  explicit SlabPool(std::size_t first = kFirst != 0 ? kFirst : 16, ClearOption<T&> clear = {})
      : first_(first), clear_(std::move(clear)) {
    if (first == 0 || first > std::numeric_limits<std::uint32_t>::max()) {
      TRICOLOR_THROW(std::invalid_argument("sync::SlabPool: a first slab of " +
                                           std::to_string(first) +
                                           " elements; accepted is 1 to 2^32 - 1"));
    }
    if (clear_ && !clear_.is_function() && !detail::kClearable<T>) {
      TRICOLOR_THROW(
          std::invalid_argument("sync::SlabPool: clear = true asks for T() of a type without it"));
    }
  }
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  // std::bad_alloc, and what T() throws: then the pool is as before.
  [[nodiscard]] T* get() {
    for (;;) {
      Slab* const newest = newest_.load();
      for (Slab* slab = newest; slab != nullptr; slab = slab->older) {
        if (T* const element = take_from(*slab)) return element;
      }
      add_slab(newest);
    }
  }

  // Takes back what a get() of this pool gave; nullptr is ignored. std::invalid_argument for any
  // other address, and for an element that is in the pool already.
  void put(T* element) {
    if (element == nullptr) return;
    for (Slab* slab = newest_.load(); slab != nullptr; slab = slab->older) {
      const std::size_t index = slab->index_of(element);
      if (index == slab->count) continue;
      const std::uint64_t bit = std::uint64_t{1} << index % 64;
      std::atomic<std::uint64_t>& word = slab->taken.get()[index / 64];
      if ((word.load(std::memory_order_relaxed) & bit) == 0) already_there(element);
      detail::clear_with(clear_, *element);
      // Release: what was done to the element, for the thread that takes it next.
      if ((word.fetch_and(~bit, std::memory_order_release) & bit) == 0) already_there(element);
      slab->used.fetch_sub(1, std::memory_order_relaxed);
      if (index / 64 < slab->lowest.load(std::memory_order_relaxed)) {
        slab->lowest.store(index / 64, std::memory_order_relaxed);
      }
      return;
    }
    TRICOLOR_THROW(
        std::invalid_argument("sync::SlabPool: what is put is no element of this pool's slabs"));
  }

  // get() until the end of the scope.
  Lease lease() { return Lease(*this, get()); }

  // All elements are the pool's again; it keeps its slabs. References that are left are those of
  // objects that somebody else is given.
  void reset() {
    for (Slab* slab = newest_.load(); slab != nullptr; slab = slab->older) {
      for (std::size_t i = 0; clear_ && i < slab->count; ++i) {
        if ((slab->taken.get()[i / 64].load(std::memory_order_relaxed) >> i % 64 & 1) != 0) {
          detail::clear_with(clear_, slab->elements.get()[i]);
        }
      }
      for (std::size_t w = 0; w < slab->words(); ++w) {
        slab->taken.get()[w].store(0, std::memory_order_relaxed);
      }
      slab->lowest.store(0, std::memory_order_relaxed);
      slab->used.store(0, std::memory_order_release);
    }
  }
  // The same, and the slabs go too.
  void drain() noexcept { newest_ = nullptr; }

  // Elements that are out, and elements in all.
  std::size_t size() const noexcept {
    std::size_t sum = 0;
    for (const Slab* slab = newest_.load(); slab != nullptr; slab = slab->older) {
      sum += slab->used.load(std::memory_order_relaxed);
    }
    return sum;
  }
  std::size_t capacity() const noexcept {
    const Slab* const newest = newest_.load();
    return newest == nullptr ? 0 : newest->up_to;
  }
  std::size_t slabs() const noexcept {
    std::size_t count = 0;
    for (const Slab* slab = newest_.load(); slab != nullptr; slab = slab->older) ++count;
    return count;
  }

 private:
  friend Lease;

  struct Slab {
    std::size_t count = 0;
    std::size_t up_to = 0;  // elements of this slab and those before it
    gc::ptr<T> elements;
    // A bit an element: it is out. Set with acquire, cleared with release: the pair makes what the
    // last user did to the element visible.
    gc::ptr<std::atomic<std::uint64_t>> taken;
    gc::ptr<Slab> older;
    // How many are out, a moment late: a full slab is passed over. Relaxed.
    std::atomic<std::size_t> used{0};
    // The word to look at first, a hint. Relaxed.
    std::atomic<std::size_t> lowest{0};

    std::size_t words() const noexcept { return (count + 63) / 64; }
    std::uint64_t valid(std::size_t w) const noexcept {
      const std::size_t left = count - w * 64;
      return left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    }
    // `count` for an address that is no element's.
    std::size_t index_of(const T* element) const noexcept {
      const auto* const address = reinterpret_cast<const char*>(element);
      const auto* const first = reinterpret_cast<const char*>(elements.get());
      const std::less<const char*> before;
      if (before(address, first) || !before(address, first + count * sizeof(T))) return count;
      const auto offset = static_cast<std::size_t>(address - first);
      return offset % sizeof(T) == 0 ? offset / sizeof(T) : count;
    }
  };

  // The newest slab: an atomic reference for pools in collected memory and elsewhere alike.
  struct Head {
    gc::atomic<Slab> newest;
  };
  class Newest {
   public:
    Slab* load() const noexcept {
      return head_ ? head_->newest.load(std::memory_order_acquire) : nullptr;
    }
    // Release: the slab's contents, for the threads that load it.
    bool replace(Slab* before, Slab* by) noexcept {
      return head_->newest.compare_exchange_strong(before, by, std::memory_order_acq_rel,
                                                   std::memory_order_acquire);
    }
    Newest& operator=(std::nullptr_t) noexcept {
      head_->newest.store(nullptr, std::memory_order_release);
      return *this;
    }

   private:
    gc::root<Head> head_{gc::make<Head>()};
  };

  T* take_from(Slab& slab) noexcept {
    if (slab.used.load(std::memory_order_relaxed) >= slab.count) return nullptr;
    const std::size_t words = slab.words();
    const std::size_t from = slab.lowest.load(std::memory_order_relaxed);
    for (std::size_t n = 0; n < words; ++n) {
      const std::size_t w = n < words - from ? from + n : n - (words - from);
      std::atomic<std::uint64_t>& word = slab.taken.get()[w];
      std::uint64_t taken = word.load(std::memory_order_relaxed);
      while ((~taken & slab.valid(w)) != 0) {
        const auto bit = static_cast<unsigned>(std::countr_zero(~taken));
        if (word.compare_exchange_weak(taken, taken | std::uint64_t{1} << bit,
                                       std::memory_order_acquire, std::memory_order_relaxed)) {
          slab.used.fetch_add(1, std::memory_order_relaxed);
          slab.lowest.store(w, std::memory_order_relaxed);
          return slab.elements.get() + (w * 64 + bit);
        }
      }
    }
    return nullptr;
  }

  // Unless somebody else does: then there is one to try.
  void add_slab(Slab* newest) {
    Slab* const fresh = gc::make<Slab>();
    fresh->count = newest == nullptr ? first_ : newest->up_to;
    fresh->up_to = newest == nullptr ? first_ : 2 * newest->up_to;
    fresh->elements = gc::make_array<T>(fresh->count);
    fresh->taken = gc::make_array<std::atomic<std::uint64_t>>(fresh->words());
    fresh->older = newest;
    newest_.replace(newest, fresh);
  }

  [[noreturn]] static void already_there(const T*) {
    TRICOLOR_THROW(
        std::invalid_argument("sync::SlabPool: an element is put that is in the pool already"));
  }
  void end_lease(T* element, bool back) {
    if (back) put(element);
  }

  const std::size_t first_;
  const ClearOption<T&> clear_;
  Newest newest_;
};

}  // namespace tricolor::sync
