// Breaks the rules for references on purpose, one way per mode; prints the places concerned.
//
//     lost_program malloc   a raw pointer in malloc memory
//     lost_program global   a raw pointer in a global variable
//     lost_program thread   a raw pointer handed to another thread through std::thread's arguments
//     lost_program again    loses three objects, one after the other, in one place
//     lost_program none     keeps the rules
//     lost_program signal   keeps the rules, and answers on a signal stack
#include <sys/mman.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

Item* global_place = nullptr;

// Stores only here, so that no stack has the address when this returns.
[[gnu::noinline]] void store_into(Item* volatile* place) {
  std::thread([place] { *place = gc::make<Item>(7); }).join();
}

// Objects that die with weak references, finalizers and cleanups: the library's own records of them
// are no references.
void leave_watched(std::vector<gc::weak<Item>>& watchers) {
  for (std::uint64_t i = 0; i < 300; ++i) {
    watchers.emplace_back(gc::make<Item>(i));
    gc::set_finalizer(gc::make<Item>(i), [](Item*) {});
    (void)gc::add_cleanup(
        gc::make<Item>(i), [](int) {}, 0);
  }
}

// The kernel lays the registers of what it interrupts on the signal stack, where they stay.
void answer_on_signal_stack() {
  constexpr std::size_t kBytes = 64 << 10;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack{};
  stack.ss_sp = memory;
  stack.ss_size = kBytes;
  stack_t before{};
  if (memory == MAP_FAILED || sigaltstack(&stack, &before) != 0) std::abort();
  for (int round = 0; round < 4; ++round) {
    std::atomic<bool> collected{false};
    std::thread other([&] {
      runtime::collect();
      collected = true;
    });
    const Item* const item = gc::make<Item>(7);
    while (!collected) asm volatile("" : : "r"(item));
    other.join();
    make_garbage(1u << 20);
    runtime::collect();
  }
  // The thread goes on with what it had; the memory stays mapped.
  sigaltstack(&before, nullptr);
}

void collect_and_print(const void* place) {
  std::printf("place %p\n", place);
  std::fflush(stdout);
  runtime::collect();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "none";
  if (mode == "malloc") {
    Item** const place = static_cast<Item**>(std::calloc(1, 64));
    store_into(place);
    collect_and_print(place);
  } else if (mode == "global") {
    store_into(&global_place);
    collect_and_print(&global_place);
  } else if (mode == "thread") {
    std::atomic<bool> stop{false};
    std::thread thread;
    // The maker starts the thread with a raw pointer, which only the new thread's shared state then
    // holds. That thread waits without ever using the runtime, so its stack is not scanned.
    std::thread([&] {
      thread = std::thread(
          [&stop](Item* item) {
            while (!stop) std::this_thread::yield();
            asm volatile("" : : "r"(item));
          },
          gc::make<Item>(7));
    }).join();
    runtime::collect();
    stop = true;
    thread.join();
  } else if (mode == "again") {
    Item** const place = static_cast<Item**>(std::calloc(1, 64));
    for (int i = 0; i < 3; ++i) {
      store_into(place);
      collect_and_print(place);
    }
  } else if (mode == "signal") {
    answer_on_signal_stack();
  } else {
    const gc::root<Item> list = make_list(1000);
    std::vector<gc::weak<Item>> watchers;
    for (int round = 0; round < 4; ++round) {
      std::thread([&] { leave_watched(watchers); }).join();
      make_garbage(1u << 20);
      runtime::collect();
      runtime::wait_for_finalizers();
    }
    return finish(check_list(list, 1000));
  }
  return 0;
}
