#include "tools/recorder/output.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <initializer_list>

namespace tools::recorder {
namespace {

// Blocks the signals of a failing write and swallows the one that a write raised meanwhile.
class SignalShield {
 public:
  SignalShield() {
    sigemptyset(&raised_by_write_);
    sigaddset(&raised_by_write_, SIGXFSZ);
    sigaddset(&raised_by_write_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    for (const int signal : {SIGXFSZ, SIGPIPE}) {
      if (sigismember(&pending, signal) == 1) sigdelset(&raised_by_write_, signal);
    }
    pthread_sigmask(SIG_BLOCK, &raised_by_write_, &before_);
  }
  ~SignalShield() {
    const timespec now{};
    while (sigtimedwait(&raised_by_write_, nullptr, &now) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalShield(const SignalShield&) = delete;
  SignalShield& operator=(const SignalShield&) = delete;

 private:
  sigset_t raised_by_write_;
  sigset_t before_;
};

// -1 with errno when not everything was written.
int write_fully(int fd, const std::byte* data, size_t size) {
  while (size > 0) {
    const ssize_t done = ::write(fd, data, size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return -1;
    data += done;
    size -= static_cast<size_t>(done);
  }
  return 0;
}

}  // namespace

void complain(const char* text, const char* detail, const char* reason) {
  char line[4096 + 256];
  const int length =
      snprintf(line, sizeof line, "tricolor recorder: %s%s%s\n", text, detail, reason);
  if (length <= 0) return;
  const size_t bytes =
      static_cast<size_t>(length) < sizeof line ? static_cast<size_t>(length) : sizeof line - 1;
  const SignalShield shield;
  write_fully(STDERR_FILENO, reinterpret_cast<const std::byte*>(line), bytes);
}

int level_from_environment(int otherwise) {
  const char* text = getenv("TRICOLOR_TRACE_LEVEL");
  if (text == nullptr) return otherwise;
  char* end = nullptr;
  const long value = strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < 1 || value > 19) {
    complain("TRICOLOR_TRACE_LEVEL=", text, ": expected a number from 1 to 19, 3 is used");
    return otherwise;
  }
  return static_cast<int>(value);
}

bool Output::set_path(const char* path) {
  constexpr size_t kRoomForPid = 24;
  size_t used = 0;
  if (path[0] != '/') {
    if (getcwd(path_, sizeof path_ - kRoomForPid) == nullptr) {
      complain("the current directory is unknown; nothing is recorded");
      return false;
    }
    used = strlen(path_);
    path_[used++] = '/';
  }
  const size_t length = strlen(path);
  if (used + length + kRoomForPid > sizeof path_) {
    complain("the path of the trace is too long; nothing is recorded");
    return false;
  }
  memcpy(path_ + used, path, length + 1);
  return true;
}

void Output::become_child(pid_t pid) {
  const size_t used = strlen(path_);
  snprintf(path_ + used, sizeof path_ - used, ".%d", static_cast<int>(pid));
  created_ = removable_ = false;
  size_ = 0;
}

bool Output::fail(const char* what) {
  const char* reason = strerrordesc_np(errno);
  char detail[sizeof path_ + 128];
  snprintf(detail, sizeof detail, "%s %s: %s", what, path_,
           reason != nullptr ? reason : "unknown error");
  const bool removed = removable_ && unlink(path_) == 0;
  complain(detail,
           removed ? "; recording stops and the partial file was removed" : "; recording stops");
  created_ = false;
  return false;
}

bool Output::create(pid_t pid) {
  struct stat status {};
  int fd = -1;
  if (stat(path_, &status) == 0 && !S_ISREG(status.st_mode)) {
    fd = open(path_, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  } else {
    constexpr int kMostNames = 1000;
    const size_t used = strlen(path_);
    for (int attempt = 0; attempt < kMostNames; ++attempt) {
      if (attempt == 1) snprintf(path_ + used, sizeof path_ - used, ".%d", static_cast<int>(pid));
      if (attempt > 1) {
        snprintf(path_ + used, sizeof path_ - used, ".%d.%d", static_cast<int>(pid), attempt);
      }
      fd = open(path_, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
      if (fd >= 0 || errno != EEXIST) break;
    }
    removable_ = fd >= 0;
  }
  if (fd < 0) return fail("cannot create");
  close(fd);
  created_ = true;
  return true;
}

bool Output::write(const std::byte* data, size_t size) {
  const SignalShield shield;
  const int fd = open(path_, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return fail("cannot open");
  const int result = write_fully(fd, data, size);
  const int error = errno;
  close(fd);
  errno = error;
  if (result != 0) return fail("cannot write");
  size_ += size;
  return true;
}

bool Output::truncate(uint64_t size) {
  if (::truncate(path_, static_cast<off_t>(size)) != 0) return fail("cannot shorten");
  size_ = size;
  return true;
}

}  // namespace tools::recorder
