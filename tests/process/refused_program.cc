// The system refuses calls, from the start on: everything goes on, but for what needs them.
//
//     refused_program CALL...   each gives EPERM
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "tests/process/program_support.hpp"

namespace {

struct Call {
  const char* name;
  unsigned number;
};
constexpr Call kCalls[] = {
    {"madvise", SYS_madvise},
    {"membarrier", SYS_membarrier},
    {"openat", SYS_openat},
    {"prctl", SYS_prctl},
    {"prlimit64", SYS_prlimit64},
    {"process_vm_readv", SYS_process_vm_readv},
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"sched_setscheduler", SYS_sched_setscheduler},
    {"setpriority", SYS_setpriority},
};

bool refuse(int count, char** names) {
  std::vector<sock_filter> program;
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (int i = 0; i < count; ++i) {
    for (const Call& call : kCalls) {
      if (std::strcmp(call.name, names[i]) != 0) continue;
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 1));
      program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    }
  }
  if (program.size() != 1 + 2 * static_cast<std::size_t>(count)) std::abort();
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

struct Counted {
  ~Counted() { ++destroyed; }
  std::uint64_t content = 1;
  static inline std::atomic<int> destroyed{0};
};

}  // namespace

int main(int argc, char** argv) {
  using namespace tricolor::tests;
  if (!refuse(argc - 1, argv + 1)) {
    std::puts("no filter can be set here");
    return 77;
  }
  gc::root<Item> list = make_list(20'000);
  make_garbage(64u << 20);
  std::atomic<bool> stop{false};
  std::atomic<int> damaged{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      Item* const local = make_list(100);
      while (!stop) {
        if (!check_list(local, 100)) ++damaged;
        make_garbage(10'000);
      }
    });
  }
  for (int i = 0; i < 2000; ++i) static_cast<void>(gc::make<Counted>());
  for (int i = 0; i < 20; ++i) runtime::collect();
  runtime::wait_for_finalizers();
  debug::free_os_memory();
  for (int i = 0; i < 20; ++i) gc::make_array<char>(3 << 20)[12345] = 1;
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return finish(damaged == 0 && check_list(list.get(), 20'000) && Counted::destroyed > 1000);
}
