#pragma once

// Orders: what TRICOLOR_PROFILE asks for.
//
//   TRICOLOR_PROFILE=WHAT[@WHEN]:PATH[,...]   WHAT: heap, allocs, lifetimes, cpu, timeline
//                                             WHEN: exit (as without), a signal's name, or seconds as in 30s
//
// In a path %p stands for the process's id, and %n for how many have been written.
// Threads: any; touches nothing but its arguments.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/options.h"

namespace tricolor::observe {

enum class OrderKind : uint8_t { kHeap, kAllocs, kLifetimes, kCpu, kTimeline };

struct Order {
  OrderKind kind = OrderKind::kHeap;
  int signal = 0;        // on each
  int64_t every_ns = 0;  // so often
  std::string path;      // neither: at exit
  bool at_exit() const noexcept { return signal == 0 && every_ns == 0; }
};

// What is not understood is reported and left out. std::bad_alloc.
std::vector<Order> parse_orders(std::string_view text, const runtime::OptionReporter& report);

// The path with its %p and %n.
std::string path_of(const Order& order, int pid, uint64_t number);

}  // namespace tricolor::observe
