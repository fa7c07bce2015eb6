// What the runtime prints: gctrace, its detail line, the pacer's and the scavenger's lines.
#include <cmath>
#include <regex>

#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

const std::string kMs = R"((?:0|[1-9][0-9]+|[1-9]\.[0-9]|0\.[1-9][0-9]|0\.0[0-9]{2}))";

// Groups: number, seconds, percent, heap before, after, live, goal, processors, forced.
const std::regex kGcLine(
    "gc ([0-9]+) @([0-9]+\\.[0-9]{3})s ([0-9]+)%: " + kMs + "\\+" + kMs + "\\+" + kMs +
    " ms clock, " + kMs + "\\+" + kMs + "/" + kMs + "/" + kMs + "\\+" + kMs +
    " ms cpu, ([0-9]+)->([0-9]+)->([0-9]+) MB, ([0-9]+) MB goal, [0-9]+ MB stacks, "
    "[0-9]+ MB globals, ([0-9]+) P( \\(forced\\))?");
const std::regex kDetailLine("gc ([0-9]+) detail:( [a-z_]+=[0-9.]+)+");
const std::string kFloat = R"((?:[-+][0-9]\.[0-9]{6}e[-+][0-9]{3}|[-+]Inf|NaN))";
const std::regex kPacerStart("pacer: assist ratio=" + kFloat +
                             " \\(scan [0-9]+ MB in [0-9]+->[0-9]+ MB\\) workers=[0-9]+\\+" +
                             kFloat);
const std::regex kPacerEnd(
    "pacer: [0-9]+% CPU \\([0-9]+ exp\\.\\) for [0-9]+\\+[0-9]+\\+[0-9]+ B work "
    "\\([0-9]+ B exp\\.\\) in [0-9]+ B -> [0-9]+ B \\(∆goal -?[0-9]+, cons/mark " +
    kFloat + "\\)");
const std::regex kScavenge(
    "scav [0-9]+ KiB work \\(bg\\), [0-9]+ KiB work \\(eager\\), ([0-9]+) KiB total, "
    "([0-9]+)% util( \\(forced\\))?");

struct GcLine {
  long number, percent, before, after, live, goal, processors;
  double seconds;
  bool forced;
};

std::vector<GcLine> gc_lines(const std::vector<std::string>& lines) {
  std::vector<GcLine> result;
  for (const std::string& line : lines) {
    std::smatch m;
    if (!std::regex_match(line, m, kGcLine)) continue;
    result.push_back({std::stol(m[1]), std::stol(m[3]), std::stol(m[4]), std::stol(m[5]),
                      std::stol(m[6]), std::stol(m[7]), std::stol(m[8]), std::stod(m[2]),
                      m[9].matched});
  }
  return result;
}

std::size_t count_matching(const std::vector<std::string>& lines, const std::regex& regex) {
  std::size_t count = 0;
  for (const std::string& line : lines) count += std::regex_match(line, regex) ? 1 : 0;
  return count;
}

ProcessResult churn_with(const Settings& settings,
                         std::vector<std::string> arguments = {"100000", "48", "3"}) {
  ProcessResult result =
      run_program("churn_program", std::move(arguments), {.environment = settings});
  CAPTURE(result.err);
  CHECK(!result.timed_out);
  CHECK(result.exit_code == 0);
  CHECK(result.out == "ok\n");
  return result;
}

TEST_CASE("process: a program without settings prints nothing of the runtime's") {
  CHECK(churn_with({}).err.empty());
}

TEST_CASE("process: GCTRACE=1 prints one line of the grammar per cycle, and nothing else") {
  const ProcessResult result = churn_with({{"GCTRACE", "1"}});
  auto lines = result.err_lines();
  // A sanitizer may keep a thread from answering for so long that the trace names it.
  if (kSanitized) {
    std::erase_if(lines, [](const std::string& line) {
      return line.starts_with("tricolor: collection has waited ");
    });
  }
  for (const std::string& line : lines) CHECK_MESSAGE(std::regex_match(line, kGcLine), line);
  const auto cycles = gc_lines(lines);
  REQUIRE(cycles.size() >= 4);
  long forced = 0;
  for (std::size_t i = 0; i < cycles.size(); ++i) {
    const GcLine& cycle = cycles[i];
    CAPTURE(lines[i]);
    CHECK(cycle.number == static_cast<long>(i) + 1);
    CHECK(cycle.percent <= 100);
    CHECK(cycle.live <= cycle.after);
    CHECK(cycle.processors >= 1);
    CHECK(cycle.goal >= 4);
    if (i > 0) CHECK(cycle.seconds >= cycles[i - 1].seconds);
    forced += cycle.forced ? 1 : 0;
  }
  CHECK(forced == 3);
  CHECK(!cycles.front().forced);
  CHECK(cycles.back().forced);
  CHECK(cycles.back().live >= 6);  // 200,000 items of 32 bytes
  CHECK(cycles.back().live <= 12);
}

