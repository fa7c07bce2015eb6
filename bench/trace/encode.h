#pragma once

// ChunkEncoder: turns the events of one thread into the raw payload of one chunk, inside buffers
// that its owner provides. It never allocates, locks or throws, so the recorder uses it from within
// malloc.
//
// [encode.rising]  tickets of one chunk rise strictly.
// [encode.room]    the owner asks has_room() before every event; an event is never split between
// chunks.
// Threads: an encoder belongs to whoever holds its owner's lock.

#include <cassert>
#include <initializer_list>
#include <span>

#include "bench/trace/format.h"
#include "bench/trace/varint.h"

namespace bench::trace {

class ChunkEncoder {
 public:
  // `payload` takes the events and, once finished, the order section behind them; `order` is
  // scratch.
  ChunkEncoder(std::span<std::byte> payload, std::span<std::byte> order)
      : payload_(payload), order_(order) {
    assert(payload.size() <= kMaxRawBytes && payload.size() > order.size());
  }

  bool empty() const { return events_ == 0; }

  // Room for one event with `operands` varints and `extra` plain bytes?
  bool has_room(size_t operands, size_t extra = 0) const {
    const size_t event = 1 + operands * kMaxVarint + extra;
    return used_ + event + order_.size() <= payload_.size() &&
           order_used_ + 2 * kRunBytes <= order_.size();
  }

  void add(uint64_t ticket, Kind kind, std::initializer_list<uint64_t> operands) {
    assert(has_room(operands.size()));
    note_ticket(ticket);
    std::byte* p = payload_.data() + used_;
    *p++ = static_cast<std::byte>(kind);
    for (const uint64_t operand : operands) p = put_varint(p, operand);
    used_ = static_cast<size_t>(p - payload_.data());
    ++events_;
  }

  // Plain bytes that belong to the event just added.
  void add_bytes(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(payload_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }

  // One more varint of the event just added.
  void add_operand(uint64_t value) {
    used_ = static_cast<size_t>(put_varint(payload_.data() + used_, value) - payload_.data());
  }

  // Completes the payload and fills in everything but what compression decides.
  std::span<const std::byte> finish(ChunkHeader& header) {
    close_run();
    std::memcpy(payload_.data() + used_, order_.data(), order_used_);
    header.first_ticket = first_ticket_;
    header.events = events_;
    header.order_bytes = static_cast<uint32_t>(order_used_);
    header.raw_bytes = static_cast<uint32_t>(used_ + order_used_);
    return payload_.first(used_ + order_used_);
  }

  void reset() {
    used_ = 0;
    order_used_ = 0;
    events_ = 0;
    run_length_ = 0;
  }

 private:
  static constexpr size_t kRunBytes = 2 * kMaxVarint;

  void note_ticket(uint64_t ticket) {
    if (events_ == 0) {
      first_ticket_ = run_start_ = previous_end_ = ticket;
    } else if (ticket != run_start_ + run_length_) {
      assert(ticket > run_start_ + run_length_);
      close_run();
      run_start_ = ticket;
    }
    ++run_length_;
  }

  void close_run() {
    std::byte* p = put_varint(order_.data() + order_used_, run_start_ - previous_end_);
    p = put_varint(p, run_length_);
    order_used_ = static_cast<size_t>(p - order_.data());
    previous_end_ = run_start_ + run_length_;
    run_length_ = 0;
  }

  std::span<std::byte> payload_;
  std::span<std::byte> order_;
  size_t used_ = 0;
  size_t order_used_ = 0;
  uint32_t events_ = 0;
  uint64_t first_ticket_ = 0;
  uint64_t previous_end_ = 0;
  uint64_t run_start_ = 0;
  uint64_t run_length_ = 0;
};

}  // namespace bench::trace
