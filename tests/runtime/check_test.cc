#include "runtime/base/check.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>

using namespace tricolor::runtime;

namespace {

template <typename... Args>
std::string formatted(const char* format, Args... args) {
  char buffer[256];
  format_to(buffer, sizeof buffer, format, args...);
  return buffer;
}

struct Outcome {
  std::string standard_error;
  int status = 0;
};

// Runs `act` in a child process.
template <typename Act>
Outcome in_child(Act act) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    act();
    ::_exit(0);
  }
  ::close(ends[1]);
  Outcome outcome;
  char buffer[512];
  for (ssize_t length; (length = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    outcome.standard_error.append(buffer, static_cast<size_t>(length));
  }
  ::close(ends[0]);
  ::waitpid(child, &outcome.status, 0);
  return outcome;
}

bool aborted(const Outcome& outcome) {
  return WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT;
}

}  // namespace

TEST_CASE("messages are formatted as printf formats them") {
  CHECK(formatted("%d %i %u", -5, 7, 4000000000u) == "-5 7 4000000000");
  CHECK(formatted("%ld %llu %zu", -5L, ~0ULL, size_t{9}) == "-5 18446744073709551615 9");
  CHECK(formatted("%hhu %hd", 300, 70000) == "44 4464");
  CHECK(formatted("%lld", static_cast<long long>(INT64_MIN)) == "-9223372036854775808");
  CHECK(formatted("%x %X %08x %o", 0xbeefu, 0xbeefu, 0xbeefu, 8u) == "beef BEEF 0000beef 10");
  CHECK(formatted("[%5d|%-5d|%05d|%*d]", 42, 42, -42, 4, 7) == "[   42|42   |-0042|   7]");
  CHECK(formatted("[%s|%6s|%-6s|%.2s|%.*s]", "abc", "abc", "abc", "abc", 1, "abc") ==
        "[abc|   abc|abc   |ab|a]");
  CHECK(formatted("%c%c %%", 'o', 'k') == "ok %");
  CHECK(formatted("%p", reinterpret_cast<void*>(uintptr_t{0x1234})) == "0x1234");
  CHECK(formatted("%.3f %.0f %f %6.1f", 1.9996, 2.6, -0.5, 3.25) == "2.000 3 -0.500000    3.3");
  const char* volatile missing = nullptr;
  CHECK(formatted("%s", missing) == "(null)");
}

TEST_CASE("a message that does not fit is cut and terminated") {
  char buffer[8] = {'#', '#', '#', '#', '#', '#', '#', '#'};
  CHECK(format_to(buffer, 5, "%s", "abcdefgh") == 4);
  CHECK(std::string(buffer) == "abcd");
  CHECK(buffer[5] == '#');
}

TEST_CASE("report writes one line") {
  const Outcome outcome = in_child([] { report("%d pages", 3); });
  CHECK(outcome.standard_error == "tricolor: 3 pages\n");
  CHECK(outcome.status == 0);
}

TEST_CASE("a report longer than a line is cut visibly") {
  const std::string text(3 * kReportLineBytes, 'x');
  const Outcome outcome = in_child([&] { report("%s", text.c_str()); });
  REQUIRE(outcome.standard_error.size() == kReportLineBytes);
  CHECK(outcome.standard_error.substr(kReportLineBytes - 5) == "x...\n");
}

// [check.no-malloc]
TEST_CASE("a report is one write, in a signal handler too, and leaves errno alone") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_DIRECT) == 0);  // keeps the bounds of each write
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    std::signal(SIGUSR1, [](int) { report("%s: %d", "in the handler", 7); });
    errno = ENOENT;
    report("%u pages", 3u);
    ::raise(SIGUSR1);
    ::close(STDERR_FILENO);
    report("lost");
    ::_exit(errno == ENOENT ? 0 : 1);
  }
  ::close(ends[1]);
  char buffer[512];
  const std::string first = "tricolor: 3 pages\n";
  const std::string second = "tricolor: in the handler: 7\n";
  const ssize_t first_size = ::read(ends[0], buffer, sizeof buffer);
  CHECK(std::string(buffer, static_cast<size_t>(std::max<ssize_t>(first_size, 0))) == first);
  const ssize_t second_size = ::read(ends[0], buffer, sizeof buffer);
  CHECK(std::string(buffer, static_cast<size_t>(std::max<ssize_t>(second_size, 0))) == second);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  ::close(ends[0]);
}

TEST_CASE("a check that holds is silent") {
  const Outcome outcome = in_child([] { TC_CHECK(1 + 1 == 2, "arithmetic"); });
  CHECK(outcome.standard_error.empty());
  CHECK(outcome.status == 0);
}

TEST_CASE("a failed check names the expression, the place and the values, and aborts") {
  const int pages = 3;
  const Outcome outcome = in_child([&] { TC_CHECK(pages == 4, "%d pages", pages); });
  CHECK(aborted(outcome));
  const std::string& text = outcome.standard_error;
  INFO(text);
  CHECK(text.find("tricolor: check failed at ") == 0);
  CHECK(text.find("check_test.cc:") != std::string::npos);
  CHECK(text.find("pages == 4: 3 pages\n") != std::string::npos);
}

TEST_CASE("the hook runs once, between the message and the end") {
  const Outcome outcome = in_child([] {
    set_failure_hook([]() noexcept {
      report("the hook");
      fatal("inside the hook");
    });
    fatal("broken %s", "beyond repair");
  });
  CHECK(aborted(outcome));
  CHECK(outcome.standard_error ==
        "tricolor: fatal: broken beyond repair\ntricolor: the hook\n"
        "tricolor: fatal: inside the hook\n");
}

TEST_CASE("debug checks fail in debug builds alone, and evaluate nothing elsewhere") {
  const Outcome outcome = in_child([] {
    int evaluated = 0;
    TC_DCHECK(++evaluated < 0, "evaluated");
    ::_exit(evaluated);
  });
  if (TRICOLOR_DEBUG != 0) {
    CHECK(aborted(outcome));
  } else {
    CHECK(outcome.status == 0);
  }
}
