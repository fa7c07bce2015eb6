#pragma once

// Replay: runs a program on a backend. The same code for every backend, so that they differ in
// nothing but the heap.
//
// A backend is a class with
//   Word                       a union of `uint64_t bits` and `Ref link`, 8 bytes, of which objects
//                              are made
//   Page                       a heap object with `Ref slot[kSlotsPerPage]`
//   Directory                  what finds page i: page(i) -> Page*, slow to make, quick to read
//   ThreadScope                lives on every thread but the first while it uses the heap
//   BlockingScope              lives while a thread waits for another
//   static Word* get(const Ref&)          what a reference leads to
//   static void put(Ref&, Word*)          a store into the heap, barrier included
//   static void init_link(Word&, Word*)   the first store into an object's link
//   Word* allocate(size_t bytes, bool zeroed)
//   Word* allocate_leaf(size_t bytes)     zeroed or not; it will hold no reference
//   Word* reallocate(Word*, size_t old_bytes, size_t bytes)   contents kept up to the smaller size
//   void release(Word*)                   the recorded end; collectors do nothing
//   uint64_t collections() const
// Allocated memory is zero, or is made so here, where `zeroed` was asked for.
//
// What an operation does to the heap, the same everywhere:
//   alloc     writes every byte: word 0 a tag, word 1 the link, the rest from the tag; stores into
//             the register
//   realloc   writes tag, link and every byte that is new; stores into the register
//   free      reads tag, last word and the tag of the linked object; clears the register
//   new       writes a tag, and data into every word behind the last one that is ever stored into
//   store     stores a reference into the object
//   root      stores a reference into the register
//   end       reads tag and last byte
// What is read goes into the checksum, which depends on the program alone: a heap that reclaims or
// moves what is alive gives another one. Data words have the top bit set, so none can be mistaken
// for an address.
//
// [replay.no-table]  no memory but the heap's own and the stack of the thread that replays keeps an
//                    object alive. Names lead to addresses, complemented, in memory that no
//                    collector scans; a register is cleared when the program says so.
//
// Threads: a Runner belongs to one thread; the Replayer to the main thread.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "bench/replay/clock.h"
#include "bench/replay/measure.h"
#include "bench/replay/no_oracle.h"
#include "bench/replay/program.h"

namespace bench::replay {

inline constexpr uint32_t kSlotsPerPage = 512;

// Copies of the program that run on one thread take turns of this many operations.
inline constexpr uint64_t kTurn = 256;

constexpr uint64_t tag_of(uint64_t object) {
  return uint64_t{1} << 63 | (object * 0x9e3779b97f4a7c15u) >> 1;
}

// How many signals a lane has given. Written by its runner (release), read by those that wait
// (acquire): what was done before the signal is visible behind the wait.
struct alignas(64) Progress {
  std::atomic<uint32_t> signals{0};
};

// What the lanes of one copy share.
template <typename Backend>
struct Shared {
  Shared(Backend& the_backend, const ProgramInfo& program, uint64_t copies)
      : backend(the_backend),
        directory((program.registers * copies + kSlotsPerPage - 1) / kSlotsPerPage),
        bytes(program.names * copies),
        hidden(program.is_graph != 0 ? program.names * copies : 0),
        progress(program.lanes * copies) {}

  Backend& backend;
  typename Backend::Directory directory;
  std::vector<uint32_t> bytes;    // by name
  std::vector<uintptr_t> hidden;  // by name: the complement of the address
  std::vector<Progress> progress;
};

// The newest objects of a thread, on its stack, where a collector finds them.
template <typename Word>
struct Window {
  Word* volatile object[kWindow] = {};
};

template <typename Backend, typename Oracle = NoOracle>
class Runner {
 public:
  using Word = typename Backend::Word;

  Runner(Shared<Backend>& shared, const ProgramInfo& program, std::span<const uint32_t> code,
         uint64_t copy, uint32_t lane, Oracle& oracle)
      : shared_(shared),
        backend_(shared.backend),
        oracle_(oracle),
        at_(code.data()),
        end_(code.data() + code.size()),
        first_name_(copy * program.names),
        first_register_(copy * program.registers),
        progress_(shared.progress.data() + copy * program.lanes),
        lane_(lane),
        next_object_((copy * program.lanes + lane) << 40) {}

