#pragma once

// Contenders of the pool benchmark: what a program may do to have an object for a while. The macro
// BENCH_CONTENDER names the one that a process is built for.
//
//   get    an object, nullptr only if it was asked not to make one
//   put    the object goes back, or is freed, or is left to the collector
//
// What it makes costs what `Making` says. Threads: any.

#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <tricolor/tricolor.hpp>

namespace bench {

enum class Making {
  kNever,  // get() gives nullptr instead
  kPlain,
  kSlow,  // it takes a millisecond
};

template <std::size_t Bytes>
struct Object {
  void* link;  // the free list's, for what is not collected
  char rest[Bytes - sizeof(void*)];
};

inline void take_a_millisecond() {
  const tricolor::runtime::BlockingScope blocked;
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// sync::Pool.
struct Pooled {
  static constexpr bool kReuses = true, kCollected = true;

  template <std::size_t Bytes>
  static Object<Bytes>* make() {
    return tricolor::gc::make<Object<Bytes>>();
  }

  template <std::size_t Bytes, Making Make = Making::kPlain>
  class Source {
   public:
    Object<Bytes>* get() { return pool_.get(); }
    void put(Object<Bytes>* object) { pool_.put(object); }
    std::uint64_t misses() const { return pool_.stats().misses; }

   private:
    static auto new_fn() {
      std::function<Object<Bytes>*()> f;
      if (Make == Making::kPlain) f = make<Bytes>;
      if (Make == Making::kSlow) {
        f = [] {
          take_a_millisecond();
          return make<Bytes>();
        };
      }
      return f;
    }

    tricolor::sync::Pool<Object<Bytes>> pool_{{.new_fn = new_fn()}};
  };
};

// A list of free objects behind a mutex.
struct Locked {
  static constexpr bool kReuses = true, kCollected = false;

  template <std::size_t Bytes>
  static Object<Bytes>* make() {
    return new Object<Bytes>();
  }

  template <std::size_t Bytes, Making Make = Making::kPlain>
  class Source {
   public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    ~Source() {
      while (auto* const object = pop()) delete object;
    }
    Object<Bytes>* get() {
      auto* const object = pop();
      return object != nullptr || Make == Making::kNever ? object : make<Bytes>();
    }
    void put(Object<Bytes>* object) {
      const std::lock_guard<std::mutex> guard(mutex_);
      object->link = first_;
      first_ = object;
    }

   private:
    Object<Bytes>* pop() {
      const std::lock_guard<std::mutex> guard(mutex_);
      auto* const object = first_;
      if (object != nullptr) first_ = static_cast<Object<Bytes>*>(object->link);
      return object;
    }

    std::mutex mutex_;
    Object<Bytes>* first_ = nullptr;
  };
};

// A new object each time, left to the collector.
struct Made {
  static constexpr bool kReuses = false, kCollected = true;

  template <std::size_t Bytes>
  static Object<Bytes>* make() {
    return tricolor::gc::make<Object<Bytes>>();
  }

  template <std::size_t Bytes, Making = Making::kPlain>
  struct Source {
    Object<Bytes>* get() { return make<Bytes>(); }
    void put(Object<Bytes>*) {}
  };
};

// A new object each time, cleared, and freed.
struct Malloc {
  static constexpr bool kReuses = false, kCollected = false;

  template <std::size_t Bytes>
  static Object<Bytes>* make() {
    return new Object<Bytes>();
  }

  template <std::size_t Bytes, Making = Making::kPlain>
  struct Source {
    Object<Bytes>* get() { return make<Bytes>(); }
    void put(Object<Bytes>* object) { delete object; }
  };
};

}  // namespace bench

template <std::size_t Bytes>
struct tricolor::gc::is_leaf<bench::Object<Bytes>> : std::true_type {};
