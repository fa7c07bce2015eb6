// Forks while another thread makes its first use of the heap: the child finds a runtime that is
// there, or one that has not begun. ROUNDS processes, each of which forks a little later.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "tests/process/program_support.hpp"

namespace tricolor::tests {
namespace {

using std::chrono::steady_clock;

// Exit codes: the child's is its parent's too.
constexpr int kDamaged = 1;
constexpr int kHung = 2;
constexpr int kNoProcess = 3;

constexpr unsigned kPatienceSeconds = 60;

// Uses the heap with its first item, no sooner.
sync::Pool<Item> g_pool({.new_fn = [] { return gc::make<Item>(1); }});

bool use_heap() {
  const Item* const head = make_list(100);
  Item* const pooled = g_pool.get();
  const bool whole = pooled->intact();
  g_pool.put(pooled);
  runtime::collect();
  return check_list(head, 100) && whole && g_pool.get()->intact();
}

int outcome_of(pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return kNoProcess;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kHung;
}

// In a process that has not used the heap yet.
int fork_after(std::chrono::nanoseconds pause) {
  std::atomic<bool> begins{false};
  bool whole = false;
  std::thread other([&] {
    begins = true;
    whole = use_heap();
  });
  while (!begins) {
  }
  for (const auto end = steady_clock::now() + pause; steady_clock::now() < end;) {
  }
  const pid_t child = fork();
  if (child == 0) {
    alarm(kPatienceSeconds);
    _exit(use_heap() ? 0 : kDamaged);
  }
  const int outcome = outcome_of(child);
  other.join();
  return whole && use_heap() ? outcome : kDamaged;
}

}  // namespace
}  // namespace tricolor::tests

using namespace tricolor::tests;

int main(int argc, char** argv) {
  const std::size_t rounds = argument(argc, argv, 1, 300);
  for (std::size_t round = 0; round < rounds; ++round) {
    // From within the start to well behind it.
    const auto pause = std::chrono::microseconds(round % 100 * 5);
    const pid_t child = fork();
    if (child == 0) {
      alarm(2 * kPatienceSeconds);
      _exit(fork_after(pause));
    }
    if (const int outcome = outcome_of(child); outcome != 0) {
      std::printf("round %zu: %s\n", round,
                  outcome == kHung ? "the child hangs" : "damaged, or no process");
      return 1;
    }
  }
  return finish(true);
}
