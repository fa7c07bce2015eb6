#include "runtime/thread_report.h"

#include <sys/syscall.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runtime/base/check.h"
#include "runtime/handshake_signal.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::runtime {

namespace {

struct Call {
  long number;
  const char* name;
};
// Those in which threads are found waiting.
constexpr Call kCalls[] = {
    {SYS_read, "read"},
    {SYS_write, "write"},
    {SYS_readv, "readv"},
    {SYS_writev, "writev"},
    {SYS_pread64, "pread64"},
    {SYS_pwrite64, "pwrite64"},
    {SYS_ioctl, "ioctl"},
    {SYS_futex, "futex"},
    {SYS_ppoll, "ppoll"},
    {SYS_pselect6, "pselect6"},
    {SYS_epoll_pwait, "epoll_pwait"},
    {SYS_accept, "accept"},
    {SYS_accept4, "accept4"},
    {SYS_connect, "connect"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_wait4, "wait4"},
    {SYS_waitid, "waitid"},
    {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait"},
    {SYS_rt_sigsuspend, "rt_sigsuspend"},
    {SYS_fsync, "fsync"},
    {SYS_clone, "clone"},
    {SYS_execve, "execve"},
    {SYS_flock, "flock"},
#ifdef SYS_poll
    {SYS_poll, "poll"},
#endif
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait"},
#endif
#ifdef SYS_vfork
    {SYS_vfork, "vfork"},
#endif
};

// One file of /proc/self/task/TID, without its last newline; empty where it cannot be read.
class TaskFile {
 public:
  TaskFile(int tid, const char* file) noexcept {
    char path[64];
    format_to(path, sizeof path, "/proc/self/task/%d/%s", tid, file);
    size_t length = os::read_file(path, bytes_.data(), bytes_.size());
    if (length > 0 && bytes_[length - 1] == '\n') --length;
    text = std::string_view(bytes_.data(), length);
  }
  std::string_view text;

 private:
  std::array<char, 2048> bytes_;
};

const char* name_of_call(long number) noexcept {
  for (const Call& call : kCalls) {
    if (call.number == number) return call.name;
  }
  return "";
}

const char* name_of_state(std::string_view stat) noexcept {
  const size_t after_name = stat.rfind(')');
  if (after_name == std::string_view::npos || after_name + 2 >= stat.size())
    return "in an unknown state";
  switch (stat[after_name + 2]) {
    case 'R':
      return "running";
    case 'S':
      return "sleeping";
    case 'D':
      return "waiting for a device";
    case 'T':
      return "stopped";
    case 't':
      return "stopped by a debugger";
    default:
      return "ending";
  }
}

// Whether the line SigBlk of /proc/.../status has the signal's bit.
bool masks(std::string_view status, int signal) noexcept {
  constexpr std::string_view kLine = "SigBlk:\t";
  const size_t at = status.find(kLine);
  if (at == std::string_view::npos) return false;
  char digits[20] = {};
  status.substr(at + kLine.size(), 16).copy(digits, 16);
  return (std::strtoull(digits, nullptr, 16) >> (signal - 1) & 1) != 0;
}

}  // namespace

void describe_thread(const Thread& thread, ThreadDescription& out) noexcept {
  const TaskFile name(thread.tid, "comm");
  const TaskFile stat(thread.tid, "stat");
  size_t length =
      format_to(out.text, sizeof out.text, "%d \"%.*s\", %s", thread.tid,
                static_cast<int>(name.text.size()), name.text.data(), name_of_state(stat.text));
  const auto add = [&](const char* format, auto... values) {
    length += format_to(out.text + length, sizeof out.text - length, format, values...);
  };
  const TaskFile call(thread.tid, "syscall");
  if (!call.text.empty() && call.text[0] >= '0' && call.text[0] <= '9') {
    const long number = std::strtol(call.text.data(), nullptr, 10);
    add(" in system call %ld (%s)", number, name_of_call(number));
  }
  if (thread.in_runtime()) add("%s", ", inside the library");
  const int signal = handshake_signal();
  const TaskFile status(thread.tid, "status");
  if (masks(status.text, signal)) add(", with signal %d masked, by which it is asked", signal);
}

}  // namespace tricolor::runtime