TEST_CASE("process: GODEBUG=gctrace=1 says the same, GCTRACE=0 nothing") {
  const auto lines = churn_with({{"GODEBUG", "gctrace=1"}}).err_lines();
  CHECK(lines.size() >= 4);
  CHECK(count_matching(lines, kGcLine) == lines.size());
  CHECK(churn_with({{"GCTRACE", "0"}}).err.empty());
}

TEST_CASE("process: gctrace=2 adds a line of detail to each") {
  const auto lines = churn_with({{"GODEBUG", "gctrace=2"}}).err_lines();
  const std::size_t cycles = count_matching(lines, kGcLine);
  CHECK(cycles >= 4);
  CHECK(count_matching(lines, kDetailLine) == cycles);
  CHECK(lines.size() == 2 * cycles);
  for (const char* key : {"max_handshake_us=", "stalls=", "assists=", "objects_scanned="}) {
    for (const std::string& line : lines) {
      if (line.find(" detail: ") != std::string::npos)
        CHECK_MESSAGE(line.find(key) != std::string::npos, line);
    }
  }
}

TEST_CASE("process: gcpacertrace=1 prints two lines per cycle") {
  const auto lines = churn_with({{"GODEBUG", "gcpacertrace=1,gctrace=1"}}).err_lines();
  const std::size_t cycles = count_matching(lines, kGcLine);
  CHECK(cycles >= 4);
  CHECK(count_matching(lines, kPacerStart) == cycles);
  CHECK(count_matching(lines, kPacerEnd) == cycles);
  for (const std::string& line : lines) {
    CHECK_MESSAGE((std::regex_match(line, kGcLine) || std::regex_match(line, kPacerStart) ||
                   std::regex_match(line, kPacerEnd)),
                  line);
  }
}

TEST_CASE("process: scavtrace=1 reports what goes back to the system") {
  const ProcessResult result =
      run_program("release_program", {}, {.environment = {{"GODEBUG", "scavtrace=1"}}});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  std::size_t forced = 0;
  long most = 0;
  for (const std::string& line : result.err_lines()) {
    std::smatch m;
    CHECK_MESSAGE(std::regex_match(line, m, kScavenge), line);
    if (m.empty()) continue;
    forced += m[3].matched ? 1 : 0;
    most = std::max(most, std::stol(m[1]));
    CHECK(std::stol(m[2]) <= 100);
  }
  CHECK(forced >= 2);
  CHECK(most >= 16 * 1024);  // of some 40 MB
}

TEST_CASE("process: lines of a program with many threads are never torn") {
  const ProcessResult result =
      run_program("churn_program", {"1000", "96", "200"},
                  {.environment = {{"GCTRACE", "1"}, {"GODEBUG", "gctrace=2,gcpacertrace=1"}}});
  CHECK(result.exit_code == 0);
  CHECK(gc_lines(result.err_lines()).size() >= 200);
  for (const GcLine& cycle : gc_lines(result.err_lines())) CHECK(cycle.percent <= 100);
  for (const std::string& line : result.err_lines()) {
    CHECK_MESSAGE((std::regex_match(line, kGcLine) || std::regex_match(line, kDetailLine) ||
                   std::regex_match(line, kPacerStart) || std::regex_match(line, kPacerEnd)),
                  line);
  }
}

TEST_CASE("process: GOGC sets the pace") {
  const auto cycles = [](const char* gogc) {
    return gc_lines(
               churn_with({{"GCTRACE", "1"}, {"GOGC", gogc}}, {"50000", "64", "0"}).err_lines())
        .size();
  };
  const std::size_t often = cycles("20"), seldom = cycles("400");
  CHECK(often > seldom);
  CHECK(cycles("off") == 0);
}

TEST_CASE("process: GOMEMLIMIT starts cycles with GOGC=off and keeps the heap under it") {
  const auto cycles =
      gc_lines(churn_with({{"GCTRACE", "1"}, {"GOGC", "off"}, {"GOMEMLIMIT", "64MiB"}},
                          {"20000", "128", "0"})
                   .err_lines());
  CHECK(cycles.size() >= 2);
  for (const GcLine& cycle : cycles) {
    CHECK(cycle.goal <= 64);
    CHECK(cycle.after <= 112);  // far less than the garbage that is made
  }
}

}  // namespace
}  // namespace tricolor::tests