  bool is_done() const { return at_ == end_; }
  // Before an allocation, or at the end, everything that has ended is cut off; elsewhere what ends
  // with the next operation may have been read back already.
  bool is_between_steps() const { return is_done() || op_of(*at_) < Op::kStore; }
  uint64_t checksum() const { return checksum_; }

  void run(uint64_t operations, Window<Word>& window, Stalls& stalls) {
    for (; operations > 0 && at_ != end_; --operations) {
      const Op op = op_of(*at_);
      const uint32_t number = number_of(*at_);
      const uint32_t* const operands = at_ + 1;
      at_ += words_of(op);
      switch (op) {
        case Op::kAlloc:
        case Op::kAllocZeroed:
          allocate(number, operands, op == Op::kAllocZeroed);
          break;
        case Op::kRealloc:
          reallocate(number, operands);
          break;
        case Op::kFree:
          free(number);
          break;
        case Op::kNew:
          make(number, operands, window);
          break;
        case Op::kNewLeaf:
          make_leaf(number, operands[0], window);
          break;
        case Op::kStore:
          Backend::put(named(number)[operands[0]].link, named_or_null(operands[1]));
          break;
        case Op::kRoot:
          Backend::put(reference(number), named_or_null(operands[0]));
          break;
        case Op::kEnd:
          end(number, operands[0]);
          break;
        case Op::kSignal:
          progress_[lane_].signals.fetch_add(1, std::memory_order_release);
          progress_[lane_].signals.notify_all();
          break;
        case Op::kWait:
          wait(progress_[number].signals, operands[0], stalls);
          break;
      }
      if (operations % kClocked == 1) stalls.operations_ended(ticks());
    }
  }

 private:
  auto& reference(uint32_t number) {
    const uint64_t slot = first_register_ + number;
    return shared_.directory.page(slot / kSlotsPerPage)->slot[slot % kSlotsPerPage];
  }
  uint32_t& bytes(uint32_t name) { return shared_.bytes[first_name_ + name]; }
  uintptr_t& hidden(uint32_t name) { return shared_.hidden[first_name_ + name]; }

  // The object of that name, which is reachable now. [program.anchored]
  Word* named(uint32_t name) {
    auto* object = reinterpret_cast<Word*>(~hidden(name));
    if constexpr (Oracle::kIsOn) oracle_.used(object);
    return object;
  }
  Word* named_or_null(uint32_t name) { return name == kNone ? nullptr : named(name); }

  void allocate(uint32_t name, const uint32_t* operands, bool zeroed) {
    Word* link = operands[0] == kNone ? nullptr : Backend::get(reference(operands[0]));
    const uint32_t size = operands[1];
    Word* object = backend_.allocate(size, zeroed);
    if constexpr (Oracle::kIsOn) oracle_.began(object, size);
    fill(object, link, size, kMinLinking);
    bytes(name) = size;
    Backend::put(reference(name), object);
  }

  void reallocate(uint32_t name, const uint32_t* operands) {
    Word* link = operands[0] == kNone ? nullptr : Backend::get(reference(operands[0]));
    const uint32_t size = operands[1];
    Word* old = Backend::get(reference(name));
    const uint32_t old_bytes = bytes(name);
    read_back(old, old_bytes);
    if constexpr (Oracle::kIsOn) oracle_.ended(old);
    Word* object = backend_.reallocate(old, old_bytes, size);
    if constexpr (Oracle::kIsOn) oracle_.began(object, size);
    fill(object, link, size, old_bytes);
    bytes(name) = size;
    Backend::put(reference(name), object);
  }

  void free(uint32_t name) {
    Word* object = Backend::get(reference(name));
    read_back(object, bytes(name));
    if constexpr (Oracle::kIsOn) oracle_.ended(object);
    Backend::put(reference(name), nullptr);
    backend_.release(object);
  }

