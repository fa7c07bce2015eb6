// bench-launch: runs one program and writes what it cost, and what the machine took meanwhile, as
// one line of JSON.
//
//   bench-launch RESULT SECONDS CGROUP CONTROL PROGRAM [ARGUMENT...]
//
// A process of its own beside the driver: the peak that the kernel reports of a child counts from
// its fork, so it must be forked from a small process. CGROUP is a folder that the program's
// processes enter before they start, or "-". CONTROL is 1 for the control thread: a twentieth of a
// processor looks at the clock all the time, and what it misses, nobody else beside it got (more
// than 10 us, as one gap). After SECONDS the program is killed with all that it started in its
// process group.

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

using Nanoseconds = std::int64_t;

constexpr Nanoseconds kSecond = 1'000'000'000;
constexpr Nanoseconds kGap = 10'000;
constexpr Nanoseconds kSpin = 500'000;
constexpr Nanoseconds kPeriod = 10'000'000;

Nanoseconds now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

// The control thread's findings.
struct Control {
  Nanoseconds watched = 0;  // looking at the clock
  Nanoseconds lost = 0;     // in gaps
  Nanoseconds longest = 0;
  std::uint64_t gaps = 0;
};

// `stop` is set by main() and read here, relaxed: the join orders everything else.
void watch(const std::atomic<bool>& stop, Control& control) {
  while (!stop.load(std::memory_order_relaxed)) {
    const Nanoseconds began = now();
    Nanoseconds last = began;
    while (last < began + kSpin) {
      const Nanoseconds at = now();
      if (at - last > kGap) {
        ++control.gaps;
        control.lost += at - last;
        control.longest = std::max(control.longest, at - last);
      }
      last = at;
    }
    control.watched += last - began;
    const timespec rest{0, kPeriod - kSpin};
    nanosleep(&rest, nullptr);
  }
}

// All processors' time since the machine started.
struct MachineTime {
  double busy_s = 0;   // user, nice, system, interrupts
  double steal_s = 0;  // what the host gave to other machines
};

MachineTime machine_time() {
  MachineTime time;
  std::FILE* const file = std::fopen("/proc/stat", "r");
  if (file == nullptr) return time;
  unsigned long long user, nice, system, idle, wait, hard, soft, steal;
  if (std::fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
                  &wait, &hard, &soft, &steal) == 8) {
    const auto tick = static_cast<double>(sysconf(_SC_CLK_TCK));
    time.busy_s = static_cast<double>(user + nice + system + hard + soft) / tick;
    time.steal_s = static_cast<double>(steal) / tick;
  }
  std::fclose(file);
  return time;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bench-launch: %s: %s\n", what, std::strerror(errno));
  std::exit(2);
}

bool enter_cgroup(const char* folder) {
  char path[4096];
  std::snprintf(path, sizeof path, "%s/cgroup.procs", folder);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool entered = write(fd, "0", 1) == 1;
  close(fd);
  return entered;
}

// In the child. What went wrong goes through the pipe, which closes by itself when the program
// starts.
[[noreturn]] void become(char** command, const char* cgroup, int problem) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  if (std::strcmp(cgroup, "-") == 0 || enter_cgroup(cgroup)) execvp(command[0], command);
  const int error = errno;
  if (write(problem, &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr,
                 "usage: bench-launch RESULT SECONDS CGROUP CONTROL PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  const double limit = std::atof(argv[2]);
  const bool with_control = std::strcmp(argv[4], "1") == 0;
  int problem[2];
  if (pipe2(problem, O_CLOEXEC) != 0) fail("pipe");

  const MachineTime machine_before = machine_time();
  const Nanoseconds began = now();
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) become(argv + 5, argv[3], problem[1]);
  close(problem[1]);
  setpgid(child, child);

  int exec_error = 0;
  if (read(problem[0], &exec_error, sizeof exec_error) < 0) fail("read");
  std::atomic<bool> stop{false};
  Control control;
  std::thread watcher;
  if (with_control) watcher = std::thread([&] { watch(stop, control); });

  const auto handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  if (handle < 0) fail("pidfd_open");
  bool timed_out = false;
  pollfd ended{handle, POLLIN, 0};
  const double wait_ms = std::min(limit * 1000, 2e9);
  int ready;
  while ((ready = poll(&ended, 1, static_cast<int>(wait_ms))) < 0 && errno == EINTR) {
  }
  timed_out = ready == 0;
  kill(-child,
       SIGKILL);  // and what it left behind; it is not waited for yet, so the number is its own
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0) {
    if (errno != EINTR) fail("wait4");
  }
  const Nanoseconds took = now() - began;
  stop.store(true, std::memory_order_relaxed);
  if (watcher.joinable()) watcher.join();
  const MachineTime machine_after = machine_time();

  std::FILE* const out = std::fopen(argv[1], "w");
  if (out == nullptr) fail(argv[1]);
  std::fprintf(
      out,
      R"({"exit":%d,"signal":%d,"timed_out":%s,"exec_errno":%d,"wall_s":%.6f,"user_s":%.6f,"system_s":%.6f,)",
      WIFEXITED(status) ? WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
      timed_out ? "true" : "false", exec_error, static_cast<double>(took) * 1e-9,
      seconds(usage.ru_utime), seconds(usage.ru_stime));
  std::fprintf(out, R"("maxrss_kb":%ld,"minor_faults":%ld,"major_faults":%ld,"switches":%ld,)",
               usage.ru_maxrss, usage.ru_minflt, usage.ru_majflt, usage.ru_nvcsw + usage.ru_nivcsw);
  std::fprintf(out, R"("machine_busy_s":%.3f,"machine_steal_s":%.3f,)",
               machine_after.busy_s - machine_before.busy_s,
               machine_after.steal_s - machine_before.steal_s);
  std::fprintf(
      out,
      R"("control":{"watched_s":%.6f,"gaps":%llu,"lost_s":%.6f,"longest_us":%.1f}})"
      "\n",
      static_cast<double>(control.watched) * 1e-9, static_cast<unsigned long long>(control.gaps),
      static_cast<double>(control.lost) * 1e-9, static_cast<double>(control.longest) * 1e-3);
  return std::fclose(out) == 0 ? 0 : 2;
}
