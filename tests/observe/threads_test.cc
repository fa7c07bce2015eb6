// What debug::threads() and GODEBUG=dumpsignal say of threads at known places.

#include "tests/subprocess.hpp"

namespace tricolor::tests {

namespace {

// The text between the header of a thread with this name and the next one's.
bool shows(const std::string& text, const std::string& name, const std::string& state,
           const std::string& function) {
  for (std::size_t at = text.find("thread "); at != std::string::npos;) {
    const std::size_t next = text.find("\nthread ", at);
    const std::string part = text.substr(at, next - at);
    const std::string head = part.substr(0, part.find('\n'));
    if (head.find(name) != std::string::npos && head.find(state) != std::string::npos &&
        part.find(function) != std::string::npos) {
      return true;
    }
    at = next == std::string::npos ? next : next + 1;
  }
  return false;
}

}  // namespace

// [stacks.slots]
TEST_CASE("threads: names, states, what they wait for, and stacks") {
  if (kThreadSanitizer) return;  // which holds signals back until a thread waits
  const ProcessResult result = run_program("profile_program", {"threads"});
  CAPTURE(result.out);
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(shows(result.out, "|waiter|running|sleeping in system call", "futex", "wait_here"));
  CHECK(shows(result.out, "|waiter|blocked|", "futex", "block_here"));
  CHECK(shows(result.out, "|spinner|running|", "", "spin_here"));
  CHECK(shows(result.out, "|profile_program|", "", "show_threads"));
  CHECK(result.out.find("profile_program.cc:") != std::string::npos);
}

TEST_CASE("threads: a signal writes what they do, and the program goes on") {
  if (kThreadSanitizer) return;
  ProcessOptions options{.environment = {{"GODEBUG", "dumpsignal=QUIT"}}};
  int input[2];
  REQUIRE(pipe(input) == 0);
  options.meanwhile = [&](pid_t child, int out) {
    close(input[0]);
    char ready[6];
    CHECK(read(out, ready, sizeof ready) > 0);
    kill(child, SIGQUIT);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // until the dump is out
    close(input[1]);
  };
  const int standard_input = dup(STDIN_FILENO);
  dup2(input[0], STDIN_FILENO);
  fcntl(input[1], F_SETFD, FD_CLOEXEC);
  const ProcessResult result = run_program("profile_program", {"dump"}, options);
  dup2(standard_input, STDIN_FILENO);
  close(standard_input);
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.err.find("threads are attached") != std::string::npos);
  CHECK(shows(result.err, "\"waiter\", running, sleeping", "futex", "wait_here"));
  CHECK(shows(result.err, "\"spinner\", running", "", "spin_here"));
}

}  // namespace tricolor::tests
