#pragma once

// ask_once: what the system answers the same each time, asked until it is known.
//
// `found` keeps the answer; zero is "not asked yet". Who comes meanwhile asks too: the guard of a
// static would be left locked in the child of a fork().
// Threads: any. Relaxed: all find the same.

#include <atomic>

namespace tricolor::runtime {

template <class T, class Ask>
T ask_once(std::atomic<T>& found, Ask ask) noexcept {
  T answer = found.load(std::memory_order_relaxed);
  if (answer == T{}) found.store(answer = ask(), std::memory_order_relaxed);
  return answer;
}

}  // namespace tricolor::runtime
