#include "runtime/options.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <csignal>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace tricolor::runtime {
namespace {

using Environment = std::map<std::string, std::string>;

struct Outcome {
  Options options;
  std::vector<std::string> complaints;  // "variable|value|accepted|used"
};

Outcome parse(const Environment& environment) {
  Outcome outcome;
  outcome.options = parse_options(
      [&](const char* name) {
        const auto entry = environment.find(name);
        return entry == environment.end() ? nullptr : entry->second.c_str();
      },
      [&](const OptionComplaint& complaint) {
        outcome.complaints.push_back(
            std::string(complaint.variable) + "|" + std::string(complaint.value) + "|" +
            std::string(complaint.accepted) + "|" + std::string(complaint.used));
      });
  return outcome;
}

Options parse_clean(const Environment& environment) {
  const Outcome outcome = parse(environment);
  for (const std::string& complaint : outcome.complaints) CAPTURE(complaint);
  CHECK(outcome.complaints.empty());
  return outcome.options;
}

TEST_CASE("options: an empty environment gives the defaults") {
  const Options options = parse_clean({});
  CHECK(options.gc_percent == 100);
  CHECK(options.memory_limit == kNoMemoryLimit);
  CHECK_FALSE(options.memory_limit_given);
  CHECK(options.gctrace == 0);
  CHECK_FALSE(options.gcpacertrace);
  CHECK_FALSE(options.scavtrace);
  CHECK_FALSE(options.gccheckmark);
  CHECK_FALSE(options.clobberfree);
  CHECK_FALSE(options.findlost);
  CHECK(options.gcstress == 0);
  CHECK(options.gcsignal == 0);
}

// [options.empty]
TEST_CASE("options: an empty variable is an unset one") {
  const Options options =
      parse_clean({{"GOGC", ""}, {"GOMEMLIMIT", ""}, {"GCTRACE", ""}, {"GODEBUG", ""}});
  CHECK(options.gc_percent == 100);
  CHECK_FALSE(options.memory_limit_given);
  CHECK(options.gctrace == 0);
}

TEST_CASE("options: GOGC takes a percentage or off") {
  CHECK(parse_clean({{"GOGC", "0"}}).gc_percent == 0);
  CHECK(parse_clean({{"GOGC", "50"}}).gc_percent == 50);
  CHECK(parse_clean({{"GOGC", "0200"}}).gc_percent == 200);
  CHECK(parse_clean({{"GOGC", "2147483647"}}).gc_percent == 2147483647);
  CHECK(parse_clean({{"GOGC", "off"}}).gc_percent == kGcPercentOff);
}

TEST_CASE("options: a malformed GOGC is named and 100 is used") {
  for (const char* value :
       {"abc", "50%", "50 ", " 50", "+50", "1e3", "0x10", "5.0", "OFF", "offf", "-", "-x", "--5",
        "2147483648", "99999999999999999999999", "\t", "-5x"}) {
    CAPTURE(value);
    const Outcome outcome = parse({{"GOGC", value}});
    CHECK(outcome.options.gc_percent == 100);
    REQUIRE(outcome.complaints.size() == 1);
    CHECK(outcome.complaints[0] ==
          "GOGC|" + std::string(value) + "|a percentage from 0 to 2147483647, or off|100");
  }
}

TEST_CASE("options: a negative GOGC means off and is named") {
  for (const char* value : {"-1", "-100", "-2147483647"}) {
    const Outcome outcome = parse({{"GOGC", value}});
    CHECK(outcome.options.gc_percent == kGcPercentOff);
    REQUIRE(outcome.complaints.size() == 1);
    CHECK(outcome.complaints[0] ==
          "GOGC|" + std::string(value) + "|a percentage from 0 to 2147483647, or off|off");
  }
}

TEST_CASE("options: GOMEMLIMIT takes bytes with every suffix") {
  const auto limit = [](const char* value) {
    const Options options = parse_clean({{"GOMEMLIMIT", value}});
    CHECK(options.memory_limit_given);
    return options.memory_limit;
  };
  CHECK(limit("0") == 0);
  CHECK(limit("1048576") == 1048576);
  CHECK(limit("12B") == 12);
  CHECK(limit("3KiB") == 3 << 10);
  CHECK(limit("512MiB") == 512 << 20);
  CHECK(limit("7GiB") == int64_t{7} << 30);
  CHECK(limit("2TiB") == int64_t{2} << 40);
  CHECK(limit("off") == kNoMemoryLimit);
}

TEST_CASE("options: GOMEMLIMIT goes up to the largest number and not beyond") {
  CHECK(parse_clean({{"GOMEMLIMIT", "9223372036854775807"}}).memory_limit == kNoMemoryLimit);
  CHECK(parse_clean({{"GOMEMLIMIT", "8388607TiB"}}).memory_limit == int64_t{8388607} << 40);
  CHECK(parse_clean({{"GOMEMLIMIT", "9007199254740991KiB"}}).memory_limit ==
        int64_t{9007199254740991} << 10);
  for (const char* value : {"9223372036854775808", "8388608TiB", "9007199254740992KiB",
                            "8796093022208MiB", "8589934592GiB", "18446744073709551616"}) {
    CAPTURE(value);
    const Outcome outcome = parse({{"GOMEMLIMIT", value}});
    CHECK(outcome.complaints.size() == 1);
    CHECK_FALSE(outcome.options.memory_limit_given);
  }
}

TEST_CASE("options: a malformed GOMEMLIMIT is named and counts as unset") {
  for (const char* value :
       {"abc",   "B",  "MiB",    "1MB", "1 MiB", "1mib",  "1MiBB", "1BB",  "1KiBMiB", "-1",
        "-1MiB", "+1", "1.5GiB", "OFF", "1GiB ", " 1GiB", "1PiB",  "0x10", "1K",      "1_000"}) {
    CAPTURE(value);
    const Outcome outcome = parse({{"GOMEMLIMIT", value}});
    CHECK(outcome.options.memory_limit == kNoMemoryLimit);
    CHECK_FALSE(outcome.options.memory_limit_given);
    REQUIRE(outcome.complaints.size() == 1);
    CHECK(outcome.complaints[0] ==
          "GOMEMLIMIT|" + std::string(value) +
              "|bytes up to 8388607TiB, optionally with the suffix B, KiB, MiB, GiB or TiB, or off"
              "|the default, as if it were not set");
  }
}

TEST_CASE("options: GCTRACE is 0, 1 or 2") {
  CHECK(parse_clean({{"GCTRACE", "0"}}).gctrace == 0);
  CHECK(parse_clean({{"GCTRACE", "1"}}).gctrace == 1);
  CHECK(parse_clean({{"GCTRACE", "2"}}).gctrace == 2);
  for (const char* value : {"3", "-1", "yes", "1 ", "on"}) {
    CAPTURE(value);
    const Outcome outcome = parse({{"GCTRACE", value}});
    CHECK(outcome.options.gctrace == 0);
    REQUIRE(outcome.complaints.size() == 1);
    CHECK(outcome.complaints[0] == "GCTRACE|" + std::string(value) + "|a number from 0 to 2|0");
  }
}

TEST_CASE("options: GODEBUG sets each of its keys and no other") {
  CHECK(parse_clean({{"GODEBUG", "gctrace=2"}}).gctrace == 2);
  CHECK(parse_clean({{"GODEBUG", "gcpacertrace=1"}}).gcpacertrace);
  CHECK(parse_clean({{"GODEBUG", "scavtrace=1"}}).scavtrace);
  CHECK(parse_clean({{"GODEBUG", "gccheckmark=1"}}).gccheckmark);
  CHECK(parse_clean({{"GODEBUG", "clobberfree=1"}}).clobberfree);
  CHECK(parse_clean({{"GODEBUG", "findlost=1"}}).findlost);
  CHECK(parse_clean({{"GODEBUG", "findlost=0"}}).findlost_given);
  CHECK(parse_clean({{"GODEBUG", "findlost=1"}}).types);
  CHECK(parse_clean({{"GODEBUG", "findlost=1"}}).memprofilerate == 1);
  CHECK(parse_clean({{"GODEBUG", "memprofilerate=0,types=0,findlost=1"}}).memprofilerate == 0);
  CHECK_FALSE(parse_clean({{"GODEBUG", "findlost=1,types=0"}}).types);
  CHECK(parse_clean({{"GODEBUG", "gcstress=1000"}}).gcstress == 1000);
  CHECK(parse_clean({{"GODEBUG", "gcstress=9223372036854775807"}}).gcstress ==
        std::numeric_limits<int64_t>::max());
  const Options one = parse_clean({{"GODEBUG", "scavtrace=1"}});
  CHECK_FALSE(one.gcpacertrace);
  CHECK_FALSE(one.gccheckmark);
  CHECK_FALSE(one.clobberfree);
  CHECK_FALSE(one.findlost);
  CHECK(one.gctrace == 0);
}

TEST_CASE("options: GODEBUG takes several keys, empty places and the last of a key") {
  const Options options =
      parse_clean({{"GODEBUG", ",gctrace=1,,gcpacertrace=1,gcstress=5,gctrace=2,gcpacertrace=0,"}});
  CHECK(options.gctrace == 2);
  CHECK_FALSE(options.gcpacertrace);
  CHECK(options.gcstress == 5);
}

TEST_CASE("options: GODEBUG=gctrace counts over GCTRACE") {
  CHECK(parse_clean({{"GCTRACE", "1"}, {"GODEBUG", "gctrace=2"}}).gctrace == 2);
  CHECK(parse_clean({{"GCTRACE", "1"}, {"GODEBUG", "gctrace=0"}}).gctrace == 0);
  CHECK(parse_clean({{"GCTRACE", "1"}, {"GODEBUG", "scavtrace=1"}}).gctrace == 1);
}

TEST_CASE("options: gcsignal takes names with and without SIG") {
  CHECK(parse_clean({{"GODEBUG", "gcsignal=USR1"}}).gcsignal == SIGUSR1);
  CHECK(parse_clean({{"GODEBUG", "gcsignal=SIGUSR2"}}).gcsignal == SIGUSR2);
  CHECK(parse_clean({{"GODEBUG", "gcsignal=HUP"}}).gcsignal == SIGHUP);
  CHECK(parse_clean({{"GODEBUG", "gcsignal=IO"}}).gcsignal == SIGIO);
  CHECK(parse_clean({{"GODEBUG", "gcsignal=PWR"}}).gcsignal == SIGPWR);
  CHECK(parse_clean({{"GODEBUG", "gcsignal=WINCH"}}).gcsignal == SIGWINCH);
}

TEST_CASE("options: gcsignal refuses what cannot be a request for a collection") {
  for (const char* value : {"KILL", "SEGV", "URG", "SIG", "usr1", "10", "", "SIGSIGUSR1"}) {
    const std::string setting = "gcsignal=" + std::string(value);
    CAPTURE(setting);
    const Outcome outcome = parse({{"GODEBUG", setting}});
    CHECK(outcome.options.gcsignal == 0);
    REQUIRE(outcome.complaints.size() == 1);
    CHECK(outcome.complaints[0] ==
          "GODEBUG|" + setting + "|one of HUP, USR1, USR2, IO, PWR or WINCH|no signal");
  }
}

TEST_CASE("options: handshakesignal takes names, real-time signals and their numbers") {
  const auto signal = [](const std::string& value) {
    return parse_clean({{"GODEBUG", "handshakesignal=" + value}}).handshakesignal;
  };
  CHECK(signal("URG") == SIGURG);
  CHECK(signal("SIGUSR2") == SIGUSR2);
  CHECK(signal("RTMIN") == SIGRTMIN);
  CHECK(signal("RTMIN+3") == SIGRTMIN + 3);
  CHECK(signal("SIGRTMAX-1") == SIGRTMAX - 1);
  CHECK(signal(std::to_string(SIGRTMAX)) == SIGRTMAX);
}

TEST_CASE("options: handshakesignal refuses what may not be used") {
  for (const char* value :
       {"KILL", "HUP", "SEGV", "10", "65", "RTMIN-1", "RTMAX+1", "RTMIN+99", ""}) {
    const std::string setting = "handshakesignal=" + std::string(value);
    CAPTURE(setting);
    const Outcome outcome = parse({{"GODEBUG", setting}});
    CHECK(outcome.options.handshakesignal == 0);
    REQUIRE(outcome.complaints.size() == 1);
    CHECK(outcome.complaints[0].starts_with("GODEBUG|" + setting + "|one of URG, "));
    CHECK(outcome.complaints[0].ends_with("|SIGURG"));
  }
}

TEST_CASE("options: memprofilerate, types and dumpsignal") {
  CHECK(parse_clean({}).memprofilerate == 512 << 10);
  CHECK_FALSE(parse_clean({}).types);
  const Options options = parse_clean({{"GODEBUG", "memprofilerate=0,types=1,dumpsignal=SIGQUIT"}});
  CHECK(options.memprofilerate == 0);
  CHECK(options.types);
  CHECK(options.dumpsignal == SIGQUIT);
  CHECK(parse_clean({{"GODEBUG", "dumpsignal=USR2"}}).dumpsignal == SIGUSR2);
  const Outcome outcome = parse({{"GODEBUG", "dumpsignal=KILL,memprofilerate=-1"}});
  CHECK(outcome.options.dumpsignal == 0);
  CHECK(outcome.complaints ==
        std::vector<std::string>{
            "GODEBUG|dumpsignal=KILL|one of QUIT, HUP, USR1, USR2, IO, PWR or WINCH|no signal",
            "GODEBUG|memprofilerate=-1|a number from 0 to 9223372036854775807|524288"});
}

TEST_CASE("options: reports are printed, or end the program") {
  CHECK_FALSE(parse_clean({}).reports_abort);
  CHECK(parse_clean({{"GODEBUG", "reports=abort"}}).reports_abort);
  CHECK_FALSE(parse_clean({{"GODEBUG", "reports=abort,reports=print"}}).reports_abort);
  const Outcome outcome = parse({{"GODEBUG", "reports=1"}});
  CHECK_FALSE(outcome.options.reports_abort);
  CHECK(outcome.complaints == std::vector<std::string>{"GODEBUG|reports=1|print or abort|print"});
}

TEST_CASE("options: memoryguard takes a percentage") {
  CHECK(parse_clean({{"GODEBUG", "memoryguard=80"}}).memoryguard == 80);
  const Outcome outcome = parse({{"GODEBUG", "memoryguard=101"}});
  CHECK(outcome.options.memoryguard == 0);
  CHECK(outcome.complaints ==
        std::vector<std::string>{"GODEBUG|memoryguard=101|a number from 0 to 100|0"});
}

TEST_CASE("options: hangreport takes seconds") {
  CHECK(parse_clean({{"GODEBUG", "hangreport=5"}}).hangreport_s == 5);
  const Outcome outcome = parse({{"GODEBUG", "hangreport=x"}});
  CHECK(outcome.complaints ==
        std::vector<std::string>{"GODEBUG|hangreport=x|a number from 0 to 1000000|0"});
}

// [options.never-silent]
TEST_CASE("options: an unknown key is named and the others still count") {
  const Outcome outcome =
      parse({{"GODEBUG", "madvdontneed=1,gctrace=1, scavtrace=1,=1,x,scavtrace=1"}});
  CHECK(outcome.options.gctrace == 1);
  CHECK(outcome.options.scavtrace);
  const std::string rest =
      "|gctrace, gcpacertrace, scavtrace, gccheckmark, clobberfree, findlost, gcstress, gcsignal, "
      "handshakesignal, hangreport, memoryguard, memprofilerate, types, "
      "dumpsignal, reports|nothing: the key is unknown";
  REQUIRE(outcome.complaints.size() == 4);
  CHECK(outcome.complaints[0] == "GODEBUG|madvdontneed=1" + rest);
  CHECK(outcome.complaints[1] == "GODEBUG| scavtrace=1" + rest);
  CHECK(outcome.complaints[2] == "GODEBUG|=1" + rest);
  CHECK(outcome.complaints[3] == "GODEBUG|x" + rest);
}

// [options.never-silent]
TEST_CASE("options: a malformed setting is named and what was set before stays") {
  const Outcome outcome =
      parse({{"GODEBUG",
              "gctrace=2,gctrace=7,gctrace,scavtrace=1,scavtrace=2,findlost=true,findlost=,"
              "gcstress=8,gcstress=-1,gcstress=9223372036854775808,gcsignal=USR1,gcsignal=x"}});
  CHECK(outcome.options.gctrace == 2);
  CHECK(outcome.options.scavtrace);
  CHECK_FALSE(outcome.options.findlost);
  CHECK(outcome.options.gcstress == 8);
  CHECK(outcome.options.gcsignal == SIGUSR1);
  const std::vector<std::string> expected = {
      "GODEBUG|gctrace=7|a number from 0 to 2|2",
      "GODEBUG|gctrace|a number from 0 to 2|2",
      "GODEBUG|scavtrace=2|0 or 1|1",
      "GODEBUG|findlost=true|0 or 1|0",
      "GODEBUG|findlost=|0 or 1|0",
      "GODEBUG|gcstress=-1|a number from 0 to 9223372036854775807|8",
      "GODEBUG|gcstress=9223372036854775808|a number from 0 to 9223372036854775807|8",
      "GODEBUG|gcsignal=x|one of HUP, USR1, USR2, IO, PWR or WINCH|the signal given before"};
  CHECK(outcome.complaints == expected);
}

TEST_CASE("options: one bad variable leaves the others alone") {
  const Outcome outcome =
      parse({{"GOGC", "x"}, {"GOMEMLIMIT", "1GiB"}, {"GCTRACE", "1"}, {"GODEBUG", "scavtrace=1"}});
  CHECK(outcome.complaints.size() == 1);
  CHECK(outcome.options.memory_limit == 1 << 30);
  CHECK(outcome.options.gctrace == 1);
  CHECK(outcome.options.scavtrace);
}

TEST_CASE("options: a complaint is described in one line") {
  CHECK(describe({"GOGC", "5o", "a percentage", "100"}) ==
        "tricolor: GOGC: \"5o\" is not understood; accepted: a percentage; using 100");
  CHECK(describe({"GOGC", "a\nb\x1b\xff", "x", "y"}) ==
        "tricolor: GOGC: \"a\\x0ab\\x1b\\xff\" is not understood; accepted: x; using y");
}

TEST_CASE("options: a long value is cut in its description") {
  const std::string line = describe({"GOGC", std::string(5000, '7'), "x", "y"});
  CHECK(line == "tricolor: GOGC: \"" + std::string(120, '7') +
                    "...\" is not understood; accepted: x; using y");
}

// What fd 2 receives while run() runs.
template <typename Run>
std::string captured_stderr(Run run) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  ::close(ends[1]);
  run();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  std::string text(4096, '\0');
  const ssize_t count = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

// Sets a variable for the length of a test.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* before = ::getenv(name)) {
      had_before_ = true;
      before_ = before;
    }
    ::setenv(name, value, 1);
  }
  ~ScopedVariable() {
    if (had_before_) {
      ::setenv(name_, before_.c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  bool had_before_ = false;
  std::string before_;
};

TEST_CASE("options: the environment's complaints are lines on stderr") {
  const ScopedVariable gogc("GOGC", "fast");
  const ScopedVariable limit("GOMEMLIMIT", "3GiB");
  const ScopedVariable trace("GCTRACE", "");
  const ScopedVariable debug("GODEBUG", "asyncpreemptoff=1,gcstress=3");
  Options options;
  const std::string text = captured_stderr([&] { options = options_from_environment(); });
  CHECK(options.gc_percent == 100);
  CHECK(options.memory_limit == int64_t{3} << 30);
  CHECK(options.gcstress == 3);
  CHECK(text ==
        "tricolor: GOGC: \"fast\" is not understood; accepted: a percentage from 0 to 2147483647, "
        "or off; using 100\n"
        "tricolor: GODEBUG: \"asyncpreemptoff=1\" is not understood; accepted: gctrace, "
        "gcpacertrace, scavtrace, gccheckmark, clobberfree, findlost, gcstress, gcsignal, "
        "handshakesignal, "
        "hangreport, memoryguard, memprofilerate, types, dumpsignal, reports; using "
        "nothing: the key is unknown\n");
}

}  // namespace
}  // namespace tricolor::runtime