  // Writes tag and link, and the contents from byte `from` on.
  void fill(Word* object, Word* link, uint32_t size, uint32_t from) {
    const uint64_t tag = tag_of(next_object_++);
    const uint32_t words = size / 8;
    if (words >= 1) object[0].bits = tag;
    if (words >= 2) Backend::init_link(object[1], link);
    for (uint32_t i = std::max(from / 8, 2u); i < words; ++i) object[i].bits = tag ^ i;
    std::memcpy(reinterpret_cast<std::byte*>(object) + 8 * uint64_t{words}, &tag, size % 8);
  }

  void read_back(const Word* object, uint32_t size) {
    if constexpr (Oracle::kIsOn) oracle_.used(object);
    const uint32_t words = size / 8;
    uint64_t last = 0;
    if (words >= 1) note(object[0].bits);
    if (words >= 2) {
      const Word* link = Backend::get(object[1].link);
      if (link != nullptr) note(link->bits);
    }
    if (words >= 3) note(object[words - 1].bits);
    std::memcpy(&last, reinterpret_cast<const std::byte*>(object) + 8 * uint64_t{words}, size % 8);
    note(last);
  }

  void remember(uint32_t name, Word* object, uint32_t size, Window<Word>& window) {
    if constexpr (Oracle::kIsOn) oracle_.began(object, size);
    window.object[next_window_++ % kWindow] = object;
    bytes(name) = size;
    hidden(name) = ~reinterpret_cast<uintptr_t>(object);
  }

  void make(uint32_t name, const uint32_t* operands, Window<Word>& window) {
    const uint32_t size = operands[0];
    Word* object = backend_.allocate(size, true);
    remember(name, object, size, window);
    const uint64_t tag = tag_of(next_object_++);
    if (operands[1] != kNone) object[operands[1]].bits = tag;
    write_data(object, tag, operands[2], size);
  }

  void make_leaf(uint32_t name, uint32_t size, Window<Word>& window) {
    Word* object = backend_.allocate_leaf(size);
    remember(name, object, size, window);
    write_data(object, tag_of(next_object_++), 0, size);
  }

  static void write_data(Word* object, uint64_t tag, uint32_t from, uint32_t size) {
    const uint32_t words = size / 8;
    for (uint32_t i = from; i < words; ++i) object[i].bits = tag ^ (i == from ? 0 : i);
    std::memcpy(reinterpret_cast<std::byte*>(object) + 8 * uint64_t{words}, &tag, size % 8);
  }

  void end(uint32_t name, uint32_t tag_word) {
    Word* object = named(name);
    const uint32_t size = bytes(name);
    if (tag_word == kLeafTag) tag_word = size >= 8 ? 0 : kNone;
    if (tag_word != kNone) note(object[tag_word].bits);
    if (size % 8 != 0) note(static_cast<uint64_t>(reinterpret_cast<std::byte*>(object)[size - 1]));
    if constexpr (Oracle::kIsOn) oracle_.ended(object);
    hidden(name) = 0;
    backend_.release(object);
  }

  void wait(std::atomic<uint32_t>& signals, uint32_t wanted, Stalls& stalls) {
    constexpr int kSpins = 200;
    for (int i = 0; i < kSpins; ++i) {
      if (signals.load(std::memory_order_acquire) >= wanted) return;
      pause();
    }
    {
      const typename Backend::BlockingScope blocking;
      for (;;) {
        const uint32_t now = signals.load(std::memory_order_acquire);
        if (now >= wanted) break;
        signals.wait(now, std::memory_order_acquire);
      }
    }
    stalls.begin(ticks());
  }

  void note(uint64_t value) { checksum_ = checksum_ * 0x100000001b3u + value; }

  Shared<Backend>& shared_;
  Backend& backend_;
  Oracle& oracle_;
  const uint32_t* at_;
  const uint32_t* end_;
  uint64_t first_name_;
  uint64_t first_register_;
  Progress* progress_;
  uint32_t lane_;
  uint64_t next_object_;
  uint32_t next_window_ = 0;
  uint64_t checksum_ = 0;
};

template <typename Backend, typename Oracle = NoOracle>
class Replayer {
 public:
  using Word = typename Backend::Word;
  using Code = std::vector<std::span<const uint32_t>>;  // by lane

  Replayer(Backend& backend, const ProgramInfo& program, Code code, uint64_t copies, Oracle& oracle)
      : program_(program),
        code_(std::move(code)),
        copies_(copies),
        oracle_(oracle),
        shared_(backend, program, copies) {}

