#pragma once

// Replay: runs a program on a backend. The same code for every backend, so that they differ in
// nothing but the heap.
//
// A backend is a class with
// Word                       a union of `uint64_t bits` and `Ref link`, 8 bytes, of which objects
// are made
//   Page                       a heap object with `Ref slot[kSlotsPerPage]`
//   Directory                  what finds page i: page(i) -> Page*, slow to make, quick to read
//   static Word* get(const Ref&)          what a reference leads to
//   static void put(Ref&, Word*)          a store into the heap, barrier included
//   static void init_link(Word&, Word*)   the first store into an object's link
//   Word* allocate(size_t bytes, bool zeroed)
//   Word* reallocate(Word*, size_t old_bytes, size_t bytes)   contents kept up to the smaller size
//   void release(Word*)                   the recorded free; collectors do nothing
//   uint64_t collections() const
//
// What an operation does to the heap, the same everywhere:
// allocate    writes every byte: word 0 a tag, word 1 the link, the rest from the tag; stores into
// the holder
//   reallocate  writes tag, link and every byte that is new; stores into the holder
//   free        reads tag, last word and the tag of the linked object; clears the holder's slot
// What is read goes into the checksum, which depends on the program alone: a heap that reclaims or
// moves what is alive gives another one. Data words have the top bit set, so none can be mistaken
// for an address.
//
// [replay.no-table]  no memory but the heap's own holds a reference for longer than one operation;
// the
//                    holder's slot is cleared at the object's recorded end.
//
// Threads: one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "bench/replay/clock.h"
#include "bench/replay/measure.h"
#include "bench/replay/program.h"

namespace bench::replay {

inline constexpr uint32_t kSlotsPerPage = 512;

// Copies of the program that run at the same time take turns of this many operations.
inline constexpr uint64_t kTurn = 256;

constexpr uint64_t tag_of(uint64_t object) {
  return uint64_t{1} << 63 | (object * 0x9e3779b97f4a7c15u) >> 1;
}

template <typename Backend>
class Replayer {
 public:
  using Word = typename Backend::Word;

  Replayer(Backend& backend, const ProgramInfo& program, std::span<const uint32_t> code,
           uint64_t copies)
      : backend_(backend),
        program_(program),
        code_(code),
        copies_(copies),
        directory_((program.slots * copies + kSlotsPerPage - 1) / kSlotsPerPage),
        bytes_(program.slots * copies) {}

  // Runs every copy of the program once, from an empty heap to an empty heap.
  void run(Stalls& stalls) {
    struct Copy {
      const uint32_t* at;
      uint64_t first_slot;
    };
    std::vector<Copy> copies(copies_);
    for (uint64_t i = 0; i < copies_; ++i) copies[i] = {code_.data(), i * program_.slots};
    for (uint64_t done = 0; done < program_.operations; done += kTurn) {
      const uint64_t turn = std::min(kTurn, program_.operations - done);
      for (Copy& copy : copies) copy.at = run_turn(copy.at, copy.first_slot, turn, stalls);
    }
  }

  uint64_t checksum() const { return checksum_; }

 private:
  const uint32_t* run_turn(const uint32_t* at, uint64_t first_slot, uint64_t operations,
                           Stalls& stalls) {
    for (; operations > 0; --operations) {
      const Op op = op_of(*at);
      const uint64_t slot = first_slot + slot_of(*at);
      if (op == Op::kFree) {
        free(slot);
        at += 1;
      } else {
        Word* link = at[1] == kNoLink ? nullptr : Backend::get(ref(first_slot + at[1]));
        if (op == Op::kRealloc) {
          reallocate(slot, link, at[2]);
        } else {
          allocate(slot, link, at[2], op == Op::kAllocZeroed);
        }
        at += 3;
      }
      if (operations % kClocked == 1) stalls.operations_ended(ticks());
    }
    return at;
  }

  auto& ref(uint64_t slot) {
    return directory_.page(slot / kSlotsPerPage)->slot[slot % kSlotsPerPage];
  }

  void allocate(uint64_t slot, Word* link, uint32_t bytes, bool zeroed) {
    Word* object = backend_.allocate(bytes, zeroed);
    fill(object, link, bytes, kMinLinking);
    bytes_[slot] = bytes;
    Backend::put(ref(slot), object);
  }

  void reallocate(uint64_t slot, Word* link, uint32_t bytes) {
    Word* old = Backend::get(ref(slot));
    const uint32_t old_bytes = bytes_[slot];
    read_back(old, old_bytes);
    Word* object = backend_.reallocate(old, old_bytes, bytes);
    fill(object, link, bytes, old_bytes);
    bytes_[slot] = bytes;
    Backend::put(ref(slot), object);
  }

  void free(uint64_t slot) {
    Word* object = Backend::get(ref(slot));
    read_back(object, bytes_[slot]);
    Backend::put(ref(slot), nullptr);
    backend_.release(object);
  }

  // Writes tag and link, and the contents from byte `from` on.
  void fill(Word* object, Word* link, uint32_t bytes, uint32_t from) {
    const uint64_t tag = tag_of(next_object_++);
    const uint32_t words = bytes / 8;
    if (words >= 1) object[0].bits = tag;
    if (words >= 2) Backend::init_link(object[1], link);
    for (uint32_t i = std::max(from / 8, 2u); i < words; ++i) object[i].bits = tag ^ i;
    std::memcpy(reinterpret_cast<std::byte*>(object) + 8 * uint64_t{words}, &tag, bytes % 8);
  }

  void read_back(const Word* object, uint32_t bytes) {
    const uint32_t words = bytes / 8;
    uint64_t last = 0;
    if (words >= 1) note(object[0].bits);
    if (words >= 2) {
      const Word* link = Backend::get(object[1].link);
      if (link != nullptr) note(link->bits);
    }
    if (words >= 3) note(object[words - 1].bits);
    std::memcpy(&last, reinterpret_cast<const std::byte*>(object) + 8 * uint64_t{words}, bytes % 8);
    note(last);
  }

  void note(uint64_t value) { checksum_ = checksum_ * 0x100000001b3u + value; }

  Backend& backend_;
  const ProgramInfo& program_;
  std::span<const uint32_t> code_;
  uint64_t copies_;
  typename Backend::Directory directory_;
  std::vector<uint32_t> bytes_;  // by slot
  uint64_t next_object_ = 0;
  uint64_t checksum_ = 0;
};

// The replayer's own part of the time: the same walk over the code and the same clock readings, no
// heap.
inline uint64_t decode_only(const ProgramInfo& program, std::span<const uint32_t> code,
                            uint64_t copies, Stalls& stalls) {
  std::vector<uint32_t> bytes(program.slots * copies);
  uint64_t checksum = 0;
  for (uint64_t copy = 0; copy < copies; ++copy) {
    const uint32_t* at = code.data();
    for (uint64_t left = program.operations; left > 0; --left) {
      const uint64_t slot = copy * program.slots + slot_of(*at);
      if (op_of(*at) == Op::kFree) {
        checksum = checksum * 0x100000001b3u + bytes[slot];
        at += 1;
      } else {
        bytes[slot] = at[2] ^ at[1];
        at += 3;
      }
      if (left % kClocked == 1) stalls.operations_ended(ticks());
    }
  }
  return checksum;
}

}  // namespace bench::replay
