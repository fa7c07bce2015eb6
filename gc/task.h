#pragma once

// Task: a finalizer or cleanup, from when it is asked for until it has run.
//
// [task.no-memory]  it is allocated when it is asked for, so that the death of an object needs no memory: its tasks
//                   only move from its record to the finalizer thread's queue.
// Its function is destroyed outside of runtime sections and locks: what it holds is the program's.
// Threads: whatever guards the list.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "runtime/base/memory.h"

namespace tricolor::gc {

struct Task : runtime::FromMalloc {
  explicit Task(std::function<void()> f) : run(std::move(f)) {}

  Task* next = nullptr;  // in a TaskList
  // ~address of the object that a finalizer is called with: what is left behind is no reference.
  uintptr_t hidden = kNone;
  uint64_t number = 0;  // of a cleanup
  // A finalizer that runs though a cycle may lead back to its object.
  bool in_cycles = false;
  std::function<void()> run;

  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  char* object() const noexcept { return reinterpret_cast<char*>(~hidden); }
  static constexpr uintptr_t kNone = ~uintptr_t{0};  // of nullptr
};

// Owns its tasks, in order.
class TaskList {
 public:
  constexpr TaskList() noexcept = default;
  TaskList(TaskList&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)),
        last_(std::exchange(other.last_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  TaskList& operator=(TaskList&& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(last_, other.last_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~TaskList() {
    while (pop()) continue;
  }

  Task* first() const noexcept { return first_; }
  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return first_ == nullptr; }

  void push(std::unique_ptr<Task> task) noexcept {
    Task* const added = task.release();
    added->next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = added;
    last_ = added;
    ++size_;
  }
  std::unique_ptr<Task> pop() noexcept {
    std::unique_ptr<Task> task(first_);
    if (task == nullptr) return task;
    first_ = task->next;
    if (first_ == nullptr) last_ = nullptr;
    --size_;
    return task;
  }
  // All of `other`, which is empty afterwards.
  void append(TaskList& other) noexcept {
    if (other.empty()) return;
    (last_ == nullptr ? first_ : last_->next) = other.first_;
    last_ = std::exchange(other.last_, nullptr);
    size_ += std::exchange(other.size_, 0);
    other.first_ = nullptr;
  }
  // The cleanup of that number, if it is in the list.
  std::unique_ptr<Task> take(uint64_t number) noexcept {
    for (Task *at = first_, *before = nullptr; at != nullptr; before = at, at = at->next) {
      if (at->number != number) continue;
      (before == nullptr ? first_ : before->next) = at->next;
      if (last_ == at) last_ = before;
      --size_;
      return std::unique_ptr<Task>(at);
    }
    return nullptr;
  }

 private:
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tricolor::gc