  // Runs every copy of the program once, from an empty heap to an empty heap.
  void run(Stalls& stalls) {
    for (Progress& progress : shared_.progress) {
      progress.signals.store(0, std::memory_order_relaxed);
    }
    std::vector<Runner<Backend, Oracle>> runners;
    for (uint64_t copy = 0; copy < copies_; ++copy) {
      for (uint32_t lane = 0; lane < program_.lanes; ++lane) {
        runners.emplace_back(shared_, program_, code_[lane], copy, lane, oracle_);
      }
    }
    if (program_.lanes == 1) {
      take_turns(runners, stalls);
    } else {
      run_threads(runners, stalls);
    }
    for (const auto& runner : runners) checksum_ = checksum_ * 31 + runner.checksum();
  }

  uint64_t checksum() const { return checksum_; }

 private:
  void take_turns(std::vector<Runner<Backend, Oracle>>& runners, Stalls& stalls) {
    // On this thread's stack, one for each copy.
    auto* windows =
        static_cast<Window<Word>*>(__builtin_alloca(runners.size() * sizeof(Window<Word>)));
    for (size_t i = 0; i < runners.size(); ++i) ::new (windows + i) Window<Word>();
    while (!runners.back().is_done()) {
      for (size_t i = 0; i < runners.size(); ++i) {
        runners[i].run(kTurn, windows[i], stalls);
        if constexpr (Oracle::kIsOn) {
          while (!runners[i].is_between_steps()) runners[i].run(1, windows[i], stalls);
          oracle_.turn_ended();
        }
      }
    }
  }

  void run_threads(std::vector<Runner<Backend, Oracle>>& runners, Stalls& stalls) {
    std::vector<Stalls> own(runners.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < runners.size(); ++i) {
      threads.emplace_back([&runner = runners[i], &mine = own[i]] {
        const typename Backend::ThreadScope scope;
        Window<Word> window;
        mine.begin(ticks());
        runner.run(~uint64_t{0}, window, mine);
      });
    }
    {
      const typename Backend::BlockingScope blocking;
      for (std::thread& thread : threads) thread.join();
    }
    for (const Stalls& mine : own) stalls.include(mine);
    stalls.begin(ticks());
  }

  const ProgramInfo& program_;
  Code code_;
  uint64_t copies_;
  Oracle& oracle_;
  Shared<Backend> shared_;
  uint64_t checksum_ = 0;
};

// The replayer's own part of the time: the same walk over the code and the same clock readings, no
// heap.
inline uint64_t decode_only(const ProgramInfo& program,
                            const std::vector<std::span<const uint32_t>>& code, uint64_t copies,
                            Stalls& stalls) {
  std::vector<uint64_t> names(program.names * copies);
  uint64_t checksum = 0;
  for (uint64_t copy = 0; copy < copies; ++copy) {
    for (const std::span<const uint32_t> lane : code) {
      uint64_t operations = 0;
      for (const uint32_t* at = lane.data(); at != lane.data() + lane.size();) {
        const Op op = op_of(*at);
        const uint64_t first = copy * program.names;
        switch (op) {
          case Op::kAlloc:
          case Op::kAllocZeroed:
          case Op::kRealloc:
            names[first + number_of(*at)] = at[2] ^ at[1];
            break;
          case Op::kNew:
          case Op::kNewLeaf:
            names[first + number_of(*at)] = ~uint64_t{at[1]};
            break;
          case Op::kFree:
          case Op::kEnd:
            checksum = checksum * 0x100000001b3u + names[first + number_of(*at)];
            break;
          case Op::kStore:
            checksum += names[first + number_of(*at)] ^ at[1];
            if (at[2] != kNone) checksum += names[first + at[2]];
            break;
          case Op::kRoot:
            if (at[1] != kNone) checksum += names[first + at[1]];
            break;
          case Op::kSignal:
          case Op::kWait:
            break;
        }
        at += words_of(op);
        if (++operations % kClocked == 0) stalls.operations_ended(ticks());
      }
    }
  }
  return checksum;
}

}  // namespace bench::replay
