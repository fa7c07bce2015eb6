// Makes objects of many types, while others collect and allocate, and looks up what was recorded of
// them.
//
// types_program MODE: plain, fork, threads. Prints a line for each object whose type is wrong.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "observe/types.h"
#include "runtime/thread.h"

#include <tricolor/containers.hpp>
#include <tricolor/prelude.hpp>

namespace {

struct Small {
  gc::ptr<Small> next;
  int key = 0;
};
struct Large {
  gc::ptr<Small> first;
  char bytes[100'000] = {};
};
struct Counted {
  explicit Counted(int k = 0) : key(k) {}
  ~Counted() { key = -1; }
  int key;
};
struct Head {
  gc::ptr<Small> first;
};

int g_wrong = 0;

template <class T>
void expect(const T* object, const char* name, std::size_t size) {
  const runtime::RuntimeScope scope(runtime::Thread::attached());
  const gc::detail::TypeInfo* const type = observe::recorded_type(object);
  const bool right = type == nullptr
                         ? name == nullptr
                         : name != nullptr && type->name.find(name) != std::string_view::npos &&
                               type->size == size && type->alignment != 0;
  if (right) return;
  ++g_wrong;
  const std::string found(type == nullptr ? "nothing" : type->name);
  std::printf("%s is recorded as %s\n", name == nullptr ? "nothing" : name, found.c_str());
}

// [watch.types]
void look_at_all() {
  auto* const small = gc::make<Small>();
  auto* const large = gc::make<Large>();
  auto* const counted = gc::make<Counted>(3);
  auto* const array = gc::make_array<Small>(10);
  auto* const doubles = gc::make_array_for_overwrite<double>(1000);
  auto* const tailed = gc::make_with_tail<Head, int>(100);
  gc::vector<Counted> block;
  block.emplace_back(1);
  gc::vector<int> plain(30, 7);
  runtime::collect();
  expect(small, "Small", sizeof(Small));
  expect(&small->key, "Small", sizeof(Small));
  expect(large, "Large", sizeof(Large));
  expect(&large->bytes[99'999], "Large", sizeof(Large));
  expect(counted, "Counted", sizeof(Counted));
  expect(array, "Small", sizeof(Small));
  expect(doubles, "double", sizeof(double));
  expect(tailed, "Head", sizeof(Head));
  expect(&block[0], "Counted", sizeof(Counted));
  expect(&plain[0], "int", sizeof(int));
  // A cell that was freed and is another type's now: handed out anew. [watch.samples] [watch.types]
  for (int i = 0; i < 100; ++i) {
    gc::destroy(gc::make<Small>());
    expect(gc::make<std::pair<gc::ptr<Small>, long>>(), "pair", 16);
  }
  gc::keep_alive(large);
}

void churn(int objects) {
  for (int i = 0; i < objects; ++i) {
    expect(gc::make<Small>(), "Small", sizeof(Small));
    expect(gc::make<Counted>(i), "Counted", sizeof(Counted));
    expect(gc::make_array<gc::ptr<Small>>(static_cast<std::size_t>(i % 40)), "Small", 8);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  look_at_all();
  if (mode == "threads") {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(churn, 20'000);
    for (int i = 0; i < 20; ++i) runtime::collect();
    for (std::thread& thread : threads) thread.join();
  }
  if (mode == "fork") {
    auto* const before = gc::make<Large>();
    const pid_t child = fork();
    if (child == 0) {
      expect(before, "Large", sizeof(Large));
      look_at_all();
      std::fflush(nullptr);
      _exit(g_wrong == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) ++g_wrong;
  }
  look_at_all();
  std::printf("%d wrong\n", g_wrong);
  return g_wrong == 0 ? 0 : 1;
}
