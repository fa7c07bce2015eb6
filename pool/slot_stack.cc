// SlotStack: two Treiber stacks of numbered places, those that hold an object and those that are free. A head is a
// number and a count of changes in one word, so that a place that went and came back is not taken
// for the same.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/sync/bounded_pool.hpp>

namespace tricolor::sync::detail {

namespace {

constexpr uint32_t kFirstChunk = 64;

struct Place {
  // Of the thread alone that has taken the place off a stack; the stacks' heads hand it on.
  gc::ptr<void> object;
  // Written by the thread that has the place (relaxed, made visible by the head's release), read by
  // threads that try to pop (relaxed: a stale one fails at the compare-exchange).
  std::atomic<uint32_t> next{0};
};

// Chunk k has kFirstChunk << k places.
uint32_t chunk_of(uint32_t index) noexcept {
  return static_cast<uint32_t>(std::bit_width(index / kFirstChunk + 1)) - 1;
}
uint32_t first_of(uint32_t chunk) noexcept { return kFirstChunk * ((uint32_t{1} << chunk) - 1); }

}  // namespace

// Places are numbered from 1 on; 0 ends a stack.
struct SlotStackState {
  explicit SlotStackState(uint32_t m) noexcept : most(m) {}

  const uint32_t most;
  // How many numbers have been given out: read-modify-write, relaxed, for the number alone matters.
  std::atomic<uint32_t> made{0};
  // Filled places; changed by the thread that has the place, so never above `most`.
  std::atomic<uint32_t> filled{0};
  // number | changes << 32. Pushed with release, popped with acquire: the pair makes the place's
  // object visible.
  alignas(64) std::atomic<uint64_t> full{0};
  alignas(64) std::atomic<uint64_t> free{0};
  // Stored (release) when made, loaded (acquire).
  std::array<gc::atomic<Place>, 27> chunks;

  Place& place(uint32_t number) noexcept {
    const uint32_t chunk = chunk_of(number - 1);
    return chunks[chunk].load(std::memory_order_acquire)[number - 1 - first_of(chunk)];
  }

  void push(std::atomic<uint64_t>& head, uint32_t number) noexcept {
    Place& p = place(number);
    uint64_t word = head.load(std::memory_order_relaxed);
    uint64_t wanted;
    do {
      p.next.store(static_cast<uint32_t>(word), std::memory_order_relaxed);
      wanted = ((word >> 32) + 1) << 32 | number;
    } while (!head.compare_exchange_weak(word, wanted, std::memory_order_release,
                                         std::memory_order_relaxed));
  }

  uint32_t pop(std::atomic<uint64_t>& head) noexcept {
    // Acquire: the chunk that the number lies in, and what its last owner wrote.
    uint64_t word = head.load(std::memory_order_acquire);
    for (;;) {
      const auto number = static_cast<uint32_t>(word);
      if (number == 0) return 0;
      const uint64_t next = place(number).next.load(std::memory_order_relaxed);
      if (head.compare_exchange_weak(word, ((word >> 32) + 1) << 32 | next,
                                     std::memory_order_acquire, std::memory_order_acquire)) {
        return number;
      }
    }
  }

  void ensure_chunk(uint32_t number) {
    gc::atomic<Place>& chunk = chunks[chunk_of(number - 1)];
    if (chunk.load(std::memory_order_acquire) != nullptr) return;
    Place* const fresh = gc::make_array<Place>(std::size_t{kFirstChunk} << chunk_of(number - 1));
    Place* none = nullptr;
    chunk.compare_exchange_strong(none, fresh, std::memory_order_acq_rel,
                                  std::memory_order_acquire);
  }
};

SlotStack::SlotStack(std::size_t most)
    : state_(gc::make<SlotStackState>(
          static_cast<uint32_t>(std::min<std::size_t>(most, UINT32_MAX - 1)))) {}

uint32_t SlotStack::reserve() {
  SlotStackState& state = *state_;
  if (const uint32_t number = state.pop(state.free)) return number;
  uint32_t made = state.made.load(std::memory_order_relaxed);
  for (;;) {
    if (made >= state.most) return kNone;
    // The memory first: a number that was given out stays in use for good.
    state.ensure_chunk(made + 1);
    if (state.made.compare_exchange_weak(made, made + 1, std::memory_order_relaxed)) {
      return made + 1;
    }
  }
}

void SlotStack::fill(uint32_t place, void* object) noexcept {
  SlotStackState& state = *state_;
  state.place(place).object = object;
  state.filled.fetch_add(1, std::memory_order_relaxed);
  state.push(state.full, place);
}

void SlotStack::give_back(uint32_t place) noexcept {
  SlotStackState& state = *state_;
  state.push(state.free, place);
}

void* SlotStack::pop() noexcept {
  SlotStackState& state = *state_;
  const uint32_t number = state.pop(state.full);
  if (number == 0) return nullptr;
  Place& place = state.place(number);
  void* const object = place.object;
  place.object = nullptr;
  state.filled.fetch_sub(1, std::memory_order_relaxed);
  state.push(state.free, number);
  return object;
}

std::size_t SlotStack::size() const noexcept {
  return state_->filled.load(std::memory_order_relaxed);
}

}  // namespace tricolor::sync::detail
