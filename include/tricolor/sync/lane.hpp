// sync::Lane: a scope of execution that owns objects and pools, and ends them as a whole.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/detail/config.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/raw_words.hpp>
#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/root.hpp>
#include <tricolor/sync/bounded_pool.hpp>

namespace tricolor::sync {

// A lane was used by a thread that is not in it, after its end, or where there is none.
class MissingLane : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

class Lane;

namespace detail {

// What a lane has to end. Collected; each keeps the one before it.
struct LaneRecord {
  void (*end)(LaneRecord* record) = nullptr;
  const void* type = nullptr;  // of a pool: names the type
  gc::ptr<LaneRecord> before;
};

template <class T>
struct LaneObject : LaneRecord {
  gc::ptr<T> object;
};

template <class F>
struct LaneCall : LaneRecord {
  explicit LaneCall(F&& g) : f(std::move(g)) {}
  F f;
};

template <class T>
struct LanePool : LaneRecord {
  BoundedPool<T> pool{SIZE_MAX};
};

template <class T>
inline constexpr char kLaneType = 0;  // its address names T

// The lanes that a thread is in, the innermost first.
struct LaneFrame {
  Lane* lane;
  LaneFrame* outer;
};
TRICOLOR_API LaneFrame*& lane_frames() noexcept;  // the calling thread's

}  // namespace detail

// The thread that makes a lane is in it until it ends; lanes nest.
//
//     sync::Lane lane;
//     Session* s = lane.make<Session>(socket);          // ~Session runs at the lane's end
//     lane.on_destroy([&] { log("done"); });
//     Buffer* b = lane.pool<Buffer>().get();
//     ... sync::Lane::current().make<Node>() ...        // further down, wherever that is
//
// At its end everything goes, the latest first: functions are called, objects made by the lane end
// as by gc::destroy if their type has a destructor (nothing may use them afterwards; others are the
// collector's), pools are emptied. Another thread may take part by a Lane::Guest. What is thrown on
// the way does not stop the rest; the last exception leaves end(), or the destructor unless another
// is on its way. Lives on a stack.
class Lane {
 public:
  Lane() : state_(gc::make<State>()), frame_(this) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() noexcept(false) {
    const bool unwinding = std::uncaught_exceptions() > exceptions_;
    TRICOLOR_TRY { end(); }
    TRICOLOR_CATCH(...) {
      if (!unwinding) TRICOLOR_RETHROW;
    }
  }
  static void* operator new(std::size_t) = delete;
  static void* operator new[](std::size_t) = delete;

  // The calling thread's innermost lane. MissingLane when it is in none.
  static Lane& current() {
    const detail::LaneFrame* const frame = detail::lane_frames();
    if (frame == nullptr)
      TRICOLOR_THROW(MissingLane("sync::Lane::current: the thread is in no lane"));
    return *frame->lane;
  }
  static bool has_current() noexcept { return detail::lane_frames() != nullptr; }

  // A T that the lane owns. MissingLane, std::bad_alloc, what T's constructor throws.
  template <class T, class... Args>
  T* make(Args&&... args) {
    check();
    auto* const record = gc::make<detail::LaneObject<T>>();
    T* const object = gc::make<T>(std::forward<Args>(args)...);
    record->object = object;
    record->end = [](detail::LaneRecord* r) {
      auto& mine = *static_cast<detail::LaneObject<T>*>(r);
      T* const ended = std::exchange(mine.object, nullptr);
      if constexpr (!std::is_trivially_destructible_v<T>) gc::destroy(ended);
    };
    add(*record);
    return object;
  }

