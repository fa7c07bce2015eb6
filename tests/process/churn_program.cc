// Builds a live list, makes garbage on two threads, collects, and checks the list.
//
//     churn_program [live items] [MiB of garbage per thread] [forced collections]
#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

int main(int argc, char** argv) {
  const std::size_t live = argument(argc, argv, 1, 10'000);
  const std::size_t garbage = argument(argc, argv, 2, 16) << 20;
  const std::size_t forced = argument(argc, argv, 3, 2);
  const gc::root<Item> list = make_list(live);
  std::thread other([garbage] { make_garbage(garbage); });
  make_garbage(garbage);
  other.join();
  for (std::size_t i = 0; i < forced; ++i) runtime::collect();
  return finish(check_list(list, live));
}
