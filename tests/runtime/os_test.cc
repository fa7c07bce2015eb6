#include "runtime/os/os.h"

#include <doctest/doctest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/base/bits.h"

using namespace tricolor::runtime;

namespace {

constexpr size_t kBytes = size_t{4} << 20;

size_t resident_pages(char* address, size_t bytes) {
  std::vector<unsigned char> pages(divide_up(bytes, os::page_size()));
  REQUIRE(::mincore(address, bytes, pages.data()) == 0);
  size_t resident = 0;
  for (const unsigned char page : pages) resident += page & 1;
  return resident;
}

std::atomic<int> signals_seen{0};

bool frame_is_inside() {
  char* lo = nullptr;
  char* hi = nullptr;
  const char* const frame = static_cast<const char*>(__builtin_frame_address(0));
  return os::stack_bounds(&lo, &hi) && lo <= frame && frame < hi;
}

}  // namespace

TEST_CASE("reserved memory is usable after commit and zero") {
  char* const start = static_cast<char*>(os::reserve(kBytes));
  REQUIRE(start != nullptr);
  CHECK(resident_pages(start, kBytes) == 0);
  REQUIRE(os::commit(start, kBytes / 2));
  CHECK(start[0] == 0);
  start[kBytes / 2 - 1] = 7;
  CHECK(start[kBytes / 2 - 1] == 7);
  os::unmap(start, kBytes);
}

TEST_CASE("released memory is gone and reads as zero") {
  char* const start = static_cast<char*>(os::map(kBytes));
  REQUIRE(start != nullptr);
  os::advise_no_huge(start, kBytes);
  std::memset(start, 1, kBytes);
  CHECK(resident_pages(start, kBytes) == kBytes / os::page_size());
  REQUIRE(os::release(start + kBytes / 2, kBytes / 2));
  CHECK(resident_pages(start, kBytes) == kBytes / 2 / os::page_size());
  CHECK(start[kBytes / 2 - 1] == 1);
  CHECK(start[kBytes / 2] == 0);
  os::unmap(start, kBytes);
}

TEST_CASE("decommitted memory can be committed again, empty") {
  char* const start = static_cast<char*>(os::reserve(kBytes));
  REQUIRE(start != nullptr);
  REQUIRE(os::commit(start, kBytes));
  std::memset(start, 1, kBytes);
  os::decommit(start, kBytes);
  CHECK(resident_pages(start, kBytes) == 0);
  REQUIRE(os::commit(start, kBytes));
  CHECK(start[kBytes - 1] == 0);
  os::unmap(start, kBytes);
}

TEST_CASE("an aligned reservation is aligned and as long as asked") {
  char* const start = static_cast<char*>(os::reserve_aligned(kBytes, os::kHugePageSize));
  REQUIRE(start != nullptr);
  CHECK(is_aligned(start, os::kHugePageSize));
  CHECK(os::commit(start, kBytes));
  os::unmap(start, kBytes);
}

// [os.errno]
TEST_CASE("what the system refuses is a return value, and errno stays") {
  errno = 4711;
  CHECK(os::reserve(size_t{1} << 62) == nullptr);
  CHECK(os::map(size_t{1} << 62) == nullptr);
  CHECK_FALSE(os::commit(reinterpret_cast<void*>(uintptr_t{1} << 62), os::page_size()));
  CHECK(os::signal_thread(os::pid(), 0, 0, nullptr) != 0);
  CHECK(errno == 4711);
}

TEST_CASE("clocks go forward") {
  const int64_t monotonic = os::now_ns();
  const int64_t thread_cpu = os::thread_cpu_ns();
  const int64_t process_cpu = os::process_cpu_ns();
  os::sleep_ns(1'000'000);
  while (os::thread_cpu_ns() == thread_cpu) {
  }
  CHECK(os::now_ns() - monotonic >= 1'000'000);
  CHECK(os::process_cpu_ns() > process_cpu);
  CHECK(os::wall_ns() > int64_t{1'600'000'000} * 1'000'000'000);
}

TEST_CASE("the process started before now, and always at the same moment") {
  const int64_t start = os::process_start_ns();
  CHECK(start > 0);
  CHECK(start < os::now_ns());
  CHECK(os::process_start_ns() == start);
}

TEST_CASE("pages and processors are counted") {
  CHECK(is_power_of_two(os::page_size()));
  CHECK(os::page_size() == static_cast<size_t>(::sysconf(_SC_PAGESIZE)));
  CHECK(os::cpu_count() >= 1);
}

TEST_CASE("the processors counted are those allowed to the process") {
  unsigned counted = 0;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
    counted = os::cpu_count();
  }).join();
  CHECK(counted == 1);
}

TEST_CASE("background priority and name belong to the calling thread") {
  int policy = -1;
  const auto nice_value = [] { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(os::tid())); };
  const int before = nice_value();
  const int policy_before = ::sched_getscheduler(0);
  int after = -1;
  char name[32] = {};
  std::thread([&] {
    CHECK(os::set_background_priority(3));
    policy = ::sched_getscheduler(0);
    after = nice_value();
    os::name_thread("tricolor-mark");
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
  }).join();
  CHECK(policy == SCHED_BATCH);
  CHECK(after == std::min(before + 3, 19));
  CHECK(std::strcmp(name, "tricolor-mark") == 0);
  CHECK(::sched_getscheduler(0) == policy_before);
  CHECK(nice_value() == before);
}

