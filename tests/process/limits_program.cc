// A resource of the process is short, before the library's first use or from then on. What throws
// std::bad_alloc or std::system_error is caught; prints "ok" when whatever was made stayed whole.
//
//     limits_program RESOURCE AMOUNT start|later
//
// RESOURCE: as, data (AMOUNT bytes more than are in use), nproc (AMOUNT processes), memlock (AMOUNT
// bytes, all memory locked), locked (all memory locked, no limit).
#include <grp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <new>
#include <system_error>
#include <vector>

#include "tests/process/program_support.hpp"

namespace tricolor::tests {
namespace {

constexpr std::size_t kItems = 20'000;
constexpr int kSkip = 77;

std::size_t in_use(const char* field) {
  std::FILE* const status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) return 0;
  char line[256];
  unsigned long kib = 0;
  while (kib == 0 && std::fgets(line, sizeof line, status) != nullptr) {
    if (std::strncmp(line, field, std::strlen(field)) == 0) {
      kib = std::strtoul(line + std::strlen(field), nullptr, 10);
    }
  }
  std::fclose(status);
  return kib << 10;
}

bool limit_to(__rlimit_resource_t resource, std::size_t amount) {
  const rlimit limit{amount, amount};
  return setrlimit(resource, &limit) == 0;
}

// Limits on processes and on locked memory do not hold for the superuser.
bool become_ordinary() {
  constexpr unsigned kNobody = 65534;
  return geteuid() != 0 ||
         (setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
          setresuid(kNobody, kNobody, kNobody) == 0);
}

bool apply(const char* resource, std::size_t amount) {
  if (std::strcmp(resource, "as") == 0) return limit_to(RLIMIT_AS, in_use("VmSize:") + amount);
  if (std::strcmp(resource, "data") == 0) return limit_to(RLIMIT_DATA, in_use("VmData:") + amount);
  if (std::strcmp(resource, "nproc") == 0)
    return limit_to(RLIMIT_NPROC, amount) && become_ordinary();
  if (std::strcmp(resource, "locked") == 0) return mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
  if (std::strcmp(resource, "memlock") != 0) return false;
  return limit_to(RLIMIT_MEMLOCK, amount) && become_ordinary() && mlockall(MCL_FUTURE) == 0;
}

std::atomic<int> g_refused{0};
std::atomic<int> g_damaged{0};
std::atomic<int> g_ran{0};

struct Destroyed {
  ~Destroyed() {
    if (seal != 0x5ea1) ++g_damaged;
  }
  std::uint64_t seal = 0x5ea1;
};

template <class F>
void attempt(F&& step) {
  try {
    step();
  } catch (const std::bad_alloc&) {
    ++g_refused;
  } catch (const std::system_error&) {
    ++g_refused;
  }
}

void use_everything() {
  gc::root<Item> list;
  attempt([&] { list = make_list(kItems); });
  const std::size_t length = list.get() == nullptr ? 0 : kItems;
  for (int i = 0; i < 300; ++i) {
    attempt([] { static_cast<void>(gc::make<Destroyed>()); });
    attempt([i] { gc::set_finalizer(gc::make<Item>(i), [](Item*) { ++g_ran; }); });
    attempt([&] {
      const gc::weak<Item> weak = list.get();
      if (const auto item = weak.lock(); item != nullptr && !item->intact()) ++g_damaged;
    });
  }
  attempt([] { make_garbage(32u << 20); });
  attempt([] {
    gc::root<Item> live = make_list(500'000);
    if (!check_list(live.get(), 500'000)) ++g_damaged;
  });
  for (int i = 0; i < 8; ++i) attempt([] { gc::make_array<char>(16 << 20)[12345] = 1; });
  attempt([] { runtime::collect(); });
  attempt([] { runtime::wait_for_finalizers(); });
  attempt([] { debug::free_os_memory(); });
  if (!check_list(list.get(), length)) ++g_damaged;
}

int run(const char* resource, std::size_t amount, bool later) {
  gc::root<Item> before;
  if (later) before = make_list(kItems);
  if (!apply(resource, amount)) {
    std::puts("the limit cannot be set here");
    return kSkip;
  }
  use_everything();
  // A cycle needs no memory, whoever runs it.
  const int refused = g_refused;
  if (later) attempt([] { runtime::collect(); });
  if (g_refused != refused) {
    std::puts("collect() was refused");
    ++g_damaged;
  }
  for (int round = 0; round < 2; ++round) {
    std::vector<std::thread> threads;
    attempt([&] {
      threads.reserve(4);
      for (int i = 0; i < 4; ++i) threads.emplace_back([] { attempt(use_everything); });
    });
    for (std::thread& thread : threads) thread.join();
  }
  if (later && !check_list(before.get(), kItems)) ++g_damaged;
  std::printf("%d refused, %d finalizers\n", g_refused.load(), g_ran.load());
  return finish(g_damaged == 0);
}

}  // namespace
}  // namespace tricolor::tests

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return tricolor::tests::run(argv[1], std::strtoull(argv[2], nullptr, 0),
                              std::strcmp(argv[3], "later") == 0);
}
