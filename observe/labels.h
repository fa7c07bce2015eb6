#pragma once

// Labels: the labels of a sample, by number.
//
// A thread's debug::label objects form a chain on its stack; the chain is looked at only where a
// sample is taken. Sets of labels are kept as (outer set, key, value), each once, as long as there
// is room: what is beyond gets the outer set's number.
// Threads: any, in a runtime section; numbers are valid from whoever gave them.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "observe/arena.h"
#include "runtime/base/lock.h"

#include <tricolor/label.hpp>

namespace tricolor::observe {

class Labels {
 public:
  struct Set {
    const Set* outer = nullptr;
    const Set* next = nullptr;  // in a row of table_
    uint32_t hash = 0;
    std::string_view key;
    std::string_view value;
  };

  // What the calling thread's allocations carry; nullptr: nothing. May run in a signal handler if
  // the handler's thread is not inside this.
  const Set* current() noexcept;

 private:
  static constexpr size_t kRows = 1024;
  static constexpr size_t kMostSets = size_t{1} << 16;

  const Set* find(const debug::label& label, const Set* outer) noexcept;

  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_.
  Arena arena_;
  size_t count_ = 0;
  const Set* table_[kRows] = {};
};

extern Labels& g_labels;

// The innermost label of the calling thread.
extern constinit thread_local const debug::label* t_label
    __attribute__((tls_model("initial-exec")));

}  // namespace tricolor::observe
