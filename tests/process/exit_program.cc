// Ends with roots, weak references and threads still there; the way is chosen by the first
// argument.
//
//     exit_program return | exit | quick | detached | collecting | finalizers | in-thread |
//                  early-static | late-static | late-static-in-thread
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

gc::root<Item> early;
std::map<std::string, gc::root<Item>> table;
thread_local std::vector<gc::root<Item>> local;

// Destroyed after `table` and `local`: allocation and references still work then.
struct AtExit {
  ~AtExit() {
    const gc::root<Item> late = make_list(10);
    if (!check_list(late, 10) || !early->intact()) std::_Exit(40);
  }
} at_exit;

struct Destructible {
  ~Destructible() {
    std::atexit([] {});
  }
  std::string text = "destroyed or not, never half";
};

void fill() {
  early = make_list(100);
  for (int i = 0; i < 100; ++i)
    table[std::to_string(i)] = gc::make<Item>(static_cast<std::uint64_t>(i));
  for (int i = 0; i < 100; ++i) local.emplace_back(gc::make<Item>(static_cast<std::uint64_t>(i)));
}

// What destructors of collected objects use: none may begin once it is gone, whenever it was made.
struct Register {
  std::map<int, int> counts;
  ~Register() {
    gone = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time for one that would begin
    if (begun_too_late) std::_Exit(42);
  }
  static inline std::atomic<bool> gone{false};
  static inline std::atomic<bool> begun_too_late{false};
};
Register early_register;
Register& late_register() {
  static Register instance;
  return instance;
}

struct Registered {
  explicit Registered(Register* r) : where(r) {}
  ~Registered() {
    if (Register::gone) {
      Register::begun_too_late = true;
      return;
    }
    for (int i = 0; i < 20; ++i) ++where->counts[i];
  }
  Register* where;
};

void leave_registered(Register& where) {
  for (int i = 0; i < 50'000; ++i) gc::keep_alive(gc::make<Registered>(&where));
  runtime::collect();  // queued, and most of them have not run
}

void start_busy_threads(int count) {
  for (int t = 0; t < count; ++t) {
    std::thread([] {
      const gc::root<Item> list = make_list(100);
      for (;;) make_garbage(1 << 16);
    }).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view way = argc > 1 ? argv[1] : "return";
  fill();
  if (way == "exit") std::exit(7);
  if (way == "quick") std::quick_exit(7);
  if (way == "detached") {
    start_busy_threads(4);
    make_garbage(4 << 20);
    return 7;
  }
  if (way == "collecting") {
    start_busy_threads(2);
    std::thread([] {
      for (;;) runtime::collect();
    }).detach();
    make_garbage(16 << 20);
    return 7;
  }
  if (way == "finalizers") {
    for (int i = 0; i < 20'000; ++i) {
      gc::keep_alive(gc::make<Destructible>());
      gc::set_finalizer(gc::make<Item>(1), [](Item* item) {
        if (!item->intact()) std::_Exit(41);
      });
    }
    runtime::collect();  // queued, and most of them not run when the program ends
    return 7;
  }
  if (way == "early-static") leave_registered(early_register);
  if (way == "late-static") leave_registered(late_register());
  if (way == "late-static-in-thread") {
    std::thread([] {
      leave_registered(late_register());
      std::exit(7);
    }).join();
  }
  if (way == "in-thread") {
    std::thread([] {
      fill();
      std::exit(7);
    }).join();
  }
  return 7;
}
