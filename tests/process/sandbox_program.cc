// The library under a filter that permits what docs/system-calls.md names and ends the process at
// any other call. Prints "ok" when it lives through a start, cycles, threads and finalizers;
// "seeing": and through a snapshot and what names code.
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/process/program_support.hpp"

#include <tricolor/debug.hpp>

#include <tricolor/traced.hpp>

namespace {

struct Call {
  const char* name;
  unsigned number;
};

// clang-format off
#define CALL(name) Call{#name, SYS_##name}
const std::array kLibrary = {
    CALL(mmap), CALL(munmap), CALL(mprotect), CALL(madvise), CALL(brk), CALL(futex),
    CALL(clock_gettime), CALL(clock_nanosleep), CALL(sched_yield), CALL(gettid), CALL(getpid),
    CALL(rt_tgsigqueueinfo), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigaltstack),
    CALL(prlimit64), CALL(sched_getaffinity), CALL(openat), CALL(read), CALL(pread64),
    CALL(getdents64), CALL(newfstatat), CALL(fcntl), CALL(close), CALL(getrandom), CALL(clone3),
    CALL(clone), CALL(set_robust_list), CALL(rseq), CALL(prctl), CALL(write), CALL(exit),
};
// For who looks at the heap, named behind the tables. AArch64 has the calls with a directory alone.
const std::array kSeeing = {
    CALL(lseek), CALL(umask), CALL(fchmod), CALL(readlinkat), CALL(faccessat), CALL(renameat), CALL(unlinkat),
#if defined(__x86_64__)
    CALL(readlink), CALL(access), CALL(rename), CALL(unlink),
#endif
};
#undef CALL
// clang-format on

// What only this program does.
const std::array<unsigned, 1> kProgram = {SYS_exit_group};

// The names in the first column of the document's first table.
std::set<std::string> documented() {
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
  std::string path(self, static_cast<std::size_t>(length > 0 ? length : 0));
  const std::string source = __FILE__;
  path = source.front() == '/' ? source : path.substr(0, path.rfind('/')) + "/../" + source;
  path = path.substr(0, path.rfind('/')) + "/../../docs/system-calls.md";
  std::ifstream file(path);
  std::set<std::string> names;
  for (std::string line; std::getline(file, line) && line != "Not made under a filter:";) {
    if (line.rfind("| `", 0) == 0) names.insert(line.substr(3, line.find('`', 3) - 3));
  }
  return names;
}

bool document_agrees() {
  const std::set<std::string> names = documented();
  bool agrees = names.size() == kLibrary.size();
  for (const Call& call : kLibrary) {
    if (names.count(call.name) != 0) continue;
    std::fprintf(stderr, "%s is not documented\n", call.name);
    agrees = false;
  }
  if (!agrees) std::fprintf(stderr, "%zu calls are documented\n", names.size());
  return agrees;
}

bool restrict_calls(bool seeing) {
  std::vector<sock_filter> program;
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  const auto permit = [&program](unsigned number) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  };
  for (const Call& call : kLibrary) permit(call.number);
  for (const unsigned number : kProgram) permit(number);
  for (const Call& call : kSeeing) {
    if (seeing) permit(call.number);
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

struct Counted {
  ~Counted() { ++destroyed; }
  std::uint64_t content = 1;
  static inline std::atomic<int> destroyed{0};
};

bool look_around(const tricolor::tests::Item* item) {
  debug::write_heap_snapshot("/dev/null");
  const std::string path = "/tmp/tricolor-sandbox." + std::to_string(getpid());
  debug::write_heap_snapshot(path);
  unlink(path.c_str());
  return debug::why_alive(item) && !debug::heap_histogram().empty() && debug::leaks().empty();
}

}  // namespace

int main(int argc, char**) {
  using namespace tricolor::tests;
  if (!document_agrees()) return finish(false);
  std::puts("begin");  // its buffer is there before the filter
  std::fflush(stdout);
  if (!restrict_calls(argc > 1)) {
    std::puts("no filter can be set here");
    return 77;
  }
  gc::root<Item> list = make_list(20'000);
  make_garbage(64u << 20);
  gc::traced::vector<Item*> traced(1000, gc::make<Item>(7));
  std::atomic<bool> stop{false};
  std::thread computing([&stop] {
    Item* const local = make_list(100);
    while (!stop) {
      if (!check_list(local, 100)) std::abort();
    }
  });
  for (int i = 0; i < 2000; ++i) static_cast<void>(gc::make<Counted>());
  for (int i = 0; i < 20; ++i) runtime::collect();
  runtime::wait_for_finalizers();
  debug::free_os_memory();
  stop = true;
  computing.join();
  if (argc > 1 && !look_around(list.get())) return finish(false);
  return finish(check_list(list.get(), 20'000) && traced.back()->intact() &&
                Counted::destroyed > 0);
}
