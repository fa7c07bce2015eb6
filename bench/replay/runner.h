#pragma once

// Runner: does on a backend what a walk (walk.h) says. The same code for every backend, so that they
// differ in nothing but the heap.
//
// A backend is a class with
//   Word                       a union of `uint64_t bits` and `Ref link`, 8 bytes, of which objects
//                              are made
//   Page                       a heap object with `Ref slot[kSlotsPerPage]`, words as an object's
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
// Threads: a Runner belongs to one thread.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/replay/checksum.h"
#include "bench/replay/clock.h"
#include "bench/replay/measure.h"
#include "bench/replay/no_oracle.h"
#include "bench/replay/program.h"
#include "bench/replay/walk.h"

namespace bench::replay {

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
        directory(program.pages() * copies),
        hidden(hidden_names(program) * copies, ~uintptr_t{0}),
        progress(program.lanes * copies) {
    for (uint64_t page = 0; page < program.pages() * copies; ++page) {
      const uint64_t copy = page / program.pages();
      uintptr_t* const names = hidden.data() + copy * hidden_names(program) + program.names + 1;
      names[page % program.pages()] = ~reinterpret_cast<uintptr_t>(directory.page(page));
    }
  }

  Backend& backend;
  typename Backend::Directory directory;
  std::vector<uintptr_t> hidden;  // by name, see Place
  std::vector<Progress> progress;
};

template <typename Backend, typename Oracle = NoOracle>
class Runner {
 public:
  using Word = typename Backend::Word;

  Runner(Shared<Backend>& shared, const ProgramInfo& program, uint64_t copy, uint32_t lane,
         Oracle& oracle, Stalls& stalls)
      : shared_(&shared),
        backend_(&shared.backend),
        oracle_(&oracle),
        stalls_(&stalls),
        progress_(shared.progress.data() + copy * program.lanes),
        first_page_(copy * program.pages()),
        next_object_((copy * program.lanes + lane) << 40),
        lane_(lane),
        names_(program.names) {}

  uint64_t checksum() const { return checksum_.value(); }

  void allocate(uint32_t name, uint32_t link_name, uint32_t size, bool zeroed) {
    Word* link = link_name == kNone ? nullptr : Backend::get(reference(link_name));
    Word* object = backend_->allocate(size, zeroed);
    if constexpr (Oracle::kIsOn) oracle_->began(object, size);
    fill(object, link, size, kMinLinking);
    Backend::put(reference(name), object);
  }

  void reallocate(uint32_t name, uint32_t link_name, uint32_t size, uint32_t old_size) {
    Word* link = link_name == kNone ? nullptr : Backend::get(reference(link_name));
    Word* old = Backend::get(reference(name));
    read_back(old, old_size);
    if constexpr (Oracle::kIsOn) oracle_->ended(old);
    Word* object = backend_->reallocate(old, old_size, size);
    if constexpr (Oracle::kIsOn) oracle_->began(object, size);
    fill(object, link, size, old_size);
    Backend::put(reference(name), object);
  }

  void free(uint32_t name, uint32_t size) {
    Word* object = Backend::get(reference(name));
    read_back(object, size);
    if constexpr (Oracle::kIsOn) oracle_->ended(object);
    Backend::put(reference(name), nullptr);
    backend_->release(object);
  }

  Word* make(const Shape& shape, bool is_leaf) {
    const uint32_t size = shape.bytes;
    Word* object = is_leaf ? backend_->allocate_leaf(size) : backend_->allocate(size, true);
    if constexpr (Oracle::kIsOn) oracle_->began(object, size);
    const uint64_t tag = tag_of(next_object_++);
    if (!is_leaf && shape.tag_word != kNone) object[shape.tag_word].bits = tag;
    write_data(object, tag, shape.data_from, size);
    return object;
  }

  void used(uint32_t name, Word* object) {
    if constexpr (Oracle::kIsOn) {
      if (name != 0 && name <= names_) oracle_->used(object);
    }
  }

  void store(Word* object, uint32_t word, Word* target) { Backend::put(object[word].link, target); }

  void end(Word* object, const Shape& shape) {
    const uint32_t size = shape.bytes;
    if (shape.tag_word != kNone) checksum_.note(object[shape.tag_word].bits);
    if (size % 8 != 0) {
      checksum_.note(static_cast<uint64_t>(reinterpret_cast<std::byte*>(object)[size - 1]));
    }
    if constexpr (Oracle::kIsOn) oracle_->ended(object);
    backend_->release(object);
  }

  void signal() {
    progress_[lane_].signals.fetch_add(1, std::memory_order_release);
    progress_[lane_].signals.notify_all();
  }

  void wait(uint32_t lane, uint32_t wanted) {
    constexpr int kSpins = 200;
    std::atomic<uint32_t>& signals = progress_[lane].signals;
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
    stalls_->begin(ticks());
  }

  void clock() { stalls_->operations_ended(ticks()); }

 private:
  auto& reference(uint32_t number) {
    return shared_->directory.page(first_page_ + number / kSlotsPerPage)
        ->slot[number % kSlotsPerPage];
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

  // One step of the checksum for all of it.
  void read_back(const Word* object, uint32_t size) {
    if constexpr (Oracle::kIsOn) oracle_->used(object);
    const uint32_t words = size / 8;
    uint64_t read = 0;
    std::memcpy(&read, reinterpret_cast<const std::byte*>(object) + 8 * uint64_t{words}, size % 8);
    if (words >= 1) read += object[0].bits;
    if (words >= 2) {
      const Word* link = Backend::get(object[1].link);
      if (link != nullptr) read += std::rotl(link->bits, 21);
    }
    if (words >= 3) read += std::rotl(object[words - 1].bits, 42);
    checksum_.note(read);
  }

  static void write_data(Word* object, uint64_t tag, uint32_t from, uint32_t size) {
    const uint32_t words = size / 8;
    for (uint32_t i = from; i < words; ++i) object[i].bits = tag ^ (i == from ? 0 : i);
    std::memcpy(reinterpret_cast<std::byte*>(object) + 8 * uint64_t{words}, &tag, size % 8);
  }

  Shared<Backend>* shared_;
  Backend* backend_;
  Oracle* oracle_;
  Stalls* stalls_;
  Progress* progress_;
  uint64_t first_page_;
  uint64_t next_object_;
  uint32_t lane_;
  uint32_t names_;
  Checksum checksum_;
};

}  // namespace bench::replay