  // Calls f() at the end. What f captures may be references to collected objects. MissingLane.
  template <class F>
  void on_destroy(F&& f) {
    using Call = detail::LaneCall<std::decay_t<F>>;
    check();
    auto* const record = gc::make<Call>(std::decay_t<F>(std::forward<F>(f)));
    detail::shade_raw_words(record);
    detail::count_words_as_references(record);
    record->end = [](detail::LaneRecord* r) {
      auto* const call = static_cast<Call*>(r);
      struct End {
        Call* self;
        ~End() { gc::destroy(self); }
      } const ends{call};
      call->f();
    };
    add(*record);
  }
  // Calls f(object) at the end.
  template <class T, class F>
  void on_destroy(T* object, F&& f) {
    on_destroy([kept = gc::ptr<T>(object), g = std::decay_t<F>(std::forward<F>(f))]() mutable {
      g(static_cast<T*>(kept));
    });
  }

  // The lane's own pool of T, made at the first call: without new_fn, for as long as the lane.
  // MissingLane.
  template <class T>
  BoundedPool<T>& pool() {
    check();
    const std::lock_guard guard(state_->lock);
    for (detail::LaneRecord* r = state_->latest; r != nullptr; r = r->before) {
      if (r->type == &detail::kLaneType<T>) return static_cast<detail::LanePool<T>*>(r)->pool;
    }
    auto* const record = gc::make<detail::LanePool<T>>();
    record->type = &detail::kLaneType<T>;
    record->end = [](detail::LaneRecord* r) { gc::destroy(static_cast<detail::LanePool<T>*>(r)); };
    record->before = state_->latest;
    state_->latest = record;
    return record->pool;
  }

  // Ends the lane now. Any use of it afterwards throws MissingLane; once is enough.
  void end() {
    std::exception_ptr thrown;
    while (detail::LaneRecord* const record = take()) {
      TRICOLOR_TRY { record->end(record); }
      TRICOLOR_CATCH(...) { thrown = std::current_exception(); }
    }
    if (thrown != nullptr) std::rethrow_exception(thrown);
  }
  bool has_ended() const noexcept { return state_->ended.load(std::memory_order_acquire); }

 private:
  // Makes the lane one of the calling thread's, in the order of scopes.
  class Entered {
   public:
    explicit Entered(Lane* lane) noexcept : frame_{lane, detail::lane_frames()} {
      detail::lane_frames() = &frame_;
    }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;
    ~Entered() {
      // Lanes end in the order of scopes, but for one that is moved about by hand.
      for (detail::LaneFrame** at = &detail::lane_frames(); *at != nullptr; at = &(*at)->outer) {
        if (*at != &frame_) continue;
        *at = frame_.outer;
        return;
      }
    }

   private:
    detail::LaneFrame frame_;
  };

 public:
  // The calling thread takes part in another thread's lane until the end of the scope, which comes
  // before the lane's own end.
  class Guest {
   public:
    explicit Guest(Lane& lane) noexcept : entered_(&lane) {}

   private:
    Entered entered_;
  };

 private:
  struct State {
    std::mutex lock;
    gc::ptr<detail::LaneRecord> latest;  // guarded by lock
    // Stored under lock (release), loaded without (acquire): who is too late hears of it here.
    std::atomic<bool> ended{false};
  };

  void check() const {
    for (const detail::LaneFrame* f = detail::lane_frames(); f != nullptr; f = f->outer) {
      if (f->lane != this) continue;
      if (!has_ended()) return;
      TRICOLOR_THROW(MissingLane("sync::Lane: the lane has ended"));
    }
    TRICOLOR_THROW(MissingLane("sync::Lane: the thread is not in this lane"));
  }
  void add(detail::LaneRecord& record) {
    const std::lock_guard guard(state_->lock);
    record.before = state_->latest;
    state_->latest = &record;
  }
  // The latest record, unlinked; the lane counts as ended when there is none.
  detail::LaneRecord* take() {
    const std::lock_guard guard(state_->lock);
    detail::LaneRecord* const record = state_->latest;
    if (record == nullptr) {
      state_->ended.store(true, std::memory_order_release);
    } else {
      state_->latest = record->before;
    }
    return record;
  }

  const int exceptions_ = std::uncaught_exceptions();
  const gc::root<State> state_;
  Entered frame_;
};

}  // namespace tricolor::sync
