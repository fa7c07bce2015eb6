// What becomes of reports in a process of its own; prints what a handler hears.
//
//     reports_program collect    a lost reference (GODEBUG=findlost=1), found by collect()
//     reports_program automatic  the same, found by a cycle that nobody waits for
//     reports_program exit       a finding that waits as the program ends
//     reports_program fork       one in the parent, one in its child
//     reports_program mistake    a report with a stack, and no handler
//     reports_program pointer    a gc::ptr in memory that is not traced (the checking build)
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "runtime/finding.h"
#include "tests/process/program_support.hpp"

#include <tricolor/debug.hpp>

using namespace tricolor::tests;

namespace {

std::atomic<int> heard{0};

void print(const debug::Report& report) {
  const Item* const made = gc::make<Item>(1);  // a handler may
  std::printf("%s: %s", report.kind.c_str(), debug::describe(report).c_str());
  std::fflush(stdout);
  gc::keep_alive(made);
  ++heard;
}

[[gnu::noinline]] void store_into(Item* volatile* place) {
  std::thread([place] { *place = gc::make<Item>(7); }).join();
}

[[gnu::noinline]] void make_mistake() {
  runtime::report_here("rule 2", "rule 2: a mistake");
  asm volatile("" ::: "memory");
}

[[gnu::noinline]] void place_pointer() {
  auto* const pointer = new gc::ptr<Item>(gc::make<Item>(1));
  asm volatile("" : : "r"(pointer) : "memory");
}

int lose(bool collects) {
  Item** const place = static_cast<Item**>(std::calloc(1, 64));
  store_into(place);
  std::printf("place %p\n", static_cast<void*>(place));
  std::fflush(stdout);
  if (collects) {
    runtime::collect();
    return heard > 0 ? 0 : 1;
  }
  for (int i = 0; i < 5000 && heard == 0; ++i) {
    make_garbage(1u << 20);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return heard > 0 ? 0 : 1;
}

int fork_with_handler() {
  runtime::report_found("findlost", {}, "in the parent");
  runtime::collect();
  const int before = heard;
  const pid_t child = fork();
  if (child == 0) {
    runtime::report_found("findlost", {}, "in the child");
    runtime::collect();
    std::exit(heard == before + 1 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  runtime::collect();
  return status == 0 && heard == before ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  runtime::attach_thread();
  if (mode == "mistake") {
    make_mistake();
    return 0;
  }
  debug::set_report_handler(print);
  if (mode == "collect" || mode == "automatic") return lose(mode == "collect");
  if (mode == "fork") return fork_with_handler();
  if (mode == "pointer") place_pointer();
  if (mode == "exit") runtime::report_found("findlost", {}, "at the end");
  return 0;
}
