// Profiles as their readers see them: what `go tool pprof` makes of them, and what is said where
// they cannot be written.

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/directory.hpp"
#include "tests/subprocess.hpp"

namespace tricolor::tests {

namespace {

bool have_pprof() {
  static const bool have = std::system("go tool pprof -help >/dev/null 2>&1") % 256 == 0 &&
                           std::system("command -v go >/dev/null 2>&1") == 0;
  if (!have) MESSAGE("not tested: there is no `go tool pprof` here");
  return have;
}

std::string pprof(const std::string& arguments) {
  const std::string command = "go tool pprof -symbolize=none " + arguments + " 2>&1";
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::string out;
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  const int status = pclose(pipe);
  return status == 0 ? out : "pprof failed: " + out;
}

// "..., 97% of 12345B total" of -top.
double total_of(const std::string& path, const std::string& type) {
  const std::string top =
      pprof("-top -unit=B -nodecount=1000 -nodefraction=0 -sample_index=" + type + " " + path);
  CAPTURE(top);
  const std::size_t of = top.find(" of ");
  REQUIRE(of != std::string::npos);
  return std::strtod(top.c_str() + of + 4, nullptr);
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ProcessOptions with(Settings settings) { return {.environment = std::move(settings)}; }

}  // namespace

// The sampling error: of n samples about 1/sqrt(n), and a cell more than what fills it.
// [watch.samples]
TEST_CASE("profile: totals agree with MemStats") {
  if (!have_pprof()) return;
  const Directory directory;
  for (const char* rate : {"32768", "1"}) {
    // Minutes: each allocation walks the stack, in instrumented code.
    if (kThreadSanitizer && std::string_view(rate) == "1") continue;
    CAPTURE(std::string(rate));
    const std::string heap = directory / "heap";
    const std::string allocs = directory / "allocs";
    const ProcessResult result =
        run_program("profile_program", {"totals", heap, allocs},
                    with({{"GODEBUG", std::string("memprofilerate=") + rate}}));
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    std::istringstream out(result.out);
    double heap_alloc = 0;
    double total_alloc = 0;
    out >> heap_alloc >> total_alloc;
    const double in_use = total_of(heap, "inuse_space");
    const double allocated = total_of(allocs, "alloc_space");
    const double bytes = std::strtod(rate, nullptr);
    CAPTURE(heap_alloc);
    CAPTURE(in_use);
    CAPTURE(total_alloc);
    CAPTURE(allocated);
    // Five standard deviations, and what was made before and after the figures were taken.
    CHECK(std::abs(in_use - heap_alloc) < 5 * std::sqrt(heap_alloc * bytes) + 0.02 * heap_alloc);
    CHECK(std::abs(allocated - total_alloc) <
          5 * std::sqrt(total_alloc * bytes) + 0.02 * total_alloc);
  }
}

TEST_CASE("profile: functions, lines, types and labels are in it") {
  if (!have_pprof()) return;
  const Directory directory;
  const std::string heap = directory / "heap";
  const std::string allocs = directory / "allocs";
  const ProcessResult result = run_program("profile_program", {"totals", heap, allocs},
                                           with({{"GODEBUG", "memprofilerate=65536"}}));
  REQUIRE(result.exit_code == 0);
  const std::string top = pprof("-top -nodefraction=0 " + heap);
  CAPTURE(top);
  CHECK(top.find("Type: inuse_space") != std::string::npos);
  CHECK(top.find("make_kept") != std::string::npos);
  // Leaves are the program's functions, not the allocator's.
  CHECK(top.find("allocate_slow") == std::string::npos);
  CHECK(top.find("take_stack") == std::string::npos);
  const std::string all = pprof("-top -nodefraction=0 " + allocs);
  CAPTURE(all);
  CHECK(all.find("Type: alloc_space") != std::string::npos);
  for (const char* function : {"make_kept", "make_dropped", "make_arrays", "make_destroyed"})
    CHECK(all.find(function) != std::string::npos);
  const std::string list = pprof("-list=make_kept " + allocs);
  CAPTURE(list);
  CHECK(list.find("profile_program.cc") != std::string::npos);
  CHECK(list.find("make_kept(int count) {") != std::string::npos);
  const std::string peek = pprof("-peek=make_arrays " + allocs);
  CHECK(peek.find("make_all") != std::string::npos);
  const std::string tags = pprof("-tags " + allocs);
  CAPTURE(tags);
  CHECK(tags.find("request") != std::string::npos);
  CHECK(tags.find("drop") != std::string::npos);
  CHECK(tags.find("Dropped") != std::string::npos);
  const std::string difference = pprof("-top -base=" + allocs + " " + allocs);
  CAPTURE(difference);
  CHECK(difference.find("pprof failed") == std::string::npos);
  CHECK(contents(allocs).size() < 200'000);
}

TEST_CASE("profile: what cannot be written is said, and the program goes on") {
  const Directory directory;
  const ProcessResult result = run_program("profile_program", {"errors", directory.path()});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.out == "0 written, and it goes on\n");
  for (const char* text :
       {"tricolor: write_heap_profile: \"",
        "/no/such/directory/profile\" cannot be written: No such file or directory",
        "tricolor: write_alloc_profile: \"/dev/full\" cannot be written: No space left on device",
        "\" cannot be written: Is a directory", "tricolor: lifetime_report: \"",
        "tricolor: write_cpu_profile: \"",
        "tricolor: stop_cpu_profile: no CPU profile was started"}) {
    CAPTURE(text);
    CHECK(result.err.find(text) != std::string::npos);
  }
}

// [samples.epochs] [samples.hidden]
TEST_CASE("profile: a child of fork() and its parent write theirs") {
  const Directory directory;
  const ProcessResult result = run_program("profile_program", {"fork", directory / ""},
                                           with({{"GODEBUG", "memprofilerate=16384"}}));
  CAPTURE(result.err);
  CHECK(result.out == "0 failures\n");
  if (!have_pprof()) return;
  const std::string child = pprof("-top " + (directory / "child"));
  CAPTURE(child);
  CHECK(child.find("make_kept") != std::string::npos);
  CHECK(pprof("-top " + (directory / "parent")).find("Type: inuse_space") != std::string::npos);
}

TEST_CASE("profile: with every check of a cycle, and cycles back to back") {
  if (kThreadSanitizer) return;  // minutes: findlost reads what the sanitizer keeps as well
  const Directory directory;
  const ProcessResult result = run_program(
      "profile_program", {"totals", directory / "heap", directory / "allocs"},
      with({{"GODEBUG",
             "memprofilerate=4096,gccheckmark=1,clobberfree=1,findlost=1,gcstress=100"}}));
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.err == "");
}

TEST_CASE("profile: by TRICOLOR_PROFILE at exit, by a signal, every second") {
  const Directory directory;
  const std::string at_exit = directory / "exit.%p";
  const ProcessResult result = run_program(
      "profile_program", {"work", "10"},
      with({{"TRICOLOR_PROFILE", "heap:" + at_exit + ",allocs@exit:" + (directory / "allocs") +
                                     ",lifetimes:" + (directory / "lifetimes.html") +
                                     ",cpu:" + (directory / "cpu")}}));
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.err == "");
  CHECK(contents(directory / "allocs").starts_with("\x1f\x8b"));
  CHECK(contents(directory / "cpu").starts_with("\x1f\x8b"));
  CHECK(contents(directory / "lifetimes.html").starts_with("<!DOCTYPE html>"));
  CHECK_FALSE(std::filesystem::exists(at_exit));  // %p is the process's id