TEST_CASE("a signal reaches the thread it names") {
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) { signals_seen.store(os::tid()); };
  REQUIRE(::sigaction(SIGURG, &action, &before) == 0);
  std::atomic<int> receiver{0};
  std::thread thread([&] {
    receiver.store(os::tid());
    while (signals_seen.load() == 0) os::yield();
  });
  while (receiver.load() == 0) os::yield();
  CHECK(os::signal_thread(os::pid(), receiver.load(), SIGURG, nullptr) == 0);
  thread.join();
  CHECK(signals_seen.load() == receiver.load());
  ::sigaction(SIGURG, &before, nullptr);
}

TEST_CASE("a thread is runnable unless it waits for something but a processor") {
  CHECK(os::is_runnable(os::tid()));
  CHECK(!os::is_runnable(0));
  std::atomic<int> waiter{0};
  std::atomic<bool> spins{true};
  std::mutex held;
  std::unique_lock lock(held);
  std::thread thread([&] {
    os::name_thread(") S (");
    waiter.store(os::tid());
    while (spins.load()) {
    }
    const std::lock_guard wait(held);
  });
  while (waiter.load() == 0) os::yield();
  CHECK(os::is_runnable(waiter.load()));
  spins.store(false);
  while (os::is_runnable(waiter.load())) os::yield();
  lock.unlock();
  thread.join();
}

TEST_CASE("sleeping outlasts signals") {
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) {};
  REQUIRE(::sigaction(SIGURG, &action, &before) == 0);
  std::atomic<int> sleeper{0};
  std::atomic<bool> done{false};
  int64_t slept = 0;
  std::thread thread([&] {
    const int64_t start = os::now_ns();
    sleeper.store(os::tid());
    os::sleep_ns(20'000'000);
    slept = os::now_ns() - start;
    done.store(true);
  });
  while (sleeper.load() == 0) os::yield();
  while (!done.load()) {
    os::signal_thread(os::pid(), sleeper.load(), SIGURG, nullptr);
    os::sleep_ns(1'000'000);
  }
  thread.join();
  CHECK(slept >= 20'000'000);
  ::sigaction(SIGURG, &before, nullptr);
}

TEST_CASE("stack bounds hold the frames of the main thread, of others, and of a forked one") {
  CHECK(frame_is_inside());
  bool inside = false;
  bool inside_after_fork = false;
  std::thread([&] {
    inside = frame_is_inside();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(frame_is_inside() ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    inside_after_fork = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }).join();
  CHECK(inside);
  CHECK(inside_after_fork);
}

TEST_CASE("stack bounds are those of the thread's own mapping") {
  constexpr size_t kStack = size_t{4} << 20;
  struct Bounds {
    char* lo = nullptr;
    char* hi = nullptr;
  } bounds;
  char* const stack = static_cast<char*>(os::map(kStack));
  REQUIRE(stack != nullptr);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  REQUIRE(::pthread_attr_setstack(&attributes, stack, kStack) == 0);
  pthread_t thread{};
  const auto body = [](void* out) -> void* {
    auto* const found = static_cast<Bounds*>(out);
    if (!os::stack_bounds(&found->lo, &found->hi)) found->lo = found->hi = nullptr;
    return nullptr;
  };
  REQUIRE(::pthread_create(&thread, &attributes, body, &bounds) == 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
  CHECK(bounds.lo == stack);
  CHECK(bounds.hi == stack + kStack);
  os::unmap(stack, kStack);
}

TEST_CASE("is_readable tells memory from guard pages and holes") {
  const size_t page = os::page_size();
  char* const memory = static_cast<char*>(os::map(3 * page));
  REQUIRE(memory != nullptr);
  const auto at = [&](size_t offset) { return reinterpret_cast<uintptr_t>(memory) + offset; };
  REQUIRE(::mprotect(memory + page, page, PROT_NONE) == 0);
  errno = 77;
  CHECK(os::is_readable(at(0)));
  CHECK(os::is_readable(at(page - 8)));
  CHECK_FALSE(os::is_readable(at(page)));
  CHECK(os::is_readable(at(2 * page)));
  os::unmap(memory + 2 * page, page);
  CHECK_FALSE(os::is_readable(at(2 * page)));
  CHECK_FALSE(os::is_readable(0));
  CHECK(errno == 77);
  os::unmap(memory, 2 * page);
}

TEST_CASE("the end of the signal stack is that of the calling thread, and of its addresses alone") {
  std::vector<char> memory(64 * 1024);
  CHECK(os::signal_stack_end(memory.data()) == nullptr);
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  stack_t before{};
  REQUIRE(sigaltstack(&stack, &before) == 0);
  const char* const end = memory.data() + memory.size();
  CHECK(os::signal_stack_end(memory.data()) == end);
  CHECK(os::signal_stack_end(end - 1) == end);
  CHECK(os::signal_stack_end(end) == nullptr);
  const char* elsewhere = end;
  std::thread([&] { elsewhere = os::signal_stack_end(memory.data()); }).join();
  CHECK(elsewhere == nullptr);
  sigaltstack(&before, nullptr);
  CHECK(os::signal_stack_end(memory.data()) == nullptr);
}

TEST_CASE("membarrier works wherever registering does") {
  if (!os::membarrier_register()) return;
  CHECK(os::membarrier());
}
