// A program all of whose memory is traced: NAME is what it tries. Prints "ok" when that went well.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <any>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <tricolor/prelude.hpp>
#include <tricolor/traced_new.hpp>

namespace {

struct Item {
  std::uint64_t key = 0;
  std::uint64_t seal = 0;
  gc::ptr<Item> next;
  explicit Item(std::uint64_t k = 0) : key(k), seal(k * 31 + 7) {}
  bool intact() const { return seal == key * 31 + 7; }
};

int fail(const char* what) {
  std::printf("failed: %s\n", what);
  return 1;
}

// The memory of what was wrongly reclaimed is used again.
void churn(int objects = 100'000) {
  for (int i = 0; i < objects; ++i) gc::keep_alive(gc::make<Item>(~std::uint64_t{0})->seal = 1);
}

void shake() {
  for (int i = 0; i < 3; ++i) {
    runtime::collect();
    churn();
  }
}

template <class F>
void on_thread(F f) {
  std::thread(f).join();
}

std::vector<Item*> g_before_main(10, gc::make<Item>(5));
std::function<bool()> g_function;
Item* g_plain;
gc::atomic<Item> g_atomic;
thread_local std::vector<Item*> t_items;

int keeps() {
  std::vector<Item*> list;
  std::any any;
  std::exception_ptr thrown;
  on_thread([&] {
    for (int i = 0; i < 5000; ++i) list.push_back(gc::make<Item>(static_cast<std::uint64_t>(i)));
    g_function = [a = gc::make<Item>(1), b = gc::make<Item>(2), c = gc::make<Item>(3)] {
      return a->intact() && b->intact() && c->intact();
    };
    any = std::make_pair(gc::make<Item>(1), gc::make<Item>(2));
    g_plain = gc::make<Item>(4);
    g_atomic = gc::make<Item>(4);
    try {
      throw std::make_pair(gc::make<Item>(9), gc::ptr<Item>(gc::make<Item>(9)));
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  auto shared = std::make_shared<Item*>(nullptr);
  on_thread([shared] { *shared = gc::make<Item>(8); });
  shake();
  for (Item* item : list) {
    if (!item->intact()) return fail("vector");
  }
  if (!g_before_main.back()->intact()) return fail("made before main");
  if (!g_function()) return fail("std::function");
  if (!std::any_cast<std::pair<Item*, Item*>&>(any).second->intact()) return fail("std::any");
  if (!g_plain->intact() || !g_atomic.load()->intact()) return fail("globals");
  if (!(*shared)->intact()) return fail("std::shared_ptr");
  try {
    std::rethrow_exception(thrown);
  } catch (const std::pair<Item*, gc::ptr<Item>>& pair) {
    if (!pair.first->intact() || !pair.second->intact()) return fail("exception");
  }
  return 0;
}

int async() {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::future<Item*>> results;
    for (int i = 0; i < 10; ++i) {
      results.push_back(std::async(std::launch::async, [n = gc::make<Item>(6)] {
        churn(2000);
        Item* const made = gc::make<Item>(n->key);
        made->next = n;
        return made;
      }));
    }
    runtime::collect();
    churn(20'000);
    for (auto& result : results) {
      Item* const item = result.get();
      if (!item->intact() || !item->next->intact()) return fail("std::async");
    }
  }
  return 0;
}

int thread_locals() {
  std::atomic<int> step{0};
  bool kept = true;
  std::thread other([&] {
    [] {
      for (int i = 0; i < 1000; ++i) t_items.push_back(gc::make<Item>(7));
    }();
    step = 1;
    while (step != 2) std::this_thread::yield();
    for (Item* item : t_items) kept = kept && item->intact();
  });
  while (step != 1) std::this_thread::yield();
  shake();
  step = 2;
  other.join();
  return kept ? 0 : fail("thread_local");
}

int forks() {
  std::vector<Item*> list(1000, gc::make<Item>(3));
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) {
      std::vector<std::string> strings;
      for (int i = 0; i < 100; ++i) strings.emplace_back(100, 'x');
    }
  });
  int failed = 0;
  for (int i = 0; i < 20 && failed == 0; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      std::vector<Item*> more;
      for (int k = 0; k < 2000; ++k) more.push_back(gc::make<Item>(4));
      shake();
      bool good = list.back()->intact();
      for (Item* item : more) good = good && item->intact();
      on_thread([&] { good = good && gc::make<Item>(5)->intact(); });
      _exit(good ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    failed = status;
  }
  stop = true;
  busy.join();
  return failed == 0 && list.back()->intact() ? 0 : fail("fork");
}

int out_of_memory() {
  rlimit limit{std::size_t{1} << 30, RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &limit);
  std::vector<std::unique_ptr<char[]>> taken;
  int refused = 0;
  for (int round = 0; round < 2; ++round) {
    try {
      for (;;) {
        const std::size_t bytes = std::size_t{1} << (10 + taken.size() % 12);
        taken.emplace_back(new char[bytes]);
      }
    } catch (const std::bad_alloc&) {
      ++refused;
    }
    taken.clear();
  }
  if (new (std::nothrow) char[std::size_t{1} << 40] != nullptr) return fail("a huge request");
  std::vector<Item*> list(1000, gc::make<Item>(3));
  shake();
  return refused == 2 && list.back()->intact() ? 0 : fail("out of memory");
}

struct Aligned {
  alignas(256) char bytes[300];
};

int forms() {
  auto* const one = new Aligned;
  auto* const many = new Aligned[3];
  if (reinterpret_cast<std::uintptr_t>(one) % 256 != 0) return fail("alignment");
  if (reinterpret_cast<std::uintptr_t>(many) % 256 != 0) return fail("alignment");
  delete one;
  delete[] many;
  delete new (std::nothrow) int;
  ::operator delete (::operator new(100), std::size_t{100});
  ::operator delete[](::operator new[](0));
  ::operator delete (::operator new (64, std::align_val_t{64}), std::size_t{64},
                     std::align_val_t{64});
  delete static_cast<int*>(nullptr);
  return 0;
}

int misuse(std::string_view name) {
  int* volatile cell = new int[4];
  if (name == "twice") {
    delete[] cell;
    delete[] cell;
  } else if (name == "collected") {
    Item* const volatile item = gc::make<Item>(1);
    delete item;
  } else if (name == "inside") {
    int* volatile inside = cell + 1;
    ::operator delete(inside);
  } else if (name == "foreign") {
    void* volatile foreign = std::malloc(100);
    ::operator delete(foreign);
  } else if (name == "stack") {
    int local = 0;
    int* const volatile address = &local;
    ::operator delete(address);
  } else if (name == "large-twice") {
    char* const volatile large = new char[3'000'000];
    delete[] large;
    delete[] large;
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view name = count > 1 ? arguments[1] : "";
  int result = 1;
  if (name == "keeps") result = keeps();
  if (name == "async") result = async();
  if (name == "thread_locals") result = thread_locals();
  if (name == "forks") result = forks();
  if (name == "out_of_memory") result = out_of_memory();
  if (name == "forms") result = forms();
  if (name == "misuse" && count > 2) return misuse(arguments[2]);
  if (result == 0) std::puts("ok");
  return result;
}