  ProcessOptions options = with({{"TRICOLOR_PROFILE", "heap@USR1:" + (directory / "usr1.%n") +
                                                          ",allocs@1s:" + (directory / "second")}});
  bool both = false;
  options.meanwhile = [&](pid_t child, int) {
    // Then the handler is there.
    both = eventually([&] { return std::filesystem::exists(directory / "second"); }) &&
           eventually([&] {
             kill(child, SIGUSR1);
             return std::filesystem::exists(directory / "usr1.1");
           });
    kill(child, SIGTERM);
  };
  const ProcessResult signalled = run_program("profile_program", {"work", "60000"}, options);
  CAPTURE(signalled.err);
  CHECK(both);
  CHECK(signalled.signal == SIGTERM);
}

TEST_CASE("profile: a malformed TRICOLOR_PROFILE is named") {
  for (const char* value : {"heap", "heap:", "stack:/tmp/x", "heap@KILL:/tmp/x", "heap@0s:/tmp/x",
                            "heap@s:/tmp/x", "cpu@5s:/tmp/x", "@exit:/tmp/x"}) {
    CAPTURE(value);
    const ProcessResult result =
        run_program("profile_program", {"work", "1"}, with({{"TRICOLOR_PROFILE", value}}));
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.starts_with(std::string("tricolor: TRICOLOR_PROFILE: \"") + value +
                                 "\" is not understood; accepted: WHAT:PATH"));
  }
}

// [cpu.ring]
TEST_CASE("profile: where processor time goes") {
  if (kThreadSanitizer) return;  // which holds signals back until a thread waits
  const Directory directory;
  const std::string path = directory / "cpu";
  const ProcessResult result = run_program("profile_program", {"cpu", path});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.err == "tricolor: start_cpu_profile: another CPU profile is being taken\n");
  if (!have_pprof()) return;
  const std::string top = pprof("-top " + path);
  CAPTURE(top);
  CHECK(top.find("Type: cpu") != std::string::npos);
  CHECK(top.find("compute") != std::string::npos);
  CHECK(pprof("-tags " + path).find("computing") != std::string::npos);
}

TEST_CASE("profile: lifetimes tell short-lived from long-lived objects") {
  const Directory directory;
  const std::string path = directory / "report.txt";
  const ProcessResult result = run_program("profile_program", {"lifetimes", path},
                                           with({{"GODEBUG", "memprofilerate=16384"}}));
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const std::string report = contents(path);
  CAPTURE(report);
  const auto advice_of = [&](const std::string& function) {
    const std::size_t place = report.find(function);
    if (place == std::string::npos) return std::string("no such place");
    // The line of type and advice is the last one before it that begins with four blanks only.
    std::size_t line = report.rfind("\n    ", place);
    while (line != std::string::npos && report[line + 5] == ' ')
      line = report.rfind("\n    ", line - 1);
    return report.substr(line + 5, report.find('\n', line + 1) - line - 5);
  };
  CHECK(advice_of("(anonymous namespace)::use_and_leave").find("put it on the stack") !=
        std::string::npos);
  CHECK(advice_of("(anonymous namespace)::make_kept").find("keep") != std::string::npos);
}

}  // namespace tricolor::tests
