// Other processes: helper programs with settings of their own, and forked children.
//
// A program is found in the directory of the test's own executable. The runtime's variables are
// taken from the settings alone, never from the environment of the test.
#pragma once

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <sstream>

#include "tests/support.hpp"

namespace tricolor::tests {

struct ProcessResult {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  bool timed_out = false;
  std::string out, err;

  std::vector<std::string> err_lines() const {
    std::vector<std::string> lines;
    std::istringstream stream(err);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
};

using Settings = std::map<std::string, std::string>;

struct ProcessOptions {
  Settings environment = {};
  std::optional<rlim_t> address_space = {};            // ulimit -v, in bytes
  std::function<void(pid_t, int out)> meanwhile = {};  // called once the program has started
};

inline std::string program_path(const std::string& name) {
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) return name;
  const std::string path(self, static_cast<std::size_t>(length));
  return path.substr(0, path.rfind('/') + 1) + name;
}

namespace detail {

[[noreturn]] inline void exec_child(const std::vector<std::string>& argv,
                                    const ProcessOptions& options) {
  for (const char* name :
       {"GOGC", "GOMEMLIMIT", "GCTRACE", "GODEBUG", "TRICOLOR_PROFILE", "TRICOLOR_SERVE"}) {
    unsetenv(name);
  }
  for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
  if (options.address_space) {
    const rlimit limit{*options.address_space, *options.address_space};
    setrlimit(RLIMIT_AS, &limit);
  }
  std::vector<char*> raw;
  for (const std::string& argument : argv) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  execv(raw[0], raw.data());
  _exit(127);
}

// Reads both pipes to their ends; false when `seconds` went by first.
inline bool drain(int out, int err, ProcessResult& result, int seconds) {
  std::array<pollfd, 2> ends{pollfd{out, POLLIN, 0}, pollfd{err, POLLIN, 0}};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    if (poll(ends.data(), ends.size(), 200) <= 0) continue;
    for (std::size_t i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t n = read(ends[i].fd, buffer, sizeof buffer);
      if (n > 0) {
        (i == 0 ? result.out : result.err).append(buffer, static_cast<std::size_t>(n));
      } else if (n == 0 || errno != EINTR) {
        ends[i].fd = -1;
      }
    }
  }
  return true;
}

inline void wait_for(pid_t child, ProcessResult& result) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
}

}  // namespace detail

// Runs a helper program to its end; a program that hangs is killed after two minutes.
inline ProcessResult run_program(const std::string& name, std::vector<std::string> arguments,
                                 const ProcessOptions& options = {}) {
  arguments.insert(arguments.begin(), program_path(name));
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
    FAIL("pipe2: " << std::strerror(errno));
  const pid_t child = fork();
  if (child < 0) FAIL("fork: " << std::strerror(errno));
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    detail::exec_child(arguments, options);
  }
  close(out[1]);
  close(err[1]);
  ProcessResult result;
  if (options.meanwhile) options.meanwhile(child, out[0]);
  if (!detail::drain(out[0], err[0], result, 120)) {
    result.timed_out = true;
    kill(child, SIGKILL);
  }
  close(out[0]);
  close(err[0]);
  detail::wait_for(child, result);
  return result;
}

// Runs `body` in a forked child, which ends with what it returns.
template <class F>
ProcessResult run_forked(F&& body) {
  int err[2];
  if (pipe2(err, O_CLOEXEC) != 0) FAIL("pipe2: " << std::strerror(errno));
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) FAIL("fork: " << std::strerror(errno));
  if (child == 0) {
    dup2(err[1], STDERR_FILENO);
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    _exit(code);
  }
  close(err[1]);
  ProcessResult result;
  if (!detail::drain(-1, err[0], result, 120)) {
    result.timed_out = true;
    kill(child, SIGKILL);
  }
  close(err[0]);
  detail::wait_for(child, result);
  return result;
}

}  // namespace tricolor::tests
